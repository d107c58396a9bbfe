//! The fault switch: blocks or slows named peers, as a silent partition or a slow link would. It exists only where the node was
//! started with `--fault-injection`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocoin::id::NodeId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Which way frames get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    Both,
    /// What the peer sends does not arrive here.
    Inbound,
    /// What is sent from here does not arrive at the peer.
    Outbound,
}

/// Everything that is wrong with this node's links. A peer that is not named is well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Frames are lost without an error; the connection stays as it is, and no new one is made.
    pub block: BTreeMap<NodeId, Direction>,
    /// Frames from here arrive late by this many milliseconds.
    pub slow_ms: BTreeMap<NodeId, u64>,
}

/// Sets and heals faults at run time. Clones are the same switch.
#[derive(Debug, Clone)]
pub struct FaultSwitch(Arc<watch::Sender<Arc<Faults>>>);

impl FaultSwitch {
    /// These faults, and no others, from now on.
    pub fn set(&self, faults: Faults) {
        tracing::info!(?faults, "fault switch");
        self.0.send_replace(Arc::new(faults));
    }

    /// The faults in force.
    pub fn faults(&self) -> Faults {
        self.0.borrow().as_ref().clone()
    }
}

/// Asked for every frame; always open where there is no switch.
#[derive(Debug, Clone)]
pub(super) struct Gate(Option<watch::Receiver<Arc<Faults>>>);

impl Gate {
    /// A gate, and its switch if it is to have one.
    pub(super) fn new(switched: bool) -> (Self, Option<FaultSwitch>) {
        if !switched {
            return (Self(None), None);
        }
        let (sender, receiver) = watch::channel(Arc::default());
        (Self(Some(receiver)), Some(FaultSwitch(Arc::new(sender))))
    }

    pub(super) fn lets_in(&self, peer: NodeId) -> bool {
        !matches!(self.block(peer), Some(Direction::Both | Direction::Inbound))
    }

    pub(super) fn lets_out(&self, peer: NodeId) -> bool {
        !matches!(self.block(peer), Some(Direction::Both | Direction::Outbound))
    }

    /// A handshake needs both ways.
    pub(super) fn lets_connect(&self, peer: NodeId) -> bool {
        self.block(peer).is_none()
    }

    pub(super) fn delay(&self, peer: NodeId) -> Duration {
        let slow_ms = self.0.as_ref().and_then(|faults| faults.borrow().slow_ms.get(&peer).copied());
        Duration::from_millis(slow_ms.unwrap_or(0))
    }

    fn block(&self, peer: NodeId) -> Option<Direction> {
        self.0.as_ref()?.borrow().block.get(&peer).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_way_block_loses_one_way_and_prevents_new_connections() {
        let (gate, switch) = Gate::new(true);
        let peer = NodeId([1; 32]);
        let block = BTreeMap::from([(peer, Direction::Inbound)]);
        switch.unwrap().set(Faults { block, ..Faults::default() });
        assert!(!gate.lets_in(peer) && gate.lets_out(peer) && !gate.lets_connect(peer));
        assert!(gate.lets_in(NodeId([2; 32])));
    }

    #[test]
    fn an_empty_object_heals_and_a_misspelt_fault_is_refused() {
        assert_eq!(serde_json::from_str::<Faults>("{}").unwrap(), Faults::default());
        assert!(serde_json::from_str::<Faults>(r#"{"blocks": {}}"#).is_err());
        let json = format!(r#"{{"block": {{"{}": "outbound"}}}}"#, NodeId([1; 32]));
        let faults: Faults = serde_json::from_str(&json).unwrap();
        assert_eq!(faults.block, BTreeMap::from([(NodeId([1; 32]), Direction::Outbound)]));
    }

    #[test]
    fn without_the_flag_there_is_no_switch() {
        let (gate, switch) = Gate::new(false);
        assert!(switch.is_none() && gate.lets_in(NodeId([1; 32])));
    }
}
