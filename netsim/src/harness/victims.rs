//! Which nodes to hit, read from the plan that the mesh made itself.

use std::collections::BTreeSet;

use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;

/// Nodes such that each part loses a replica and keeps another; parts that share devices may lose theirs to one kill.
pub fn one_per_group(status: &NodeSnapshot) -> BTreeSet<NodeId> {
    let mut victims = BTreeSet::new();
    let survives = |victims: &BTreeSet<NodeId>| {
        status.parts.iter().all(|part| part.ready.iter().any(|replica| !victims.contains(replica)))
    };
    for part in &status.parts {
        if part.ready.iter().any(|replica| victims.contains(replica)) {
            continue;
        }
        for replica in &part.ready {
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
