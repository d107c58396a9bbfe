//! Every request ends exactly once for its client, and no later than its patience lasts.

use std::collections::{BTreeMap, BTreeSet};

use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{AskId, Entry, Fact};
use crate::physics::Physics;

/// A client that gets no word ends its request so much after its patience, at most.
const GRACE: Duration = Duration::from_secs(1);

/// Every request ends exactly once for its client, and no later than its patience lasts.
#[derive(Debug, Default)]
pub(super) struct OneOutcomeEach {
    open: BTreeMap<AskId, Instant>,
    deadlines: BTreeSet<(Instant, AskId)>,
    over: BTreeSet<AskId>,
}

impl Invariant for OneOutcomeEach {
    fn name(&self) -> &'static str {
        "one-outcome-each"
    }

    fn observe(&mut self, entry: &Entry, _: &Physics) -> Result<(), String> {
        if let Some((deadline, ask)) = self.deadlines.first()
            && *deadline < entry.at
        {
            return Err(format!("request {} has no outcome, though its time is over", ask.0));
        }
        match &entry.fact {
            Fact::Asked { ask, deadline, .. } => {
                if self.over.contains(ask) {
                    return Err(format!("request {} goes on after its outcome", ask.0));
                }
                let until = entry.at + *deadline + GRACE;
                if let Some(before) = self.open.insert(*ask, until) {
                    self.deadlines.remove(&(before, *ask));
                }
                self.deadlines.insert((until, *ask));
            }
            Fact::Over { ask, .. } => {
                if !self.over.insert(*ask) {
                    return Err(format!("request {} has two outcomes", ask.0));
                }
                if let Some(until) = self.open.remove(ask) {
                    self.deadlines.remove(&(until, *ask));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;
    use crate::fact::Outcome;

    fn over() -> Fact {
        Fact::Over { ask: AskId(7), outcome: Outcome::Complete, took: Duration::ZERO, retries: 0, right: true }
    }

    #[test]
    fn one_outcome_passes_two_and_none_do_not() {
        let invariant = OneOutcomeEach::default;
        assert_eq!(judge(&mut invariant(), vec![(0.0, asked(7, 0)), (1.0, over()), (9.0, Fact::Calm)]), Ok(()));
        let twice = vec![(0.0, asked(7, 0)), (1.0, over()), (1.0, over())];
        assert!(judge(&mut invariant(), twice).unwrap_err().contains("two outcomes"));
        assert!(
            judge(&mut invariant(), vec![(0.0, asked(7, 0)), (9.0, Fact::Calm)]).unwrap_err().contains("no outcome")
        );
    }
}
