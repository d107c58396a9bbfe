//! No dead incarnation revives: what a node has given up, it takes back only at a later time of that member.

use std::collections::BTreeMap;

use rocoin::id::{Generation, Incarnation, NodeId};
use rocoin::membership::State;

use super::Invariant;
use crate::fact::{Entry, Fact, HostId};
use crate::physics::Physics;

/// What a node knows to be over of a member.
#[derive(Debug, Clone, Copy, Default)]
struct Grave {
    /// The greatest start ever held alive or suspect.
    generation: Generation,
    /// Held down at this time of it.
    down: Option<(Generation, Incarnation)>,
    /// Said farewell at this start.
    left: Option<Generation>,
}

/// No dead incarnation revives.
#[derive(Debug, Default)]
pub(super) struct TheDeadStayDead {
    graves: BTreeMap<(HostId, NodeId), Grave>,
    farewells: BTreeMap<NodeId, Generation>,
}

impl Invariant for TheDeadStayDead {
    fn name(&self) -> &'static str {
        "the-dead-stay-dead"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            // A node that starts anew knows nothing.
            Fact::Started { host, .. } => self.graves.retain(|(observer, _), _| observer != host),
            Fact::Stopped { host, left: true, .. } => {
                if let Some(body) = physics.body(*host) {
                    self.farewells.insert(body.node, body.generation);
                }
            }
            Fact::Opinion { host, member, generation, incarnation, state } if !physics.was_cloned(*member) => {
                let grave = self.graves.entry((*host, *member)).or_default();
                let at = (*generation, *incarnation);
                match state {
                    Some(State::Down) => grave.down = Some(at),
                    // Without a farewell it was only forgotten: then its own word brings it back.
                    None => (grave.left, grave.down) = (self.farewells.get(member).copied(), None),
                    Some(state @ (State::Alive | State::Suspect)) => {
                        let revives =
                            |what: &str| Err(format!("{host} holds {member:?} {state:?} at {at:?}, which {what}"));
                        if *generation < grave.generation {
                            return revives("is an earlier start than it has seen");
                        }
                        if grave.down.is_some_and(|down| at <= down) {
                            return revives("it has given up");
                        }
                        if grave.left.is_some_and(|left| *generation <= left) {
                            return revives("has said farewell");
                        }
                        grave.generation = *generation;
                    }
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
    use crate::fact::Kept;

    fn opinion(generation: u64, incarnation: u32, state: Option<State>) -> Fact {
        let (generation, incarnation) = (Generation(generation), Incarnation(incarnation));
        Fact::Opinion { host: host(0), member: node(1), generation, incarnation, state }
    }

    fn judge_opinions(opinions: Vec<Fact>) -> Result<(), String> {
        let facts = [started(0, 1), started(1, 1)].into_iter().chain(opinions).map(|fact| (1.0, fact)).collect();
        judge(&mut TheDeadStayDead::default(), facts)
    }

    #[test]
    fn a_refutation_and_a_restart_revive() {
        let (alive, down) = (Some(State::Alive), Some(State::Down));
        assert_eq!(judge_opinions(vec![opinion(1, 0, alive), opinion(1, 0, down), opinion(1, 1, alive)]), Ok(()));
        assert_eq!(judge_opinions(vec![opinion(1, 0, alive), opinion(1, 5, down), opinion(2, 0, alive)]), Ok(()));
    }

    #[test]
    fn old_news_do_not() {
        let (alive, down) = (Some(State::Alive), Some(State::Down));
        let same = judge_opinions(vec![opinion(1, 2, down), opinion(1, 2, alive)]);
        assert!(same.unwrap_err().contains("given up"));
        let earlier = judge_opinions(vec![opinion(2, 0, alive), opinion(1, 9, alive)]);
        assert!(earlier.unwrap_err().contains("earlier start"));
        let gone = Fact::Stopped { host: host(1), left: true, disk: Kept::All };
        let left = judge_opinions(vec![opinion(1, 0, alive), gone, opinion(1, 0, None), opinion(1, 1, alive)]);
        assert!(left.unwrap_err().contains("farewell"));
    }
}
