//! The live table: one row a step, the current one redrawn in place on a terminal.

use std::io::{IsTerminal as _, Write as _};

use super::report::StepReport;

/// Where the table is drawn: standard output, or nowhere.
#[derive(Debug)]
pub(super) struct Screen {
    on: bool,
    live: bool,
}

impl Screen {
    pub(super) fn new(on: bool) -> Self {
        Self { on, live: on && std::io::stdout().is_terminal() }
    }

    pub(super) fn say(&self, text: &str) {
        if self.on {
            print(&format!("{text}\n"));
        }
    }

    pub(super) fn header(&self) {
        self.say(&format!(
            "\n{:<18} {:>5} {:<10} {:<14} {:>5} {:>8} {:>8} {:>8} {:>6} {:>7} {:>8} {:>8} {:>8} {:>10}",
            "step",
            "alive",
            "leader",
            "epoch",
            "parts",
            "requests",
            "complete",
            "degraded",
            "failed",
            "retried",
            "accuracy",
            "p50 ms",
            "p99 ms",
            "recovery s"
        ));
    }

    /// The step as it stands.
    pub(super) fn progress(&self, step: &StepReport) {
        if self.live {
            print(&format!("\r{}", row(step)));
        }
    }

    /// The step as it ended.
    pub(super) fn finish(&self, step: &StepReport) {
        if self.on {
            print(&format!("{}{}\n", if self.live { "\r" } else { "" }, row(step)));
        }
    }
}

fn row(s: &StepReport) -> String {
    let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
    let accuracy = s.accuracy.map_or("-".to_owned(), |a| format!("{:.1} %", a * 100.0));
    let shown = |text: &Option<String>, width: usize| {
        let text = text.as_deref().unwrap_or("-");
        if text.contains('|') { format!("({})", text.split('|').count()) } else { text.chars().take(width).collect() }
    };
    format!(
        "{:<18} {:>5} {:<10} {:<14} {:>5} {:>8} {:>8} {:>8} {:>6} {:>7} {:>8} {:>8} {:>8} {:>10}",
        s.event,
        s.alive,
        shown(&s.leader, 10),
        shown(&s.epoch, 14),
        s.parts_served,
        s.requests,
        s.complete,
        s.degraded,
        s.failed,
        s.retried,
        accuracy,
        number(s.p50_ms, 1),
        number(s.p99_ms, 1),
        number(s.recovery_s, 2)
    )
}

fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
