//! How long work is shown: bars with the time left on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A task writes a plain line at most this often while it goes on; short enough to see that it lives, long enough for a log.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Is told what goes on; from several threads.
pub trait Progress: Sync {
    /// Something the user should read.
    fn notice(&self, text: &str);

    /// `task` is at `done` of `total` steps; `note` says how it is. The task ends when `done` reaches `total`.
    fn advance(&self, task: &str, done: u64, total: u64, note: &str);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn notice(&self, _: &str) {}

    fn advance(&self, _: &str, _: u64, _: u64, _: &str) {}
}

/// [`Bars`] if standard error is a terminal, else [`Lines`].
pub fn to_stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(Bars::default()) } else { Box::new(Lines::default()) }
}

/// One bar a task, on standard error.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
    tasks: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Progress for Bars {
    fn notice(&self, text: &str) {
        // A terminal that is gone is no reason to stop training.
        let _ = self.all.println(text);
    }

    fn advance(&self, task: &str, done: u64, total: u64, note: &str) {
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = tasks.entry(task.to_owned()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(total).with_prefix(task.to_owned()));
            let style = ProgressStyle::with_template("{prefix:>20} {bar:30} {percent:>3} %  {eta_precise} left  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // What a resumed task has behind it says nothing about its speed.
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        bar.set_position(done);
        bar.set_message(note.to_owned());
        if done >= total && !bar.is_finished() {
            bar.finish();
        }
    }
}

/// A line now and then for each task, on standard error.
#[derive(Debug, Default)]
pub struct Lines {
    tasks: Mutex<BTreeMap<String, Task>>,
}

#[derive(Debug)]
struct Task {
    started: Instant,
    first: u64,
    written: Instant,
    ended: bool,
}

impl Progress for Lines {
    fn notice(&self, text: &str) {
        eprintln!("{text}");
    }

    fn advance(&self, task: &str, done: u64, total: u64, note: &str) {
        let now = Instant::now();
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = Task { started: now, first: done, written: now, ended: false };
        let state = tasks.entry(task.to_owned()).or_insert(new);
        let ends = done >= total;
        if state.ended || !(ends || now - state.written >= LINE_INTERVAL) {
            return;
        }
        (state.written, state.ended) = (now, ends);
        let spent = (now - state.started).as_secs_f64();
        let ahead = total.saturating_sub(done) as f64 * spent / done.saturating_sub(state.first).max(1) as f64;
        let percent = 100 * done / total.max(1);
        eprintln!("{task}: {percent} %, {} left  {note}", clock(ahead));
    }
}

/// Hours, minutes and seconds.
fn clock(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
