//! What the nodes say of themselves and of each other.

use std::collections::BTreeSet;

use rocoin::node::NodeSnapshot;
use rocoin_netsim::harness::Mesh;

/// The statuses of all well nodes, by index.
#[derive(Debug, Clone, Default)]
pub(super) struct Observer {
    statuses: Vec<(usize, NodeSnapshot)>,
}

impl Observer {
    /// Asks every well node; one that does not answer is left out.
    pub(super) fn look(&mut self, mesh: &Mesh) {
        self.statuses = mesh.statuses();
    }

    pub(super) fn statuses(&self) -> &[(usize, NodeSnapshot)] {
        &self.statuses
    }

    /// The nodes that reached every one of so many parts.
    pub(super) fn ready(&self, parts: usize) -> impl Iterator<Item = usize> {
        self.statuses.iter().filter(move |(_, status)| status.parts_served == parts).map(|(node, _)| *node)
    }

    /// The name of the leader, if all follow the same; else all that are followed.
    pub(super) fn leader(&self) -> Option<String> {
        self.agreed(|status| {
            let leader = status.leader?;
            status.members.iter().find(|m| m.node == leader).map(|m| m.name.clone())
        })
    }

    /// The epoch, if all have adopted the same; else all that were.
    pub(super) fn epoch(&self) -> Option<String> {
        self.agreed(|status| status.epoch.clone())
    }

    /// Parts that every node can reach.
    pub(super) fn parts_served(&self) -> usize {
        self.statuses.iter().map(|(_, status)| status.parts_served).min().unwrap_or(0)
    }

    fn agreed(&self, of: impl Fn(&NodeSnapshot) -> Option<String>) -> Option<String> {
        let all: BTreeSet<String> = self.statuses.iter().filter_map(|(_, status)| of(status)).collect();
        if all.is_empty() { None } else { Some(all.into_iter().collect::<Vec<_>>().join("|")) }
    }
}
