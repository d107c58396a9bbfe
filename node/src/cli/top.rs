//! `rocoin top`: the mesh as one node sees it, live in the terminal.
//!
//! Three threads: one looks at the node (`feed`), one hears keys (`keys`), and this one folds what they say into a state (`board`,
//! `viewer`) and draws it (`draw`, pure). It changes nothing in the mesh and decides nothing about it.

mod board;
mod draw;
mod feed;
mod islands;
mod keys;
mod places;
mod screen;
mod story;
#[cfg(test)]
mod tests;
mod viewer;

use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::Args;
use ratatui::termion::{get_tty, terminal_size};

use self::board::{Board, Look};
use self::draw::{Scene, Theme};
use self::feed::{Feed, now_ms};
use self::screen::Screen;
use self::viewer::{Action, Viewer};
use super::target::Target;
use super::text::print;
use crate::interrupt::Interrupt;

/// From one frame to the next if nothing is told: ages are counted in seconds.
const FRAME_EVERY: Duration = Duration::from_millis(250);
/// Columns of a frame that is printed where there is no terminal.
const WIDTH: u16 = 80;
/// Columns that a printed frame can have.
const WIDTHS: std::ops::RangeInclusive<u16> = 20..=400;

/// Shows the mesh as one node sees it, live in the terminal
///
/// Devices and the parts they hold, requests of the last minute, and what happened. Press ? for all keys, q to leave. Without colours
/// if NO_COLOR is set. Where standard output is no terminal, one frame is printed, as with --once.
///
/// A node that cannot be reached is asked again until it answers; meanwhile other members that it told of are asked.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TopArgs {
    #[command(flatten)]
    target: Target,
    /// Print one frame as plain text and leave; fails if the node cannot be reached
    #[arg(long)]
    once: bool,
    /// From one look at the node to the next, s
    #[arg(long, value_name = "S", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Ask other members also with a token, which is then sent to the addresses that the node told of
    #[arg(long)]
    roam: bool,
}

const EXAMPLES: &str = "\
Examples:
  rocoin top
  rocoin top --node 192.168.1.7:8470 --http-token-file token
  rocoin top --once | head -12
  ssh -t pi-4 rocoin top";

/// Runs the command.
///
/// # Errors
/// If the node cannot be reached and one frame was wanted, or if there is no terminal to draw on.
pub fn run(args: &TopArgs) -> anyhow::Result<()> {
    let may_roam = args.roam || !args.target.has_token();
    if args.once || !std::io::stdout().is_terminal() {
        return once(args);
    }
    live(args, Feed::new(args.target.clone(), may_roam))
}

/// One frame. No other node is asked: whoever reads it wants this one.
fn once(args: &TopArgs) -> anyhow::Result<()> {
    let look = Feed::new(args.target.clone(), false).look()?;
    let now_ms = look.at_ms;
    let mut board = Board::default();
    board.see(look);
    if let Some(gone) = board.all_gone {
        bail!(gone.why);
    }
    let viewer = Viewer::default();
    let scene = Scene {
        board: &board,
        viewer: &viewer,
        named: args.target.node(),
        theme: Theme::plain(),
        now_ms,
        has_keys: false,
    };
    print(&draw::plain(&scene, width()))
}

/// Columns: the terminal's, or those that `COLUMNS` says.
fn width() -> u16 {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let is_terminal = std::io::stdout().is_terminal();
    let of_terminal = is_terminal.then(terminal_size).and_then(Result::ok).map(|(columns, _)| columns);
    of_terminal.or(told).unwrap_or(WIDTH).clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// What the other threads say.
#[derive(Debug)]
enum Message {
    /// What came of a look; an error if no look is possible.
    Look(Box<anyhow::Result<Look>>),
    /// A key.
    Key(Action),
}

fn live(args: &TopArgs, feed: Feed) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?.flag();
    let keys = get_tty()?;
    let (listener, messages) = channel();
    let of_keys = listener.clone();
    let mut screen = Screen::open()?;
    let every = args.interval;
    std::thread::spawn(move || feed.run(every, &listener));
    std::thread::spawn(move || keys::hear(keys, &of_keys));
    let env = |name: &str| std::env::var(name).ok();
    let theme = Theme::of(env("NO_COLOR").as_deref(), env("TERM").as_deref());
    let (mut board, mut viewer) = (Board::default(), Viewer::default());
    while !interrupt.load(Ordering::Relaxed) {
        let mut last = viewer::Firsts::default();
        screen.draw(|frame| {
            let board = viewer.board(&board);
            let named = args.target.node();
            let scene = Scene { board, viewer: &viewer, named, theme, now_ms: now_ms(), has_keys: true };
            last = draw::draw(&scene, frame.area(), frame.buffer_mut());
        })?;
        viewer.settle(last);
        if !take(&messages, &mut board, &mut viewer)? {
            break;
        }
    }
    Ok(())
}

/// Waits for messages and takes in all that are there. False if the user leaves.
fn take(messages: &Receiver<Message>, board: &mut Board, viewer: &mut Viewer) -> anyhow::Result<bool> {
    let first = match messages.recv_timeout(FRAME_EVERY) {
        Ok(message) => Some(message),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => bail!("the terminal and the node are no longer followed"),
    };
    for message in first.into_iter().chain(messages.try_iter()) {
        match message {
            Message::Look(look) => board.see((*look)?),
            Message::Key(action) if !viewer.act(action, board) => return Ok(false),
            Message::Key(_) => {}
        }
    }
    Ok(true)
}

fn interval(text: &str) -> anyhow::Result<Duration> {
    let seconds: f64 = text.parse()?;
    ensure!((0.1..=3600.0).contains(&seconds), "it is between 0.1 and 3600 s");
    Ok(Duration::from_secs_f64(seconds))
}
