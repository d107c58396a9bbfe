//! `rocoin completions`: what a shell has to know to complete this program's commands and flags.
//!
//! Made from the commands themselves, so that it is never behind them. It completes names, not what a mesh holds: nobody is asked.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::text::print;

/// Prints a script with which a shell completes commands and flags
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Where shells look for it:
  rocoin completions bash > ~/.local/share/bash-completion/completions/rocoin
  rocoin completions zsh > ~/.zfunc/_rocoin              with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  rocoin completions fish > ~/.config/fish/completions/rocoin.fish
  rocoin completions elvish > ~/.config/elvish/lib/rocoin.elv    with `use rocoin` in ~/.config/elvish/rc.elv
  rocoin completions powershell >> $PROFILE";

/// Runs the command; `program` is the whole program's.
///
/// # Errors
/// If standard output cannot be written to.
pub fn run(args: &CompletionsArgs, mut program: Command) -> anyhow::Result<()> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut program, name, &mut script);
    print(&String::from_utf8(script)?)
}
