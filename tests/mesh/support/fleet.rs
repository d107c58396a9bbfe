//! Meshes that serve the small bundle, and what they are asked.

use std::collections::BTreeSet;

use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin::node::NodeSnapshot;
use rocoin_netsim::harness::{Mesh, NodeOptions, wait_until};

use super::{PATIENCE, binary, bundle};

/// A device that needs no calibration, and so unreliable that every part gets at least two replicas.
pub(crate) fn well_options(name: &str) -> NodeOptions {
    let flags =
        ["--flops-per-s", "1e9", "--memory-bytes", "100000000", "--failure-probability", "0.2", "--fault-injection"];
    NodeOptions { flags: flags.map(str::to_owned).to_vec(), ..NodeOptions::named(name) }
}

/// `nodes` equal nodes that know each other; nothing is deployed.
pub(crate) fn start(nodes: usize) -> Mesh {
    let mut mesh = Mesh::new(&binary()).unwrap();
    if nodes == 0 {
        return mesh;
    }
    mesh.start_all((0..nodes).map(|n| well_options(&format!("node{n}"))).collect()).unwrap();
    mesh.wait("everybody knows everybody", PATIENCE, |status| {
        let alive = status.members.iter().filter(|m| m.state == State::Alive).count();
        if alive == nodes { Ok(()) } else { Err(format!("{alive} of {nodes}")) }
    })
    .unwrap();
    mesh
}

/// `nodes` equal nodes that serve the small bundle, each ready with all that the plan gives it.
pub(crate) fn serving(nodes: usize) -> Mesh {
    let mesh = start(nodes);
    mesh.deploy(&bundle().path()).unwrap();
    agreed(&mesh);
    mesh
}

/// Waits until all that are well see the same: the members alive are those, one leader, one plan that uses nobody else, every
/// planned replica ready. Gives that view.
pub(crate) fn agreed(mesh: &Mesh) -> NodeSnapshot {
    wait_until("all agree and serve", PATIENCE, || {
        let well: BTreeSet<NodeId> = mesh.well().map(|(_, node)| node.id().unwrap()).collect();
        let mut first: Option<NodeSnapshot> = None;
        for (_, node) in mesh.well() {
            let status = node.status().map_err(|e| e.to_string())?;
            is_settled(&status, &well).map_err(|e| format!("{}: {e}", node.name()))?;
            match &first {
                None => first = Some(status),
                Some(other) if (other.leader, &other.epoch) == (status.leader, &status.epoch) => {}
                Some(other) => {
                    return Err(format!(
                        "{:?} {:?} against {:?} {:?}",
                        other.leader, other.epoch, status.leader, status.epoch
                    ));
                }
            }
        }
        first.ok_or_else(|| "nobody is well".to_owned())
    })
    .unwrap()
}

fn is_settled(status: &NodeSnapshot, well: &BTreeSet<NodeId>) -> Result<(), String> {
    let alive: BTreeSet<NodeId> =
        status.members.iter().filter(|m| m.state == State::Alive && m.routable).map(|m| m.node).collect();
    if alive != *well {
        return Err(format!("alive and routable are {alive:?} instead of {well:?}"));
    }
    if status.leader.is_none_or(|leader| !well.contains(&leader)) {
        return Err(format!("the leader is {:?}", status.leader));
    }
    if status.parts.is_empty() {
        return Err("nothing is served".to_owned());
    }
    for part in &status.parts {
        if part.group.is_empty() || !part.group.iter().all(|id| part.ready.contains(id)) {
            return Err(format!("part {}: group {:?}, ready {:?}", part.part, part.group, part.ready));
        }
        if !part.group.iter().all(|id| well.contains(id)) {
            return Err(format!("part {} is planned on a lost member: {:?}", part.part, part.group));
        }
    }
    Ok(())
}

/// (term, sequence) of a view's plan.
pub(crate) fn epoch(status: &NodeSnapshot) -> (u64, u64) {
    let text = status.epoch.as_deref().unwrap();
    let mut numbers = text.split('.');
    let term = numbers.next().unwrap().parse().unwrap();
    (term, numbers.next_back().unwrap().parse().unwrap())
}

/// The nodes that can answer for a part.
pub(crate) fn holders(mesh: &Mesh, status: &NodeSnapshot, part: usize) -> Vec<usize> {
    status.parts[part].ready.iter().filter_map(|id| mesh.index_of(*id)).collect()
}

/// The smallest set of nodes that has a replica of every part and leaves one of every part.
pub(crate) fn one_of_each_part(mesh: &Mesh, status: &NodeSnapshot) -> Vec<usize> {
    let nodes = mesh.nodes().len();
    let groups: Vec<Vec<usize>> = (0..status.parts.len()).map(|part| holders(mesh, status, part)).collect();
    let mut sets: Vec<Vec<usize>> =
        (1_u32..1 << nodes).map(|bits| (0..nodes).filter(|n| bits & (1 << n) != 0).collect()).collect();
    sets.sort_by_key(Vec::len);
    let fits = |set: &Vec<usize>| {
        groups.iter().all(|g| g.iter().any(|n| set.contains(n)) && g.iter().any(|n| !set.contains(n)))
    };
    sets.into_iter().find(fits).unwrap_or_else(|| panic!("no such set in {groups:?}"))
}
