//! When several nodes are one mesh that serves.

use std::collections::BTreeSet;

use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin::node::{NodeSnapshot, PartSnapshot};

/// Whether nodes are one mesh: they see just each other alive, follow one leader by one plan, and reach every part. `nodes` are their
/// identities, `statuses` what each of them says.
///
/// # Errors
/// What is lacking, for people.
pub fn is_whole(nodes: &BTreeSet<NodeId>, statuses: &[&NodeSnapshot], parts: usize) -> Result<(), String> {
    if statuses.len() != nodes.len() {
        return Err(format!("{} of {} nodes answer", statuses.len(), nodes.len()));
    }
    for status in statuses {
        let name = &status.name;
        let alive: BTreeSet<NodeId> =
            status.members.iter().filter(|m| m.state == State::Alive && m.routable).map(|m| m.node).collect();
        if alive != *nodes {
            return Err(format!("{name} sees {} members alive, not the {} there are", alive.len(), nodes.len()));
        }
        if !status.leader.is_some_and(|leader| nodes.contains(&leader)) {
            return Err(format!("{name} follows nobody who is there"));
        }
        if status.parts_served != parts {
            return Err(format!("{name} reaches {} of {parts} parts", status.parts_served));
        }
        let is_planned_here = |group: &[NodeId]| !group.is_empty() && group.iter().all(|id| nodes.contains(id));
        if !status.parts.iter().all(|part| is_planned_here(&part.group)) {
            return Err(format!("{name} has a plan that names others"));
        }
    }
    if statuses.windows(2).any(|two| two[0].leader != two[1].leader || two[0].epoch != two[1].epoch) {
        return Err("they do not follow one leader by one plan".to_owned());
    }
    Ok(())
}

/// Whether every part has at least two planned replicas that are ready, as this node sees it. What is left of an older plan does not
/// count, since it goes.
///
/// # Errors
/// What is lacking, for people.
pub fn is_redundant(status: &NodeSnapshot, parts: usize) -> Result<(), String> {
    let ready = |part: &PartSnapshot| part.group.iter().filter(|member| part.ready.contains(member)).count();
    let twice = status.parts.iter().filter(|part| ready(part) >= 2).count();
    if twice == parts { Ok(()) } else { Err(format!("{twice} of {parts} parts are held twice")) }
}
