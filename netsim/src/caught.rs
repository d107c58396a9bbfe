//! A run in which a node or the simulator panics is one that did not hold: the panic is caught and told as a violation, so that it has
//! its seed and the other seeds go on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rocoin::time::Instant;

use crate::fact::Entry;
use crate::invariant::{Recent, Violation};
use crate::run::{Report, Tally, Traffic};

/// What a panic breaks.
pub const NO_PANIC: &str = "no-panic";

/// Does a run, and tells a panic in it as a violation at the time of the last fact. Where it panicked is said on standard error, as
/// for any panic. What is lost with it: the counts of requests and traffic.
pub fn caught(record: &mut dyn FnMut(&Entry), run: impl FnOnce(&mut dyn FnMut(&Entry)) -> Report) -> Report {
    let mut last = Last::default();
    let mut watched = |entry: &Entry| {
        last.observe(entry);
        record(entry);
    };
    // What the run leaves half done is dropped with it; a record is the caller's, and takes in one fact after the other.
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut watched)));
    outcome.unwrap_or_else(|panic| last.report(message(&*panic)))
}

/// How far a run got.
#[derive(Debug, Default)]
struct Last {
    at: Instant,
    recent: Recent,
}

impl Last {
    fn observe(&mut self, entry: &Entry) {
        self.at = entry.at;
        if Recent::shows(entry) {
            self.recent.observe(entry.clone());
        }
    }

    fn report(self, message: &str) -> Report {
        let evidence = format!("panicked: {message}");
        let recent = self.recent.entries();
        Report {
            violation: Some(Violation { invariant: NO_PANIC, evidence, at: self.at, recent }),
            tally: Tally::default(),
            traffic: Traffic::default(),
            ended: self.at,
            recovered: None,
            agreement: None,
        }
    }
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use rocoin::bugs::Bugs;
    use rocoin::time::Duration;

    use super::*;
    use crate::invariant::RECENT_MAX;
    use crate::{run, swarm};

    #[test]
    fn a_run_that_does_not_panic_is_as_it_is_without_the_watch() {
        let plan = || swarm::plan(3, Bugs::default());
        let (mut watched, mut plain) = (0, 0);
        let report = caught(&mut |_| watched += 1, |record| run::run(plan(), record));
        let expected = run::run(plan(), &mut |_| plain += 1);
        assert_eq!((watched, report.ended, report.tally), (plain, expected.ended, expected.tally));
        assert!(report.violation.is_none());
    }

    #[test]
    fn a_panic_is_a_violation_with_its_message_at_the_time_of_the_last_fact() {
        let (mut count, mut last) = (0, Instant::ZERO);
        let mut record = |entry: &Entry| {
            count += 1;
            last = entry.at;
            assert!(count < 1000, "fact {count} is too much");
        };
        let report = caught(&mut record, |record| run::run(swarm::plan(3, Bugs::default()), record));
        let violation = report.violation.unwrap();
        assert_eq!((violation.invariant, violation.evidence.as_str()), (NO_PANIC, "panicked: fact 1000 is too much"));
        assert_eq!((violation.at, report.ended), (last, last));
        assert!(last > Instant::ZERO + Duration::from_millis(1));
        assert_eq!(violation.recent.len(), RECENT_MAX);
    }

    #[test]
    fn a_panic_before_anything_happened_is_at_zero() {
        let report = caught(&mut |_| (), |_| panic!("no world"));
        let violation = report.violation.unwrap();
        assert_eq!((violation.at, violation.evidence.as_str()), (Instant::ZERO, "panicked: no world"));
    }
}
