//! A plan as the mesh holds it: with an epoch, node ids and student digests.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Epoch, NodeId, PartId};

/// Who holds which part with which student, as of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPlan {
    /// Orders plans; no node adopts one that is not greater than its own.
    pub epoch: Epoch,
    /// The bundle whose students it assigns.
    pub bundle: Digest,
    /// One a part, in part order.
    pub groups: Vec<PlannedGroup>,
    /// Whether every constraint of the planner held.
    pub feasible: bool,
}

/// The members that hold one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedGroup {
    /// The part.
    pub part: PartId,
    /// The student all of them run.
    pub student: Digest,
    /// Fastest first.
    pub members: Vec<NodeId>,
}

impl EpochPlan {
    /// Whether it can be a plan: one group a part, in part order without a gap, no member twice in a group.
    pub(super) fn is_well_formed(&self) -> bool {
        self.groups.iter().enumerate().all(|(k, group)| {
            let distinct: BTreeSet<_> = group.members.iter().collect();
            usize::from(group.part.0) == k && distinct.len() == group.members.len()
        })
    }

    /// A hash of all of it: eight bytes of its SHA-256.
    pub(super) fn check(&self) -> u64 {
        let Epoch { term, leader, sequence } = self.epoch;
        let mut bytes = [&term.0.to_le_bytes(), &sequence.to_le_bytes(), &[u8::from(self.feasible)][..]].concat();
        bytes.extend([leader.0, self.bundle.0].as_flattened());
        for group in &self.groups {
            bytes.extend(group.part.0.to_le_bytes());
            bytes.extend(group.student.0);
            bytes.extend(u64::try_from(group.members.len()).unwrap_or(u64::MAX).to_le_bytes());
            group.members.iter().for_each(|member| bytes.extend(member.0));
        }
        u64::from_le_bytes(*Digest::of(&bytes).0.first_chunk().expect("a digest has 32 bytes"))
    }

    /// The students that `node` is to hold, in part order.
    pub fn students_of(&self, node: NodeId) -> impl Iterator<Item = (PartId, Digest)> {
        self.groups.iter().filter(move |g| g.members.contains(&node)).map(|g| (g.part, g.student))
    }
}
