//! What was seen of this device, its network and the nodes asked about, without a word on what it means.
//!
//! Everything is bounded: interfaces, peers heard, targets and addresses by the constants of the module that looks.

use std::net::{IpAddr, SocketAddr};

use rocoin::id::NodeId;
use serde::Serialize;

/// All that was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Facts {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) multicast: Vec<Multicast>,
    pub(crate) ports: Vec<Port>,
    pub(crate) firewalls: Vec<Firewall>,
    pub(crate) targets: Vec<Target>,
    pub(crate) clock: Clock,
    pub(crate) hardware: Hardware,
    pub(crate) key: KeyFile,
    pub(crate) state: StateFolder,
    pub(crate) running: Running,
}

/// One network interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// Switched on, and with a cable or a radio link.
    pub(crate) up: bool,
    pub(crate) loopback: bool,
    /// Whether the kernel would send multicast there.
    pub(crate) multicast: bool,
    pub(crate) point_to_point: bool,
    /// By its name: a bridge or cable to containers or virtual machines on this device.
    pub(crate) for_containers: bool,
    pub(crate) addresses: Vec<Address>,
}

/// An address of an interface, and how many of its bits name the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Address {
    pub(crate) ip: IpAddr,
    pub(crate) prefix_bits: u32,
}

impl Address {
    pub(crate) fn is_link_local(&self) -> bool {
        is_link_local(self.ip)
    }

    /// Whether `other` is in the same network.
    pub(crate) fn is_beside(&self, other: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let host_bits = width.saturating_sub(self.prefix_bits);
            a.checked_shr(host_bits).unwrap_or(0) == b.checked_shr(host_bits).unwrap_or(0)
        };
        match (self.ip, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether an address needs a scope to be of use, so that nodes leave it out.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What became of one question by multicast on one interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Multicast {
    pub(crate) interface: String,
    pub(crate) family: Family,
    pub(crate) outcome: Asked,
}

/// As far as the question got.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "got_to")]
pub(crate) enum Asked {
    /// UDP port 5353 cannot be listened on.
    NoSocket { why: String, taken: bool },
    /// The group cannot be joined, or the question not sent.
    NotSent { why: String },
    /// It was sent.
    Sent {
        /// Whether this device heard its own question.
        echo: bool,
        /// Nodes of libp2p that answered, this device's own ones included.
        peers: Vec<Heard>,
        /// Other devices that speak mDNS.
        others: Vec<IpAddr>,
    },
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Heard {
    pub(crate) from: IpAddr,
    /// libp2p's name for the node.
    pub(crate) peer: String,
    /// Where it says that it listens.
    pub(crate) addresses: Vec<String>,
    /// Whether it is on this device.
    pub(crate) here: bool,
}

/// Whether an address can be listened on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Port {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) bind: Bind,
}

/// What became of listening there for a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum Bind {
    Free,
    Taken {
        by: Holder,
    },
    /// The system lets this user not.
    NotPermitted,
    /// No interface of this device has the address.
    NotHere,
    NotTcp,
    Failed {
        why: String,
    },
}

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "who")]
pub(crate) enum Holder {
    /// The node whose state folder this is.
    ThisNode,
    /// Another node.
    Node { peer: String },
    /// It could not be told.
    Unknown,
}

/// A firewall that is installed here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Firewall {
    pub(crate) tool: FirewallTool,
    /// Whether it filters what comes in; `None` where that cannot be read, mostly for want of root rights.
    pub(crate) active: Option<bool>,
    /// Where its rules are, as its command names it: for nft `inet filter input`.
    pub(crate) chain: Option<String>,
}

/// What rules are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FirewallTool {
    Ufw,
    Firewalld,
    Nft,
    Iptables,
}

/// A node that was asked about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Target {
    /// As it was given.
    pub(crate) given: String,
    /// The node's name in the address, if there is one.
    pub(crate) expected_peer: Option<String>,
    /// Whether it is this device, at least by its address.
    pub(crate) here: bool,
    pub(crate) outcome: Reached,
}

/// What was tried with a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "tried")]
pub(crate) enum Reached {
    /// Its name has no address.
    Unresolved { why: String },
    /// Each of its addresses.
    Mesh { paths: Vec<Path> },
    /// Its HTTP interface.
    Http { url: String, http: Http },
}

/// One address of a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Path {
    pub(crate) address: SocketAddr,
    /// The own address that the system would send from.
    pub(crate) source: Option<IpAddr>,
    pub(crate) connect: Connect,
}

/// How far a connection got.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum Connect {
    /// The system knows no way there.
    NoRoute,
    /// There is a way, and on it somebody, or this device itself after asking in vain, says that nobody is there.
    Unreachable,
    Refused,
    TimedOut,
    Failed {
        why: String,
    },
    Connected {
        round_trip_ms: f64,
        greeting: Greeting,
        handshake: Handshake,
    },
}

/// What a listener says by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "said")]
pub(crate) enum Greeting {
    /// 24 bytes that mean nothing: how a private libp2p network begins.
    Nonce,
    /// Something else.
    Other {
        text: String,
    },
    Nothing,
    /// It closed the connection.
    Closed,
    /// Nothing, until it was asked as a web server is: then it answered as a node does.
    NodesHttp,
    /// The same, but it is not a node.
    OtherHttp,
}

/// What became of the handshake.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum Handshake {
    /// There is no usable key to try with.
    NotTried,
    /// It failed, or was not over in time.
    Failed {
        why: String,
    },
    Done(Met),
}

/// A node that was met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Met {
    pub(crate) peer: String,
    pub(crate) node: Option<NodeId>,
    /// As it says: `rocoin/1`.
    pub(crate) protocol: Option<String>,
    /// As it says: `rocoin/0.1.0`.
    pub(crate) agent: Option<String>,
    /// Until the control lane answered, the shortest of several.
    pub(crate) lane_ms: Option<f64>,
    /// Whether it ended the connection by itself.
    pub(crate) turned_away: bool,
}

/// What an HTTP interface answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum Http {
    Unreachable {
        why: String,
    },
    /// It wants a token, or another one.
    Unauthorized,
    NotANode {
        status: u16,
    },
    Node {
        node: NodeId,
        name: String,
        alive: usize,
        others: usize,
        ahead_s: Option<i64>,
    },
}

/// This device's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Clock {
    /// Seconds since 1970.
    pub(crate) unix_s: u64,
}

/// What the device has.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Hardware {
    pub(crate) cores: usize,
    pub(crate) memory_available_bytes: Option<u64>,
    /// Of the last minute.
    pub(crate) load: Option<f64>,
    /// `x86_64` or another.
    pub(crate) architecture: String,
    /// Vector instructions that students gain by.
    pub(crate) cpu_features: Vec<String>,
    /// Of those that matter on this architecture.
    pub(crate) cpu_features_lacking: Vec<String>,
    /// As it was measured at a node's first start.
    pub(crate) flops_per_s: Option<f64>,
    /// What the bundles on this device need.
    pub(crate) bundles: Vec<BundleNeeds>,
}

/// What a bundle asks of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BundleNeeds {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The smallest student.
    pub(crate) least_bytes: u64,
    /// The largest student of every part.
    pub(crate) whole_bytes: u64,
}

/// The fleet key's file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum KeyFile {
    #[default]
    NotGiven,
    /// `--open`: there is to be none.
    Open,
    Usable {
        path: String,
        fingerprint: String,
        /// Of the key before it, if it is accepted still.
        previous: Option<String>,
    },
    Absent {
        path: String,
    },
    ReadableByOthers {
        path: String,
        mode: u32,
    },
    Unreadable {
        path: String,
        why: String,
    },
    Damaged {
        path: String,
        why: String,
    },
}

/// The state folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct StateFolder {
    pub(crate) path: String,
    /// Whether it is there.
    pub(crate) exists: bool,
    /// Its permission bits, if it is there.
    pub(crate) mode: Option<u32>,
    pub(crate) identity: IdentityFile,
    /// Whether a node runs on it; `None` if that could not be told.
    pub(crate) locked: Option<bool>,
    /// The port of the last start.
    pub(crate) port: Option<u16>,
    /// Peers met before.
    pub(crate) remembered: usize,
    pub(crate) disk_free_bytes: Option<u64>,
    pub(crate) write: Option<WriteTest>,
}

/// The identity's file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum IdentityFile {
    /// The first start makes one.
    #[default]
    Absent,
    Usable {
        node: NodeId,
        peer: String,
    },
    Unusable {
        why: String,
    },
}

/// What became of writing a little to the state folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(crate) enum WriteTest {
    Written { sync_ms: f64 },
    Full,
    Failed { why: String },
}

/// The node that runs on the state folder, by its HTTP interface.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Running {
    /// `None`: it was not asked, since no node runs.
    pub(crate) http: Option<Http>,
    pub(crate) url: String,
    /// The other members it knows of.
    pub(crate) members: Vec<Member>,
}

/// A member, as the running node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) node: NodeId,
    pub(crate) state: String,
    pub(crate) routable: bool,
}
