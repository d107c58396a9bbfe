//! Which nodes to hit, read from the plan that the mesh made itself.

use std::collections::BTreeSet;

use rocoin::id::NodeId;
use rocoin::node::{NodeSnapshot, PartSnapshot};

/// Nodes such that each part loses a planned replica and keeps another; parts that share devices may lose theirs to one kill. What is
/// left of an older plan is neither hit nor counted on, since it goes by itself.
pub fn one_per_group(status: &NodeSnapshot) -> BTreeSet<NodeId> {
    let replicas = |part: &PartSnapshot| part.group.iter().copied().filter(|id| part.ready.contains(id)).collect();
    let groups: Vec<Vec<NodeId>> = status.parts.iter().map(replicas).collect();
    let survives =
        |victims: &BTreeSet<NodeId>| groups.iter().all(|group| group.iter().any(|replica| !victims.contains(replica)));
    let mut victims = BTreeSet::new();
    for group in &groups {
        if group.iter().any(|replica| victims.contains(replica)) {
            continue;
        }
        for replica in group {
            victims.insert(*replica);
            if survives(&victims) {
                break;
            }
            victims.remove(replica);
        }
    }
    victims
}

/// All replicas of one part: of that part whose loss takes the fewest other parts with it.
pub fn whole_group(status: &NodeSnapshot) -> BTreeSet<NodeId> {
    let group = |part: usize| status.parts[part].ready.iter().copied().collect::<BTreeSet<_>>();
    let lost = |victims: &BTreeSet<NodeId>| {
        status.parts.iter().filter(|part| part.ready.iter().all(|replica| victims.contains(replica))).count()
    };
    (0..status.parts.len()).map(group).min_by_key(|victims| (lost(victims), victims.len())).unwrap_or_default()
}

/// A replica of the first part that does not lead.
pub fn follower(status: &NodeSnapshot) -> Option<NodeId> {
    status.parts.first()?.ready.iter().copied().find(|replica| Some(*replica) != status.leader)
}
