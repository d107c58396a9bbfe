//! What a mesh stands on: hosts of its own, or this machine's loopback.

use std::sync::Arc;

use serde::Serialize;

use super::LabError;
use super::hosts::Hosts;
use crate::harness::{Mesh, Place};

/// Which ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroundKind {
    /// Each node on a host that is a network namespace; nodes find each other by multicast.
    Namespaces,
    /// Processes on loopback, told of each other by seeds; cuts are made by the nodes' own fault switch.
    Loopback,
}

impl GroundKind {
    /// Namespaces where there can be any, else loopback and the reason.
    pub fn best() -> (Self, Option<LabError>) {
        match Hosts::available() {
            Ok(()) => (Self::Namespaces, None),
            Err(reason) => (Self::Loopback, Some(reason)),
        }
    }
}

/// The ground that a mesh stands on.
#[derive(Debug)]
pub enum Ground {
    /// Hosts, one a node.
    Namespaces(Hosts),
    /// This machine.
    Loopback,
}

impl Ground {
    /// For so many nodes.
    ///
    /// # Errors
    /// As of [`Hosts::new`].
    pub fn new(kind: GroundKind, nodes: usize) -> Result<Self, LabError> {
        match kind {
            GroundKind::Namespaces => Hosts::new(nodes).map(Self::Namespaces),
            GroundKind::Loopback => Ok(Self::Loopback),
        }
    }

    /// Where a node runs, if not simply on this machine.
    pub fn place(&self, node: usize) -> Option<Arc<dyn Place>> {
        match self {
            Self::Namespaces(hosts) => {
                let namespace = Arc::clone(hosts.all().get(node)?.namespace());
                Some(namespace)
            }
            Self::Loopback => None,
        }
    }

    /// The hosts, if there are any.
    pub fn hosts(&self) -> Option<&Hosts> {
        match self {
            Self::Namespaces(hosts) => Some(hosts),
            Self::Loopback => None,
        }
    }

    /// From now on only nodes of one side reach each other; nobody notices by itself.
    ///
    /// # Errors
    /// [`LabError`]; some may be apart.
    pub fn part(&self, mesh: &Mesh, sides: &[&[usize]]) -> Result<(), LabError> {
        match self {
            Self::Namespaces(hosts) => sides.iter().enumerate().try_for_each(|(island, side)| hosts.join(side, island)),
            Self::Loopback => Ok(mesh.partition(sides)?),
        }
    }

    /// Ends everything that is wrong with the network.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn heal(&self, mesh: &Mesh) -> Result<(), LabError> {
        match self {
            Self::Namespaces(hosts) => hosts.heal(),
            Self::Loopback => Ok(mesh.heal()?),
        }
    }
}
