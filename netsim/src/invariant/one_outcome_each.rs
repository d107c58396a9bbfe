//! Every request has exactly one outcome: each node that is asked answers it once and no later than its deadline, unless it dies or stands
//! still, and for its client it ends once, no later than its patience lasts.

use std::collections::{BTreeMap, BTreeSet};

use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{AskId, Entry, Fact, HostId};
use crate::physics::Physics;
use crate::world::{GRACE, REFUSED_AFTER};

/// A request of which nothing is heard for so long after its client's patience is one without an outcome.
const OVERDUE: Duration = Duration::from_secs(1);

/// Every request has exactly one outcome.
#[derive(Debug, Default)]
pub(super) struct OneOutcomeEach {
    clients: Clients,
    coordinators: Coordinators,
}

impl Invariant for OneOutcomeEach {
    fn name(&self) -> &'static str {
        "one-outcome-each"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        self.coordinators.observe(entry, physics)?;
        self.clients.observe(entry)
    }
}

/// A request that is not over for its client.
#[derive(Debug)]
struct Open {
    /// When a node was asked first.
    since: Instant,
    /// Which try that was, and when the client has waited for it long enough.
    tries: u32,
    until: Instant,
}

/// What clients wait for.
#[derive(Debug, Default)]
struct Clients {
    open: BTreeMap<AskId, Open>,
    /// So long after that it must be over, however many nodes that do not run are tried.
    deadlines: BTreeSet<(Instant, AskId)>,
    over: BTreeSet<AskId>,
}

impl Clients {
    fn observe(&mut self, entry: &Entry) -> Result<(), String> {
        if let Some((deadline, ask)) = self.deadlines.first()
            && *deadline < entry.at
        {
            return Err(format!("request {} has no outcome, though its time is over", ask.0));
        }
        match &entry.fact {
            Fact::Asked { ask, tries, deadline, .. } => {
                if self.over.contains(ask) {
                    return Err(format!("request {} goes on after its outcome", ask.0));
                }
                let until = entry.at + *deadline + GRACE;
                let open = self.open.entry(*ask).or_insert(Open { since: entry.at, tries: *tries, until });
                self.deadlines.remove(&(open.until + OVERDUE, *ask));
                (open.tries, open.until) = (*tries, until);
                self.deadlines.insert((until + OVERDUE, *ask));
            }
            Fact::Over { ask, took, retries, .. } => {
                if !self.over.insert(*ask) {
                    return Err(format!("request {} has two outcomes", ask.0));
                }
                let Some(Open { since, tries, until }) = self.open.remove(ask) else { return Ok(()) };
                self.deadlines.remove(&(until + OVERDUE, *ask));
                // To turn to another node takes a moment each time.
                if entry.at > until + REFUSED_AFTER * retries.saturating_sub(tries) {
                    return Err(format!("request {} is over later than its client's patience", ask.0));
                }
                let seen = entry.at.since(since);
                if *took < seen || *took > seen + REFUSED_AFTER * *retries {
                    return Err(format!("request {} is said to have taken {took:?}, and took {seen:?}", ask.0));
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
    /// Who has been asked and has neither answered nor been told that nobody waits any more.
    owing: BTreeMap<Try, HostId>,
    /// Until when those have to answer who can.
    due: BTreeSet<(Instant, Try)>,
    /// Those whose time came while their coordinator stood still: it answers as soon as it goes on.
    late: BTreeSet<Try>,
    /// Those that came while it stood still: it takes them in when it goes on, and has so long then.
    unheard: BTreeMap<Try, Duration>,
}

impl Coordinators {
    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        self.look(entry, physics)?;
        match &entry.fact {
            Fact::Stopped { host, .. } => {
                let gone: Vec<_> = self.owed_by(*host).collect();
                gone.into_iter().for_each(|asked| self.settle(asked));
            }
            Fact::Resumed { host } => {
                for asked in self.owed_by(*host).collect::<Vec<_>>() {
                    if self.late.remove(&asked) {
                        self.due.insert((entry.at, asked));
                    }
                    if let Some(deadline) = self.unheard.remove(&asked) {
                        self.due.insert((entry.at + deadline, asked));
                    }
                }
            }
            Fact::Asked { ask, host, tries, deadline, .. } => {
                let asked = (*ask, *tries);
                self.owing.insert(asked, *host);
                if physics.stands_still(*host) {
                    self.unheard.insert(asked, *deadline);
                } else {
                    self.due.insert((entry.at + *deadline, asked));
                }
            }
            Fact::Answered { ask, host, tries, .. } => {
                if self.owing.get(&(*ask, *tries)) != Some(host) {
                    return Err(format!("{host} answers request {} again, or nobody waits for it there", ask.0));
                }
                self.settle((*ask, *tries));
            }
            Fact::Cancelled { ask, tries, .. } => self.settle((*ask, *tries)),
            _ => {}
        }
        Ok(())
    }

    /// Whether anybody still owes what was due before this.
    fn look(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        while let Some((due, asked)) = self.due.first().copied()
            && due < entry.at
        {
            self.due.pop_first();
            let Some(host) = self.owing.get(&asked).copied() else { continue };
            let goes_on_now = matches!(entry.fact, Fact::Resumed { host: resumed } if resumed == host);
            if !goes_on_now && !physics.stands_still(host) {
                return Err(format!("{host} has not answered request {}, though its deadline is over", asked.0.0));
            }
            self.late.insert(asked);
        }
        Ok(())
    }

    fn owed_by(&self, host: HostId) -> impl Iterator<Item = Try> {
        self.owing.iter().filter(move |(_, owes)| **owes == host).map(|(asked, _)| *asked)
    }

    fn settle(&mut self, asked: Try) {
        self.owing.remove(&asked);
        self.late.remove(&asked);
        self.unheard.remove(&asked);
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;
    use crate::fact::{Kept, Outcome, Reply};

    fn over() -> Fact {
        over_after(1.0)
    }

    fn over_after(took: f64) -> Fact {
        let took = Duration::from_secs_f64(took);
        Fact::Over { ask: AskId(7), outcome: Outcome::Complete, took, retries: 0, right: true }
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
        assert!(judge_all(vec![(2.1, answered())]).unwrap_err().contains("has not answered"));
        assert!(judge_all(vec![(2.2, over_after(2.2))]).unwrap_err().contains("has not answered"));
    }

    #[test]
    fn a_client_is_told_the_time_that_it_took() {
        let told = |took| judge_all(vec![(1.0, answered()), (1.0, over_after(took))]);
        assert_eq!(told(1.0), Ok(()));
        assert!(told(0.5).unwrap_err().contains("took"));
        assert!(told(1.5).unwrap_err().contains("took"));
    }

    #[test]
    fn a_node_that_dies_owes_no_answer_and_one_that_stood_still_owes_it_when_it_goes_on() {
        assert_eq!(judge_all(vec![(1.0, stopped(0, Kept::All)), (1.0, over())]), Ok(()));
        let paused = || (1.0, Fact::Paused { host: host(0) });
        let resumed = |at| (at, Fact::Resumed { host: host(0) });
        let given_up = || (2.2, over_after(2.2));
        assert_eq!(judge_all(vec![paused(), given_up()]), Ok(()), "it stands still to the end");
        assert_eq!(judge_all(vec![paused(), given_up(), resumed(3.0), (3.0, answered())]), Ok(()));
        assert!(judge_all(vec![paused(), given_up(), resumed(3.0)]).unwrap_err().contains("has not answered"));
        let twice = vec![paused(), given_up(), resumed(3.0), (3.0, answered()), (3.0, answered())];
        assert!(judge_all(twice).unwrap_err().contains("again"));
        let shortly = vec![paused(), resumed(1.5), (2.1, answered()), (2.1, over_after(2.1))];
        assert!(judge_all(shortly).unwrap_err().contains("has not answered"), "its deadline is the one it was");
    }

    #[test]
    fn what_was_asked_of_a_node_that_stood_still_is_due_that_much_later() {
        let ask = |answer| {
            let begin = vec![
                (0.0, started(0, 1)),
                (1.0, Fact::Paused { host: host(0) }),
                (2.0, asked(7, 0)),
                (3.0, Fact::Resumed { host: host(0) }),
            ];
            let rest = [(4.2, over_after(2.2)), answer, (9.0, Fact::Calm)];
            judge(&mut OneOutcomeEach::default(), begin.into_iter().chain(rest).collect())
        };
        assert_eq!(ask((5.0, answered())), Ok(()));
        assert!(ask((5.1, answered())).unwrap_err().contains("has not answered"));
    }

    #[test]
    fn a_node_that_knows_that_nobody_waits_any_more_says_nothing() {
        let cancelled = || (1.0, Fact::Cancelled { ask: AskId(7), host: host(0), tries: 0 });
        assert_eq!(judge_all(vec![cancelled(), (1.0, over())]), Ok(()));
        assert!(judge_all(vec![cancelled(), (1.0, over()), (1.5, answered())]).unwrap_err().contains("nobody waits"));
    }
}
