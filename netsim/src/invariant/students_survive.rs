//! Every planned student is on the disks of several live members: it outlives the loss of its whole group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::id::Digest;
use rocoin::leadership::EpochPlan;
use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{Entry, Fact, HostId};
use crate::model::Model;
use crate::physics::Physics;

/// In a fleet that nothing has disturbed for so long, whoever should hold a student does. Ours: time to notice, plan, fetch.
const SETTLED: Duration = Duration::from_secs(40);
/// Holders that each planned student then has outside its group, if there are so many members. From the design.
const HOLDERS_OUTSIDE: usize = 3;

/// Every planned student is on the disks of several live members.
#[derive(Debug)]
pub(super) struct StudentsSurvive {
    /// Bytes of each bundle.
    sizes: BTreeMap<Digest, u64>,
    stored: BTreeMap<HostId, BTreeSet<Digest>>,
    sound: BTreeMap<HostId, BTreeSet<Digest>>,
    /// The greatest plan, and when it was first adopted.
    plan: Option<(EpochPlan, Instant)>,
}

impl Invariant for StudentsSurvive {
    fn name(&self) -> &'static str {
        "students-survive"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Stored { host, students, sound } => {
                self.stored.insert(*host, students.iter().copied().collect());
                self.sound.insert(*host, sound.iter().copied().collect());
            }
            Fact::Adopted { plan, .. } if self.plan.as_ref().is_none_or(|(p, _)| p.epoch < plan.epoch) => {
                self.plan = Some(((**plan).clone(), entry.at));
            }
            Fact::View { host, .. } => {
                // One look at a time is enough.
                let first = physics.running().next().map(|(first, _)| first);
                if first == Some(*host) {
                    return self.look(physics);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl StudentsSurvive {
    pub(super) fn new(models: &[Arc<Model>]) -> Self {
        let size = |m: &Arc<Model>| m.artifacts().values().map(|blob| blob.len() as u64).sum();
        let sizes = models.iter().map(|m| (m.digest(), size(m))).collect();
        Self { sizes, stored: BTreeMap::new(), sound: BTreeMap::new(), plan: None }
    }

    fn look(&self, physics: &Physics) -> Result<(), String> {
        let Some((plan, since)) = &self.plan else { return Ok(()) };
        if physics.now().since(*since) < SETTLED {
            return Ok(());
        }
        let all: Vec<_> = physics.running().map(|(host, body)| (host, body.node)).collect();
        if !physics.is_fleet_calm(SETTLED) || all.iter().any(|(_, node)| physics.was_cloned(*node)) {
            return Ok(());
        }
        let size = self.sizes.get(&plan.bundle).copied().unwrap_or(0);
        for group in &plan.groups {
            let has_room = |host: HostId| physics.body(host).is_some_and(|b| b.disk_bytes >= 2 * size);
            let outside = all.iter().filter(|(h, node)| !group.members.contains(node) && has_room(*h)).count();
            let holds = |host: &HostId| self.stored.get(host).is_some_and(|stored| stored.contains(&group.student));
            let holders = all.iter().filter(|(host, node)| !group.members.contains(node) && holds(host)).count();
            let can_be_had = |artifact: &Digest| {
                all.iter().any(|(host, _)| self.sound.get(host).is_some_and(|sound| sound.contains(artifact)))
            };
            let is_lost = !can_be_had(&group.student) || !can_be_had(&plan.bundle);
            if holders < outside.min(HOLDERS_OUTSIDE) && !is_lost {
                return Err(format!(
                    "outside its group the student of part {} is on {holders} disks, {outside} others have room for it, in a fleet undisturbed for {SETTLED:?}",
                    group.part
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    fn judge_stored(holders: u8, at: f64, sound: &[Digest]) -> Result<(), String> {
        let stored = |h| Fact::Stored { host: host(h), students: vec![digest(2)], sound: sound.to_vec() };
        let mut facts: Vec<_> = (0..6).map(|h| (0.0, started(h, 1))).collect();
        facts.push((1.0, adopted(0, plan(epoch(1, 0, 1), digest(1), vec![(digest(2), vec![node(0)])]))));
        facts.push((2.0, stored(0)));
        facts.extend((0..holders).map(|h| (2.0, stored(h + 1))));
        facts.push((at, Fact::View { host: host(0), members: Vec::new(), parts_served: 1, parts: 1 }));
        judge(&mut StudentsSurvive::new(&[]), facts)
    }

    #[test]
    fn three_holders_outside_the_group_pass_and_two_do_not() {
        let sound = [digest(1), digest(2)];
        assert_eq!(judge_stored(3, 50.0, &sound), Ok(()));
        assert!(judge_stored(2, 50.0, &sound).unwrap_err().contains("on 2 disks"));
        assert_eq!(judge_stored(0, 20.0, &sound), Ok(()), "a young fleet is excused");
        assert_eq!(judge_stored(2, 50.0, &sound[..1]), Ok(()), "nobody can fetch what is damaged everywhere");
    }
}
