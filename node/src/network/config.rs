//! What the network is started with.

use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::Multiaddr;
use rocoin::id::NodeId;

use crate::fleet_key::Keyring;
use crate::identity::Identity;
use crate::store::RememberedPeer;

/// An unanswered write ends a connection after this long. Measured: after a silent cut of 20 s the old connection otherwise needs
/// 7.6 s to recover.
pub(super) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);
/// What a connection's socket holds that is not on its way yet, bytes; more waits in the lanes, where a probe overtakes it. One of the
/// largest chunks. Linux would hold megabytes.
pub(super) const UNSENT_BYTES_MAX: u32 = 16 * 1024;
/// A stranger has this long to prove that it is of the fleet. libp2p's default is 10 s; strangers hold descriptors.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// A link is closed by failure or by the node's end, never for being idle. (libp2p closes after 10 s by default.)
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Handshakes under way at once, in and out. One more is refused, or waits for its next try.
pub(super) const PENDING_MAX: u32 = 128;
/// Of them from one host (an IPv4 address, an IPv6 /64): one stranger must not take every place. Ours: a mesh of 32 nodes on one host
/// comes together at once.
pub(super) const PENDING_PER_HOST_MAX: usize = 32;
/// Connections to one peer: one that stays, one that crosses it, one that is stale.
pub(super) const CONNECTIONS_PER_PEER_MAX: u32 = 3;
/// Gossipsub's heartbeat: the design's start value, a little under libp2p's 1 s.
pub(super) const GOSSIP_HEARTBEAT: Duration = Duration::from_millis(700);
/// Between two queries once somebody has answered; before, and after an address has changed, they begin at 0.5 s and double. Every
/// member answers each query to all, for each of its addresses: with 5 s that was most of an idle mesh's traffic. libp2p's default is 300 s.
pub(super) const MDNS_QUERY: Duration = Duration::from_secs(30);
/// Lifetime of an mDNS answer, several queries. libp2p's default is 360 s.
pub(super) const MDNS_TTL: Duration = Duration::from_secs(120);
/// What a node says of itself when it connects; another version is refused by name.
pub(crate) const PROTOCOL: &str = "rocoin/1";

/// What the network is started with.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Who this node is.
    pub identity: Identity,
    /// The fleet's secret, and the one before it while it is changed; `None` lets everybody in.
    pub fleet_keys: Option<Keyring>,
    /// Where to listen; port 0 takes a free one.
    pub listen: Vec<Multiaddr>,
    /// Where to look for the mesh, always.
    pub seeds: Vec<Multiaddr>,
    /// Peers met in earlier runs.
    pub remembered: Vec<RememberedPeer>,
    /// Whether to find and be found by multicast.
    pub mdns: bool,
    /// Connections at most; one more is refused.
    pub connections_max: u32,
    /// Only these nodes are let in; `None` admits whoever has the fleet key.
    pub allow: Option<BTreeSet<NodeId>>,
    /// Whether the fault switch exists.
    pub fault_injection: bool,
}
