//! Every planned student is on the disks of several live members: it outlives the loss of its whole group. And no node deletes what the plan
//! that it follows may need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::id::{Digest, NodeId};
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
    /// Bytes of each bundle's artifacts.
    artifacts: BTreeMap<Digest, BTreeMap<Digest, u64>>,
    /// The bundle of the plan that each host follows, and the one that it wants served.
    follows: BTreeMap<HostId, Digest>,
    wants: BTreeMap<HostId, Digest>,
    /// What is on each disk, damaged files included, and without them.
    held: BTreeMap<HostId, BTreeSet<Digest>>,
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
            Fact::Stored { host, held, sound } => {
                self.held.insert(*host, held.iter().copied().collect());
                self.sound.insert(*host, sound.iter().copied().collect());
            }
            Fact::Adopted { host, plan, .. } => {
                self.follows.insert(*host, plan.bundle);
                if self.plan.as_ref().is_none_or(|(p, _)| p.epoch < plan.epoch) {
                    self.plan = Some(((**plan).clone(), entry.at));
                }
            }
            Fact::State { host, wanted_bundle: Some(wanted), .. } => {
                self.wants.insert(*host, *wanted);
            }
            Fact::Stopped { host, .. } => {
                self.follows.remove(host);
                self.wants.remove(host);
            }
            Fact::Discarded { host, artifact } => {
                let belongs =
                    |bundle: &Digest| self.artifacts.get(bundle).is_some_and(|all| all.contains_key(artifact));
                for (bundles, what) in [(&self.follows, "its plan is for"), (&self.wants, "is to be served")] {
                    if bundles.get(host).is_some_and(belongs) {
                        return Err(format!("{host} deletes {artifact}, which belongs to the bundle that {what}"));
                    }
                }
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
        let sizes = |m: &Arc<Model>| m.artifacts().iter().map(|(digest, blob)| (*digest, blob.len() as u64)).collect();
        let artifacts = models.iter().map(|m| (m.digest(), sizes(m))).collect();
        let (follows, wants, held, sound) = Default::default();
        Self { artifacts, follows, wants, held, sound, plan: None }
    }

    fn look(&self, physics: &Physics) -> Result<(), String> {
        let Some((plan, since)) = &self.plan else { return Ok(()) };
        if physics.now().since(*since) < SETTLED {
            return Ok(());
        }
        let all: Vec<_> = physics.running().map(|(host, body)| (host, body.node)).collect();
        let may_keep = |(host, node): &(HostId, NodeId)| {
            physics.is_disk_well(*host, SETTLED) && physics.is_quick(*host, SETTLED) && !physics.was_cloned(*node)
        };
        if !physics.is_fleet_calm(SETTLED) || !all.iter().all(may_keep) {
            return Ok(());
        }
        let size: u64 = self.artifacts.get(&plan.bundle).map_or(0, |artifacts| artifacts.values().sum());
        let has_room = |host: HostId| physics.body(host).is_some_and(|b| b.disk_bytes >= 2 * size);
        let holds = |host: &HostId, artifact| self.held.get(host).is_some_and(|held| held.contains(artifact));
        let can_be_had = |artifact: &Digest| {
            all.iter().any(|(host, _)| self.sound.get(host).is_some_and(|sound| sound.contains(artifact)))
        };
        if !can_be_had(&plan.bundle) {
            return Ok(());
        }
        if let Some((host, _)) = all.iter().find(|(host, _)| !holds(host, &plan.bundle)) {
            return Err(format!("{host} has no manifest of the plan's bundle, in a fleet undisturbed for {SETTLED:?}"));
        }
        for group in &plan.groups {
            let outside = all.iter().filter(|(h, node)| !group.members.contains(node) && has_room(*h)).count();
            let outsiders = all.iter().filter(|(_, node)| !group.members.contains(node));
            let holders = outsiders.filter(|(host, _)| holds(host, &group.student)).count();
            if holders < outside.min(HOLDERS_OUTSIDE) && can_be_had(&group.student) {
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
        let stored = |h| {
            let held = if h <= holders { vec![digest(1), digest(2)] } else { vec![digest(1)] };
            Fact::Stored { host: host(h), held, sound: sound.to_vec() }
        };
        let mut facts: Vec<_> = (0..6).map(|h| (0.0, started(h, 1))).collect();
        facts.push((1.0, adopted(0, plan(epoch(1, 0, 1), digest(1), vec![(digest(2), vec![node(0)])]))));
        facts.extend((0..6).map(|h| (2.0, stored(h))));
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

    #[test]
    fn what_belongs_to_the_bundle_of_the_plan_must_not_be_deleted_and_all_else_may() {
        let models = [Arc::new(Model::synthetic(2, 0)), Arc::new(Model::synthetic(2, 1))];
        let follows = |model: &Model| adopted(0, plan(epoch(1, 0, 1), model.digest(), Vec::new()));
        let discarded = |h, artifact| Fact::Discarded { host: host(h), artifact };
        let student = models[0].manifest().parts[1].students[0].digest;
        let judge_after = |model: &Model, fact| {
            judge(&mut StudentsSurvive::new(&models), vec![(0.0, started(0, 1)), (1.0, follows(model)), (2.0, fact)])
        };
        assert!(judge_after(&models[0], discarded(0, student)).unwrap_err().contains("deletes"));
        assert!(judge_after(&models[0], discarded(0, models[0].digest())).is_err());
        assert_eq!(judge_after(&models[1], discarded(0, student)), Ok(()));
        assert_eq!(judge_after(&models[0], discarded(1, student)), Ok(()), "it follows no plan");
    }

    #[test]
    fn what_belongs_to_the_bundle_that_is_to_be_served_must_not_be_deleted_either() {
        let model = Arc::new(Model::synthetic(2, 0));
        let student = model.manifest().parts[1].students[0].digest;
        let mut wants = state(0, (1, 0, 1), None);
        if let Fact::State { wanted_bundle, .. } = &mut wants {
            *wanted_bundle = Some(model.digest());
        }
        let discarded = Fact::Discarded { host: host(0), artifact: student };
        let mut survive = StudentsSurvive::new(&[model]);
        let facts = vec![(0.0, started(0, 1)), (1.0, wants), (2.0, discarded)];
        assert!(judge(&mut survive, facts).unwrap_err().contains("is to be served"));
    }

    #[test]
    fn everybody_has_the_manifest_of_what_is_served() {
        let mut facts: Vec<_> = (0..2).map(|h| (0.0, started(h, 1))).collect();
        facts.push((1.0, adopted(0, plan(epoch(1, 0, 1), digest(1), Vec::new()))));
        let held = vec![digest(1)];
        facts.push((2.0, Fact::Stored { host: host(0), held: held.clone(), sound: held }));
        facts.push((50.0, Fact::View { host: host(0), members: Vec::new(), parts_served: 1, parts: 1 }));
        let evidence = judge(&mut StudentsSurvive::new(&[]), facts).unwrap_err();
        assert!(evidence.contains("n1 has no manifest"), "{evidence}");
    }
}
