//! The connections to the other nodes: one task owns libp2p's swarm, and one small task each lane and direction moves frames.
//!
//! It finds peers (mDNS, seeds, remembered peers, the address topic, all at once), keeps one connection a pair, and reports links
//! and messages to the node. It decides nothing about membership: a closed connection is told, not judged.

mod acks;
mod actor;
mod addresses;
mod behaviour;
mod book;
mod bucket;
mod config;
mod connections;
mod counters;
mod crowd;
mod door;
mod faults;
mod frame;
mod hints;
mod link;
mod listen;
mod probe;
mod sealed;
mod seeds;
mod transport;

#[cfg(test)]
mod tests;

use libp2p::Multiaddr;
use rocoin::blob::Blob;
use rocoin::id::NodeId;
use rocoin::wire::Message;
use tokio::sync::{mpsc, watch};

pub(crate) use actor::start;
pub(crate) use addresses::parse_announcement;
pub use config::NetworkConfig;
pub(crate) use config::PROTOCOL;
pub use counters::{LaneCounts, NetworkCounters};
pub use faults::{Direction, FaultSwitch, Faults};
pub(crate) use frame::count_frames;
pub(crate) use link::Outbox;
pub(crate) use listen::{port_of, socket_address};
pub(crate) use probe::{Visit, visit};

use crate::fleet_key::Keyring;
use crate::store::RememberedPeer;

/// Why the network cannot be started. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which one.
        address: Multiaddr,
        /// The system's reason, and what to do.
        why: String,
    },
    /// libp2p refused its configuration.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

/// What the network tells the node.
#[derive(Debug)]
pub(crate) enum NetworkEvent {
    /// A link to the peer stands; messages to it go into its outbox.
    LinkUp { peer: NodeId, outbox: Outbox },
    /// The last connection to the peer is gone.
    LinkDown { peer: NodeId },
    /// A peer's message.
    Message { from: NodeId, message: Message, blob: Blob },
    /// Something that a person should know of these peers, one of them if they cannot be told apart.
    Warning { about: Vec<NodeId>, text: String },
}

/// Where the network delivers: control apart from the rest, so that it never waits behind load.
#[derive(Debug, Clone)]
pub(crate) struct Deliver {
    /// Links, and the messages of the control lane.
    pub(crate) control: mpsc::Sender<NetworkEvent>,
    /// The messages of the other lanes.
    pub(crate) data: mpsc::Sender<NetworkEvent>,
}

#[derive(Debug)]
pub(crate) enum Command {
    /// Connect to a peer now.
    Dial { peer: NodeId, addresses: Vec<Multiaddr> },
    /// The peer broke the protocol: end its connections, and take none from it for a while.
    CutOff { peer: NodeId, what: String },
    /// The fleet's keys are these from now on.
    Keys(Keyring),
}

/// Changes the fleet's keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyChanger(mpsc::WeakSender<Command>);

impl KeyChanger {
    /// Take these keys, and let go of those that are not among them.
    pub(crate) async fn change(&self, keys: Keyring) {
        if let Some(commands) = self.0.upgrade() {
            let _ = commands.send(Command::Keys(keys)).await;
        }
    }

    /// Whether the network has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.0.upgrade().is_none()
    }
}

/// A running network. It ends, and every connection with it, when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct NetworkHandle {
    commands: mpsc::Sender<Command>,
    /// The addresses under which others may reach this node.
    pub(crate) addresses: watch::Receiver<Vec<Multiaddr>>,
    /// The peers met so far, to be remembered.
    pub(crate) known: watch::Receiver<Vec<RememberedPeer>>,
    pub(crate) counters: NetworkCounters,
    pub(crate) faults: Option<FaultSwitch>,
}

impl NetworkHandle {
    /// Connect to a peer; best effort, as with every address that is only heard of.
    pub(crate) fn dial(&self, peer: NodeId, addresses: Vec<Multiaddr>) {
        if self.commands.try_send(Command::Dial { peer, addresses }).is_err() {
            tracing::debug!(peer = %peer.short(), "too many dials wait; left this one out");
        }
    }

    /// Cut off a peer that broke the protocol.
    pub(crate) fn cut_off(&self, peer: NodeId, what: String) {
        if self.commands.try_send(Command::CutOff { peer, what }).is_err() {
            tracing::debug!(peer = %peer.short(), "too many commands wait; it is cut off the next time");
        }
    }

    /// A way to change the keys that does not keep the network running.
    pub(crate) fn key_changer(&self) -> KeyChanger {
        KeyChanger(self.commands.downgrade())
    }
}
