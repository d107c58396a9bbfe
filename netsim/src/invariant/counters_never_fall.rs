//! Term, epoch, generation and incarnation never fall on a node, restarts included; nor does the deployment below what the node wanted since its
//! start, or what was written to its disk.

use std::collections::BTreeMap;

use rocoin::id::{Epoch, Generation, Incarnation, NodeId, Term};

use super::Invariant;
use crate::fact::{Entry, Fact, HostId, Kept};
use crate::physics::Physics;

#[derive(Debug, Clone, Copy)]
struct Highest {
    start: (Generation, Incarnation),
    term: Term,
    epoch: Option<Epoch>,
}

/// Term, epoch, generation and incarnation never fall on a node, restarts included.
#[derive(Debug, Default)]
pub(super) struct CountersNeverFall {
    highest: BTreeMap<NodeId, Highest>,
    starts: BTreeMap<NodeId, Generation>,
    /// The deployment that each host had on its disk at its start, and has wanted since.
    kept: BTreeMap<HostId, Option<u64>>,
    /// The one that was last written to each disk.
    written: BTreeMap<HostId, Option<u64>>,
}

impl Invariant for CountersNeverFall {
    fn name(&self) -> &'static str {
        "counters-never-fall"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Written { host, wanted } => {
                self.written.insert(*host, *wanted);
            }
            Fact::Stopped { host, disk: Kept::Nothing, .. } => {
                self.written.remove(host);
            }
            _ => {}
        }
        if let Fact::Started { host, node, generation, wanted, .. } = &entry.fact {
            if let Some(written) =
                self.written.get(host).filter(|written| wanted < *written && !physics.was_cloned(*node))
            {
                return Err(format!(
                    "{host} starts with deployment {wanted:?}, and {written:?} was written to its disk"
                ));
            }
            self.kept.insert(*host, *wanted);
            let before = self.starts.insert(*node, *generation);
            if before.is_some_and(|before| before >= *generation) && !physics.was_cloned(*node) {
                return Err(format!("{host} starts with generation {} again", generation.0));
            }
        }
        let Fact::State { host, node, generation, incarnation, term, epoch, wanted, .. } = &entry.fact else {
            return Ok(());
        };
        if physics.was_cloned(*node) {
            return Ok(());
        }
        if let Some(kept) = self.kept.insert(*host, *wanted).filter(|kept| wanted < kept) {
            return Err(format!("{host} wants deployment {wanted:?}, and it or its disk had {kept:?}"));
        }
        let new = Highest { start: (*generation, *incarnation), term: *term, epoch: *epoch };
        let Some(old) = self.highest.insert(*node, new) else { return Ok(()) };
        let fell = |what: &str, old: String, new: String| Err(format!("{host}: {what} fell from {old} to {new}"));
        if new.start < old.start {
            return fell("generation and incarnation", format!("{:?}", old.start), format!("{:?}", new.start));
        }
        if new.term < old.term {
            return fell("the term", old.term.0.to_string(), new.term.0.to_string());
        }
        if new.epoch < old.epoch {
            return fell("the epoch", format!("{:?}", old.epoch), format!("{:?}", new.epoch));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn rising_counters_pass_and_a_new_start_counts_incarnations_anew() {
        let facts = vec![
            (0.0, started(0, 1)),
            (1.0, state(0, (1, 3, 5), Some(epoch(5, 0, 1)))),
            (2.0, stopped(0, Kept::Synced)),
            (3.0, started(0, 2)),
            (3.0, state(0, (2, 0, 5), Some(epoch(5, 0, 1)))),
        ];
        assert_eq!(judge(&mut CountersNeverFall::default(), facts), Ok(()));
    }

    #[test]
    fn each_counter_that_falls_is_a_violation() {
        let good = || vec![(0.0, started(0, 2)), (1.0, state(0, (2, 3, 5), Some(epoch(5, 0, 1))))];
        for (bad, what) in [
            (state(0, (2, 2, 5), Some(epoch(5, 0, 1))), "incarnation"),
            (state(0, (2, 3, 4), Some(epoch(5, 0, 1))), "term"),
            (state(0, (2, 3, 5), None), "epoch"),
            (started(0, 2), "again"),
        ] {
            let facts = good().into_iter().chain([(2.0, bad)]).collect();
            let evidence = judge(&mut CountersNeverFall::default(), facts).unwrap_err();
            assert!(evidence.contains(what), "{evidence}");
        }
    }

    #[test]
    fn a_start_wants_what_its_disk_kept() {
        let (mut start, mut told) = (started(0, 2), state(0, (2, 0, 5), None));
        if let (Fact::Started { wanted, .. }, Fact::State { wanted: now, .. }) = (&mut start, &mut told) {
            (*wanted, *now) = (Some(2), Some(3));
        }
        assert_eq!(judge(&mut CountersNeverFall::default(), vec![(0.0, start.clone()), (0.0, told.clone())]), Ok(()));
        let forgotten = vec![(0.0, start.clone()), (0.0, state(0, (2, 0, 5), None))];
        assert!(judge(&mut CountersNeverFall::default(), forgotten).unwrap_err().contains("deployment"));
        let written = vec![(0.0, Fact::Written { host: host(0), wanted: Some(3) }), (0.0, start.clone())];
        assert!(judge(&mut CountersNeverFall::default(), written).unwrap_err().contains("was written"));
        let mut fallen = told.clone();
        if let Fact::State { wanted, .. } = &mut fallen {
            *wanted = Some(2);
        }
        let later = vec![(0.0, start), (0.0, told), (1.0, fallen)];
        assert!(judge(&mut CountersNeverFall::default(), later).unwrap_err().contains("deployment"));
    }
}
