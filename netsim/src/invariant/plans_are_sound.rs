//! A plan covers every part, fits memory, and names only members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::bundle::Manifest;
use rocoin::id::{Digest, NodeId};
use rocoin::leadership::EpochPlan;

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::model::Model;
use crate::physics::Physics;

/// A plan covers every part, fits memory, and names only members that its leader knew.
#[derive(Debug)]
pub(super) struct PlansAreSound {
    manifests: BTreeMap<Digest, Arc<Manifest>>,
    memories: BTreeMap<NodeId, u64>,
}

impl PlansAreSound {
    pub(super) fn new(models: &[Arc<Model>]) -> Self {
        let manifests = models.iter().map(|m| (m.digest(), Arc::clone(m.manifest()))).collect();
        Self { manifests, memories: BTreeMap::new() }
    }

    fn judge(&self, plan: &EpochPlan, known: &[NodeId], physics: &Physics) -> Result<(), String> {
        let manifest = self.manifests.get(&plan.bundle).ok_or("it is for a bundle that does not exist")?;
        if plan.groups.len() != manifest.parts.len() {
            return Err(format!("it has {} groups for {} parts", plan.groups.len(), manifest.parts.len()));
        }
        let mut used = BTreeMap::<NodeId, u64>::new();
        for (group, part) in plan.groups.iter().zip(&manifest.parts) {
            if group.part != part.part {
                return Err(format!(
                    "its group for part {} stands where that for part {} should",
                    group.part, part.part
                ));
            }
            if group.members.is_empty() {
                return Err(format!("nobody holds part {}", part.part));
            }
            let card = part.students.iter().find(|card| card.digest == group.student);
            let card = card.ok_or_else(|| format!("part {} has no student {:?}", part.part, group.student))?;
            let mut named = BTreeSet::new();
            for member in &group.members {
                if !known.contains(member) {
                    return Err(format!("{member:?} holds part {} and is no member", part.part));
                }
                if !named.insert(member) {
                    return Err(format!("{member:?} holds part {} twice", part.part));
                }
                *used.entry(*member).or_default() += card.memory_bytes;
            }
        }
        for (member, bytes) in used {
            let room = self.memories.get(&member).copied().unwrap_or(0);
            if bytes > room && !physics.was_cloned(member) {
                return Err(format!("{member:?} is to hold {bytes} bytes and has room for {room}"));
            }
        }
        Ok(())
    }
}

impl Invariant for PlansAreSound {
    fn name(&self) -> &'static str {
        "plans-are-sound"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Started { node, memory_bytes, .. } => {
                self.memories.insert(*node, *memory_bytes);
                Ok(())
            }
            Fact::Adopted { host, node, kept: false, plan, known }
                if plan.epoch.leader == *node && !physics.was_cloned(*node) =>
            {
                self.judge(plan, known, physics)
                    .map_err(|why| format!("the plan {} of {host} is unsound: {why}", plan.epoch))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::PartId;

    use super::super::synthetic::*;
    use super::*;

    fn judge_plan(groups: impl FnOnce(&Model) -> Vec<(Digest, Vec<NodeId>)>) -> Result<(), String> {
        judge_changed(groups, |_| ())
    }

    fn judge_changed(
        groups: impl FnOnce(&Model) -> Vec<(Digest, Vec<NodeId>)>,
        change: impl FnOnce(&mut EpochPlan),
    ) -> Result<(), String> {
        let model = Arc::new(Model::synthetic(2, 0));
        let mut plan = plan(epoch(1, 0, 1), model.digest(), groups(&model));
        change(&mut plan);
        let facts = vec![(0.0, started(0, 1)), (0.0, started(1, 1)), (1.0, adopted(0, plan))];
        judge(&mut PlansAreSound::new(&[model]), facts)
    }

    fn student(model: &Model, part: usize, size: usize) -> Digest {
        model.manifest().parts[part].students[size].digest
    }

    #[test]
    fn a_plan_that_covers_every_part_within_memory_passes() {
        let groups = |m: &Model| vec![(student(m, 0, 0), vec![node(0), node(1)]), (student(m, 1, 1), vec![node(1)])];
        assert_eq!(judge_plan(groups), Ok(()));
    }

    #[test]
    fn each_way_to_be_unsound_is_a_violation() {
        let lacks = judge_plan(|m| vec![(student(m, 0, 0), vec![node(0)])]);
        assert!(lacks.unwrap_err().contains("1 groups for 2 parts"));
        let empty = judge_plan(|m| vec![(student(m, 0, 0), vec![node(0)]), (student(m, 1, 0), vec![])]);
        assert!(empty.unwrap_err().contains("nobody holds"));
        let stranger = judge_plan(|m| vec![(student(m, 0, 0), vec![node(200)]), (student(m, 1, 0), vec![node(0)])]);
        assert!(stranger.unwrap_err().contains("is no member"));
        let crossed = judge_plan(|m| vec![(student(m, 1, 0), vec![node(0)]), (student(m, 0, 0), vec![node(0)])]);
        assert!(crossed.unwrap_err().contains("has no student"));
        let heavy = judge_plan(|m| vec![(student(m, 0, 1), vec![node(0)]), (student(m, 1, 1), vec![node(0)])]);
        assert!(heavy.unwrap_err().contains("has room for"));
        let twice = judge_plan(|m| vec![(student(m, 0, 0), vec![node(0), node(0)]), (student(m, 1, 0), vec![node(1)])]);
        assert!(twice.unwrap_err().contains("twice"));
        let misplaced = |plan: &mut EpochPlan| plan.groups[1].part = PartId(0);
        let misplaced =
            judge_changed(|m| vec![(student(m, 0, 0), vec![node(0)]), (student(m, 1, 0), vec![node(1)])], misplaced);
        assert!(misplaced.unwrap_err().contains("should"));
    }
}
