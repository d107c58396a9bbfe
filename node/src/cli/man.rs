//! `rocoin man`: the manual pages, one a command, as `--help` has them.
//!
//! Made from the commands themselves, so that they are never behind them. What is beyond a command's flags is in `docs/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man;

use super::text::print;

/// Writes manual pages into a folder, one a command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct ManArgs {
    /// Where to; made if it is not there. Pages in it are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

const EXAMPLE: &str = "\
Example:
  rocoin man ~/.local/share/man/man1
  man rocoin-deploy";

/// Runs the command; `program` is the whole program's.
///
/// # Errors
/// If a page cannot be written; the text says which. Those before it are there.
pub fn run(args: &ManArgs, program: Command) -> anyhow::Result<()> {
    let folder = &args.folder;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    // Each page is of a command that knows its whole name. There is no page on `help`.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let source = format!("rocoin {}", program.get_version().unwrap_or_default());
    let pages = write(&program, &source, folder)?;
    print(&format!("{pages} manual pages are in {}\n", folder.display()))
}

/// The page of a command, and those of the commands below it; how many.
fn write(command: &Command, source: &str, folder: &Path) -> anyhow::Result<usize> {
    let page = Man::new(command.clone()).source(source).manual("rocoin");
    let path = folder.join(page.get_filename());
    page.generate_to(folder).with_context(|| format!("cannot write the manual page {}", path.display()))?;
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below.map(|command| write(command, source, folder)).try_fold(1, |sum, pages| Ok(sum + pages?))
}
