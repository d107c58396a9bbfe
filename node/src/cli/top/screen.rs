//! The terminal while it shows frames instead of lines, and the way back, which is taken whatever ends the program: a key, Ctrl-C, an
//! error, a panic.

use std::fs::File;
use std::io::{Stdout, Write as _, stdout};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::raw::{IntoRawMode as _, RawTerminal};
use ratatui::termion::screen::{ToAlternateScreen, ToMainScreen};
use ratatui::termion::{cursor, get_tty};

/// As it was before, to be put back once.
type Before = Arc<Mutex<Option<RawTerminal<File>>>>;

/// The terminal that standard output is. Dropping it puts it back.
pub(super) struct Screen {
    terminal: Terminal<TermionBackend<Stdout>>,
    before: Before,
}

impl Screen {
    /// From now on keys are not shown and come one by one, and what was on the screen is kept aside.
    ///
    /// # Errors
    /// If there is no terminal, or it is of a kind that cannot do that.
    pub(super) fn open() -> anyhow::Result<Self> {
        let raw = get_tty().and_then(|tty| tty.into_raw_mode()).context("cannot read keys from the terminal")?;
        let before: Before = Arc::new(Mutex::new(Some(raw)));
        let (hook, of_hook) = (std::panic::take_hook(), Arc::clone(&before));
        // First, so that what the panic says can be read.
        std::panic::set_hook(Box::new(move |panic| {
            put_back(&of_hook);
            hook(panic);
        }));
        let drawn = "cannot draw on the terminal";
        write!(stdout(), "{ToAlternateScreen}{}", cursor::Hide).context(drawn)?;
        match Terminal::new(TermionBackend::new(stdout())) {
            Ok(terminal) => Ok(Self { terminal, before }),
            Err(error) => {
                put_back(&before);
                Err(error).context(drawn)
            }
        }
    }

    /// Draws one frame, as large as the terminal is now.
    ///
    /// # Errors
    /// If the terminal is gone, or another thread panicked.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> anyhow::Result<()> {
        let is_open = self.before.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        ensure!(is_open, "a part of this program failed; what it said is above");
        self.terminal.draw(draw).context("cannot draw on the terminal")?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        put_back(&self.before);
    }
}

/// Makes the terminal what it was, unless that was done.
fn put_back(before: &Before) {
    let Some(raw) = before.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    // Nobody is left to be told that it failed.
    let mut out = stdout();
    let _ = write!(out, "{}{ToMainScreen}", cursor::Show).and_then(|()| out.flush());
    drop(raw);
}
