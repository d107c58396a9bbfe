//! A student of an older plan is unloaded only when the new plan is served without it, unless memory leaves no choice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::bundle::Manifest;
use rocoin::id::{Digest, NodeId};
use rocoin::leadership::{EpochPlan, PlannedGroup};
use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{Entry, Fact, HostId};
use crate::model::Model;
use crate::physics::Physics;

/// A node may not know yet what ended so long ago. Ours: far above what a failure takes to be noticed.
const LATELY: Duration = Duration::from_secs(15);

/// A student of an older plan is unloaded only when the new plan is served without it.
#[derive(Debug)]
pub(super) struct ReplacedBeforeUnloaded {
    manifests: Vec<Arc<Manifest>>,
    plans: BTreeMap<HostId, EpochPlan>,
    ready: BTreeMap<HostId, BTreeSet<Digest>>,
    /// When a student of a node was last seen ready.
    seen: BTreeMap<(NodeId, Digest), Instant>,
}

impl ReplacedBeforeUnloaded {
    pub(super) fn new(models: &[Arc<Model>]) -> Self {
        let manifests = models.iter().map(|m| Arc::clone(m.manifest())).collect();
        let (plans, ready, seen) = Default::default();
        Self { manifests, plans, ready, seen }
    }

    fn memory_of(&self, student: Digest) -> u64 {
        self.manifests.iter().find_map(|m| m.student(student)).map_or(0, |(_, card)| card.memory_bytes)
    }

    fn judge(&self, host: HostId, before: &BTreeSet<Digest>, physics: &Physics) -> Result<(), String> {
        let (Some(plan), Some(body)) = (self.plans.get(&host), physics.body(host)) else { return Ok(()) };
        let mut wanted = before.clone();
        wanted.extend(plan.students_of(body.node).map(|(_, student)| student));
        let bytes: u64 = wanted.iter().map(|student| self.memory_of(*student)).sum();
        if bytes > body.memory_bytes || physics.calm_for(host) < LATELY {
            return Ok(());
        }
        let lately = |at: &Instant| physics.now().since(*at) <= LATELY;
        let serves = |group: &PlannedGroup, member: &NodeId| {
            let now = physics.host_of(*member).and_then(|h| self.ready.get(&h));
            now.is_some_and(|ready| ready.contains(&group.student))
                || self.seen.get(&(*member, group.student)).is_some_and(lately)
                || physics.was_cloned(*member)
        };
        let is_lacking =
            |group: &&PlannedGroup| !group.members.is_empty() && !group.members.iter().any(|m| serves(group, m));
        match plan.groups.iter().find(is_lacking) {
            Some(group) => Err(format!(
                "{host} unloads a student though nobody has been ready for part {} of its plan {} in the last {LATELY:?}",
                group.part, plan.epoch
            )),
            None => Ok(()),
        }
    }

    fn end(&mut self, host: HostId, students: &BTreeSet<Digest>, at: Instant, physics: &Physics) {
        let node = physics.body(host).map(|body| body.node);
        self.seen.extend(node.into_iter().flat_map(|node| students.iter().map(move |student| ((node, *student), at))));
    }
}

impl Invariant for ReplacedBeforeUnloaded {
    fn name(&self) -> &'static str {
        "replaced-before-unloaded"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Stopped { host, .. } => {
                self.plans.remove(host);
                let before = self.ready.remove(host).unwrap_or_default();
                self.end(*host, &before, entry.at, physics);
            }
            Fact::Adopted { host, plan, .. } => {
                self.plans.insert(*host, (**plan).clone());
            }
            Fact::Ready { host, students } => {
                let now: BTreeSet<_> = students.iter().copied().collect();
                let before = self.ready.insert(*host, now.clone()).unwrap_or_default();
                let gone: BTreeSet<_> = before.difference(&now).copied().collect();
                self.end(*host, &gone, entry.at, physics);
                if !gone.is_empty() {
                    return self.judge(*host, &before, physics);
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

    /// Host 0 served part 0 with student 1; by the new plan host 1 does, with student 2, ready from `ready_at` on.
    fn judge_unload(ready_at: f64) -> Result<(), String> {
        let ready = |h, students| Fact::Ready { host: host(h), students };
        let next = plan(epoch(1, 0, 2), digest(9), vec![(digest(2), vec![node(1)])]);
        let mut facts = vec![
            (0.0, started(0, 1)),
            (0.0, started(1, 1)),
            (1.0, ready(0, vec![digest(1)])),
            (20.0, adopted(0, next)),
            (30.0, ready(0, Vec::new())),
            (ready_at, ready(1, vec![digest(2)])),
        ];
        facts.sort_by(|a, b| a.0.total_cmp(&b.0));
        judge(&mut ReplacedBeforeUnloaded::new(&[]), facts)
    }

    #[test]
    fn a_student_goes_once_its_successor_is_ready_and_no_sooner() {
        assert_eq!(judge_unload(25.0), Ok(()));
        assert!(judge_unload(35.0).unwrap_err().contains("part 0"));
    }

    #[test]
    fn a_successor_that_was_ready_a_moment_ago_is_an_excuse() {
        let next = plan(epoch(1, 0, 2), digest(9), vec![(digest(2), vec![node(1)])]);
        let ready = |h, students| Fact::Ready { host: host(h), students };
        let crashed = |at| {
            let facts = vec![
                (0.0, started(0, 1)),
                (0.0, started(1, 1)),
                (1.0, ready(0, vec![digest(1)])),
                (2.0, ready(1, vec![digest(2)])),
                (20.0, adopted(0, next.clone())),
                (21.0, stopped(1, crate::fact::Kept::All)),
                (at, ready(0, Vec::new())),
            ];
            judge(&mut ReplacedBeforeUnloaded::new(&[]), facts)
        };
        assert_eq!(crashed(22.0), Ok(()));
        assert!(crashed(50.0).is_err());
    }
}
