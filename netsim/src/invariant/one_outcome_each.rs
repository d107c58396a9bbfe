//! Every request has exactly one outcome: each node that is asked answers it once and no later than its deadline, unless it dies or stands
//! still, and for its client it ends once, no later than its patience lasts.

use std::collections::{BTreeMap, BTreeSet};

use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{AskId, Entry, Fact, HostId};
use crate::physics::Physics;

/// A client that gets no word ends its request so much after its patience, at most.
const GRACE: Duration = Duration::from_secs(1);

/// Every request has exactly one outcome.
#[derive(Debug, Default)]
pub(super) struct OneOutcomeEach {
    open: BTreeMap<AskId, Instant>,
    deadlines: BTreeSet<(Instant, AskId)>,
    over: BTreeSet<AskId>,
    coordinators: Coordinators,
}

impl Invariant for OneOutcomeEach {
    fn name(&self) -> &'static str {
        "one-outcome-each"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        self.coordinators.observe(entry, physics)?;
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

/// One try of one request.
type Try = (AskId, u32);

/// What those who were asked owe.
#[derive(Debug, Default)]
struct Coordinators {
    /// Who has been asked and has not answered.
    owing: BTreeMap<Try, HostId>,
    /// Until when those have to answer who can.
    due: BTreeSet<(Instant, Try)>,
}

impl Coordinators {
    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Stopped { host, .. } => self.owing.retain(|_, owes| owes != host),
            // Whoever stood still answers late, if at all: its client has turned away meanwhile.
            Fact::Paused { host } => {
                let owing = &self.owing;
                self.due.retain(|(_, asked)| owing.get(asked) != Some(host));
            }
            Fact::Asked { ask, host, tries, deadline, .. } => {
                self.owing.insert((*ask, *tries), *host);
                if !physics.stands_still(*host) {
                    self.due.insert((entry.at + *deadline, (*ask, *tries)));
                }
            }
            Fact::Answered { ask, host, tries, .. } if self.owing.remove(&(*ask, *tries)) != Some(*host) => {
                return Err(format!("{host} answers request {} again, or was not asked", ask.0));
            }
            _ => {}
        }
        while let Some((due, asked)) = self.due.first().copied()
            && due < entry.at
        {
            self.due.pop_first();
            if let Some(host) = self.owing.get(&asked) {
                return Err(format!("{host} has not answered request {}, though its deadline is over", asked.0.0));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;
    use crate::fact::{Kept, Outcome, Reply};

    fn over() -> Fact {
        Fact::Over { ask: AskId(7), outcome: Outcome::Complete, took: Duration::ZERO, retries: 0, right: true }
    }

    fn answered() -> Fact {
        let reply = Reply::Error { outcome: Outcome::NoReplica, text: String::new() };
        Fact::Answered { ask: AskId(7), host: host(0), tries: 0, reply }
    }

    /// A request with two seconds of patience, and what comes of it.
    fn judge_all(facts: Vec<(f64, Fact)>) -> Result<(), String> {
        let begin = [(0.0, started(0, 1)), (0.0, asked(7, 0))];
        judge(&mut OneOutcomeEach::default(), begin.into_iter().chain(facts).chain([(9.0, Fact::Calm)]).collect())
    }

    #[test]
    fn one_outcome_passes_two_and_none_do_not() {
        assert_eq!(judge_all(vec![(1.0, answered()), (1.0, over())]), Ok(()));
        assert!(judge_all(vec![(1.0, answered()), (1.0, over()), (1.0, over())]).unwrap_err().contains("two outcomes"));
        assert!(judge_all(vec![(1.0, answered())]).unwrap_err().contains("no outcome"));
    }

    #[test]
    fn a_node_that_answers_twice_or_not_by_the_deadline_is_a_violation_though_its_client_has_an_outcome() {
        let twice = vec![(1.0, answered()), (1.0, over()), (1.5, answered())];
        assert!(judge_all(twice).unwrap_err().contains("again"));
        assert!(judge_all(vec![(2.2, over())]).unwrap_err().contains("has not answered"));
    }

    #[test]
    fn a_node_that_dies_or_stands_still_owes_no_answer() {
        assert_eq!(judge_all(vec![(1.0, stopped(0, Kept::All)), (1.0, over())]), Ok(()));
        let paused = || (1.0, Fact::Paused { host: host(0) });
        assert_eq!(judge_all(vec![paused(), (2.2, over())]), Ok(()));
        assert_eq!(judge_all(vec![paused(), (2.2, over()), (3.0, answered())]), Ok(()), "late is not too often");
        let twice = vec![paused(), (2.2, over()), (3.0, answered()), (3.0, answered())];
        assert!(judge_all(twice).unwrap_err().contains("again"));
    }
}
