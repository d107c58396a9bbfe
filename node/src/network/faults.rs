//! The fault switch: blocks or slows named peers, as a silent partition or a slow link would. It exists only where the node was
//! started with `--fault-injection`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocoin::id::NodeId;
use tokio::sync::watch;

/// Which way frames get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    Both,
    /// What the peer sends does not arrive here.
    Inbound,
    /// What is sent from here does not arrive at the peer.
    Outbound,
}

/// What is wrong with the link to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Frames are lost without an error; the connection stays as it is, and no new one is made.
    Block(Direction),
    /// Frames from here arrive late by this much.
    Slow(Duration),
}

type Table = Arc<BTreeMap<NodeId, Fault>>;

/// Sets and heals faults at run time. Clones are the same switch.
#[derive(Debug, Clone)]
pub struct FaultSwitch(Arc<watch::Sender<Table>>);

impl FaultSwitch {
    /// Every peer not named is healed.
    pub fn set(&self, faults: BTreeMap<NodeId, Fault>) {
        tracing::info!(?faults, "fault switch");
        self.0.send_replace(Arc::new(faults));
    }

    /// The faults in force.
    pub fn faults(&self) -> BTreeMap<NodeId, Fault> {
        self.0.borrow().as_ref().clone()
    }
}

/// Asked for every frame; always open where there is no switch.
#[derive(Debug, Clone)]
pub(super) struct Gate(Option<watch::Receiver<Table>>);

impl Gate {
    /// A gate, and its switch if it is to have one.
    pub(super) fn new(switched: bool) -> (Self, Option<FaultSwitch>) {
        if !switched {
            return (Self(None), None);
        }
        let (sender, receiver) = watch::channel(Table::default());
        (Self(Some(receiver)), Some(FaultSwitch(Arc::new(sender))))
    }

    pub(super) fn lets_in(&self, peer: NodeId) -> bool {
        !matches!(self.fault(peer), Some(Fault::Block(Direction::Both | Direction::Inbound)))
    }

    pub(super) fn lets_out(&self, peer: NodeId) -> bool {
        !matches!(self.fault(peer), Some(Fault::Block(Direction::Both | Direction::Outbound)))
    }

    /// A handshake needs both ways.
    pub(super) fn lets_connect(&self, peer: NodeId) -> bool {
        !matches!(self.fault(peer), Some(Fault::Block(_)))
    }

    pub(super) fn delay(&self, peer: NodeId) -> Duration {
        match self.fault(peer) {
            Some(Fault::Slow(delay)) => delay,
            Some(Fault::Block(_)) | None => Duration::ZERO,
        }
    }

    fn fault(&self, peer: NodeId) -> Option<Fault> {
        self.0.as_ref()?.borrow().get(&peer).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_way_block_loses_one_way_and_prevents_new_connections() {
        let (gate, switch) = Gate::new(true);
        let peer = NodeId([1; 32]);
        switch.unwrap().set(BTreeMap::from([(peer, Fault::Block(Direction::Inbound))]));
        assert!(!gate.lets_in(peer) && gate.lets_out(peer) && !gate.lets_connect(peer));
        assert!(gate.lets_in(NodeId([2; 32])));
    }

    #[test]
    fn without_the_flag_there_is_no_switch() {
        let (gate, switch) = Gate::new(false);
        assert!(switch.is_none() && gate.lets_in(NodeId([1; 32])));
    }
}
