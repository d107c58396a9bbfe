//! Where nothing is wrong for a while all nodes follow one leader, which runs and knows that it leads.

use std::collections::BTreeMap;

use rocoin::id::NodeId;
use rocoin::time::Duration;

use super::Invariant;
use crate::fact::{Entry, Fact, HostId};
use crate::physics::Physics;

/// Nothing has disturbed any host, link or disk for so long. Ours: a suspicion, the hold-off, a claim that is written, and
/// reminders of it where messages are lost.
const SETTLED: Duration = Duration::from_secs(30);

/// Where nothing is wrong for a while all nodes follow one leader.
#[derive(Debug, Default)]
pub(super) struct CalmMeshesAgree {
    leaders: BTreeMap<HostId, Option<NodeId>>,
}

impl CalmMeshesAgree {
    fn look(&self, physics: &Physics) -> Result<(), String> {
        let all: Vec<_> = physics.running().map(|(host, body)| (host, body.node)).collect();
        let leader_of = |host: &HostId| self.leaders.get(host).copied().flatten();
        let followed = all.first().and_then(|(first, _)| leader_of(first));
        let leads = all.iter().any(|(host, node)| Some(*node) == followed && leader_of(host) == followed);
        let other = all.iter().find(|(host, _)| leader_of(host) != followed);
        if leads && other.is_none() {
            return Ok(());
        }
        let may_agree =
            |(host, node): &(HostId, NodeId)| physics.is_disk_well(*host, SETTLED) && !physics.was_cloned(*node);
        if !physics.is_fleet_calm(SETTLED) || !all.iter().all(may_agree) {
            return Ok(());
        }
        let first = all.first().map(|(first, _)| first.to_string()).unwrap_or_default();
        let what = match other {
            Some((host, _)) => format!("{first} follows {followed:?}, {host} follows {:?}", leader_of(host)),
            None => format!("all follow {followed:?}, which does not lead"),
        };
        Err(format!("{what}, in a fleet undisturbed for {SETTLED:?}"))
    }
}

impl Invariant for CalmMeshesAgree {
    fn name(&self) -> &'static str {
        "calm-meshes-agree"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Started { host, .. } => {
                self.leaders.insert(*host, None);
            }
            Fact::State { host, leader, .. } => {
                self.leaders.insert(*host, *leader);
            }
            // One look at a time is enough.
            Fact::View { host, .. } if physics.running().next().is_some_and(|(first, _)| first == *host) => {
                return self.look(physics);
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

    fn follows(h: u8, leader: u8) -> Fact {
        let mut told = state(h, (1, 0, 1), None);
        if let Fact::State { leader: follows, .. } = &mut told {
            *follows = Some(node(leader));
        }
        told
    }

    fn judge_leaders(leaders: [u8; 3], wrong: Vec<(f64, Fact)>) -> Result<(), String> {
        let mut facts: Vec<_> = (0..3).map(|h| (0.0, started(h, 1))).collect();
        facts.extend((0..).zip(leaders).map(|(h, leader)| (1.0, follows(h, leader))));
        facts.extend(wrong);
        facts.push((40.0, Fact::View { host: host(0), members: Vec::new(), parts_served: 0, parts: 0 }));
        judge(&mut CalmMeshesAgree::default(), facts)
    }

    #[test]
    fn one_leader_passes_and_two_or_an_absent_one_do_not() {
        assert_eq!(judge_leaders([2, 2, 2], Vec::new()), Ok(()));
        assert!(judge_leaders([2, 1, 2], Vec::new()).unwrap_err().contains("n1 follows"));
        assert!(judge_leaders([7, 7, 7], Vec::new()).unwrap_err().contains("does not lead"));
    }

    #[test]
    fn a_fleet_in_trouble_may_disagree() {
        let cut = (20.0, Fact::Cut { from: host(0), to: host(1) });
        assert_eq!(judge_leaders([2, 1, 2], vec![cut]), Ok(()));
        assert_eq!(
            judge_leaders([7, 7, 7], vec![(20.0, started(7, 1)), (39.0, stopped(7, crate::fact::Kept::All))]),
            Ok(())
        );
        let full = (20.0, Fact::Disk { host: host(1), sound: false });
        assert_eq!(judge_leaders([2, 1, 2], vec![full]), Ok(()));
    }
}
