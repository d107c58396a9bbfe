//! What a node tells the fleet about itself, and the bounds of it.
//!
//! A record is written by its owner alone. It says nothing about load: that rides on the replies to requests.

use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::fleet::Capability;
use crate::id::{Digest, Epoch};

/// Bytes of a node's name. A longer one from a peer is refused; our own is cut.
pub const NAME_BYTES_MAX: usize = 64;
/// Addresses in a record. More from a peer are refused; of our own the first are kept.
pub const ADDRESSES_MAX: usize = 8;
/// Bytes of one address. A longer one from a peer is refused; of our own it is left out.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// Bundles in a record. More from a peer are refused; of our own the first are kept.
pub const BUNDLES_MAX: usize = 8;
/// Students in a record (K ≤ 32 parts in two sizes). More from a peer are refused; of our own the first are kept.
pub const READY_MAX: usize = 64;
/// Bytes of a deployment's version. A longer one from a peer is refused; our own is cut.
pub const VERSION_BYTES_MAX: usize = 32;
/// A capability field that differs by no more than this share is not worth gossiping. Ours.
const MATERIAL_SHARE: f64 = 0.1;

/// What a node tells the fleet about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// For people; not unique.
    pub name: String,
    /// As measured or configured at start.
    pub capability: Capability,
    /// Configured; the greater leads rather.
    pub priority: i32,
    /// Coarse: log16 of the uptime in minutes, so that it changes seldom.
    pub uptime_class: u8,
    /// Where it listens, as multiaddr text.
    pub addresses: Vec<String>,
    /// Where its HTTP interface listens, as `host:port`. With a loopback host only programs on its own machine reach it.
    pub http: Option<String>,
    /// The bundles it keeps.
    pub bundles: Vec<Holding>,
    /// The students it has loaded and warmed up.
    pub ready: Vec<Digest>,
    /// The plan it had adopted when it last told anything else.
    pub epoch: Option<Epoch>,
    /// The newest deployment it knows of.
    pub desired: Option<Deployment>,
    /// It finishes what it has and takes nothing new.
    pub draining: bool,
}

/// A bundle on a node's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The digest of its manifest.
    pub bundle: Digest,
    /// Every student of it, not only the node's own.
    pub whole: bool,
}

/// What an operator asked the fleet to serve. The greatest by sequence, then version, then bundle is served; that order
/// is made by [`crate::deployment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Rises with every deployment.
    pub sequence: u64,
    /// The digest of its manifest.
    pub bundle: Digest,
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
}

/// Why a peer's record is refused. What was held of that peer before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A text is too long.
    #[error("{field} has {bytes} bytes, the most is {bytes_max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        bytes_max: usize,
    },
    /// A list is too long.
    #[error("{field} has {count} entries, the most is {count_max}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Its length.
        count: usize,
        /// The longest allowed.
        count_max: usize,
    },
    /// A number that no device has.
    #[error("{field} is not a possible value")]
    Impossible {
        /// The field.
        field: &'static str,
    },
}

impl Record {
    /// Of a node that has just started: reachable nowhere yet, with nothing on its disk.
    pub fn new(name: String, capability: Capability) -> Self {
        Self {
            name,
            capability,
            priority: 0,
            uptime_class: 0,
            addresses: Vec::new(),
            http: None,
            bundles: Vec::new(),
            ready: Vec::new(),
            epoch: None,
            desired: None,
            draining: false,
        }
    }

    /// Checks a peer's record against the bounds of this module.
    ///
    /// # Errors
    /// The first field that is too long, has too many entries, or has an impossible value.
    pub fn validate(&self) -> Result<(), RecordError> {
        text("name", &self.name, NAME_BYTES_MAX)?;
        count("addresses", self.addresses.len(), ADDRESSES_MAX)?;
        self.addresses.iter().try_for_each(|a| text("address", a, ADDRESS_BYTES_MAX))?;
        self.http.iter().try_for_each(|h| text("http", h, ADDRESS_BYTES_MAX))?;
        count("bundles", self.bundles.len(), BUNDLES_MAX)?;
        count("ready", self.ready.len(), READY_MAX)?;
        if let Some(deployment) = &self.desired {
            text("desired.name", &deployment.name, NAME_BYTES_MAX)?;
            text("desired.version", &deployment.version, VERSION_BYTES_MAX)?;
        }
        let c = &self.capability;
        positive("capability.flops_per_s", c.flops_per_s)?;
        positive("capability.link_bits_per_s", c.link_bits_per_s)?;
        positive("capability.link_delay_s", c.link_delay_s)?;
        if !(0.0..=1.0).contains(&c.failure_probability) {
            return Err(RecordError::Impossible { field: "capability.failure_probability" });
        }
        Ok(())
    }

    /// [`Self::http`] as others can use it: an interface that listens everywhere is where its owner is known to be, rather on the
    /// LAN than on loopback.
    pub fn http_reachable(&self) -> Option<String> {
        let http = self.http.clone()?;
        let Ok(listens) = http.parse::<SocketAddr>() else { return Some(http) };
        if !listens.ip().is_unspecified() {
            return Some(http);
        }
        let hosts = self.addresses.iter().filter_map(|address| host(address));
        let known = hosts.filter(|host| listens.is_ipv6() || host.is_ipv4());
        let best = known.min_by_key(|host| (host.is_loopback(), host.is_ipv6() != listens.is_ipv6()));
        Some(best.map_or(http, |host| SocketAddr::new(host, listens.port()).to_string()))
    }

    /// Our own record, cut to the bounds that peers check, so that it is never refused.
    pub fn clamped(mut self) -> Self {
        cut(&mut self.name, NAME_BYTES_MAX);
        self.addresses.retain(|a| a.len() <= ADDRESS_BYTES_MAX);
        self.addresses.truncate(ADDRESSES_MAX);
        self.http.take_if(|h| h.len() > ADDRESS_BYTES_MAX);
        self.bundles.truncate(BUNDLES_MAX);
        self.ready.truncate(READY_MAX);
        if let Some(deployment) = &mut self.desired {
            cut(&mut deployment.name, NAME_BYTES_MAX);
            cut(&mut deployment.version, VERSION_BYTES_MAX);
        }
        let c = &mut self.capability;
        for number in [&mut c.flops_per_s, &mut c.link_bits_per_s, &mut c.link_delay_s] {
            *number = if number.is_finite() { number.max(0.0) } else { 0.0 };
        }
        if !(0.0..=1.0).contains(&c.failure_probability) {
            c.failure_probability = 1.0;
        }
        self
    }

    /// Whether `newer` says something that the fleet has to hear: anything but small changes of the capability and the epoch,
    /// which leadership compares in its own way.
    pub fn differs_materially(&self, newer: &Self) -> bool {
        let (old, new) = (&self.capability, &newer.capability);
        let moved = |a: f64, b: f64| (a - b).abs() > MATERIAL_SHARE * a.abs().max(b.abs());
        #[expect(clippy::cast_precision_loss, reason = "a share of 0.1 does not need the last bits")]
        let memory_moved = moved(old.memory_bytes as f64, new.memory_bytes as f64);
        memory_moved
            || moved(old.flops_per_s, new.flops_per_s)
            || moved(old.link_bits_per_s, new.link_bits_per_s)
            || moved(old.link_delay_s, new.link_delay_s)
            || moved(old.failure_probability, new.failure_probability)
            || *self != Self { capability: *old, epoch: self.epoch, ..newer.clone() }
    }

    /// At most this many bytes on the wire.
    pub(super) fn bytes_max(&self) -> usize {
        /// Numbers, tags, the capability and the epoch, at their widest.
        const FIXED: usize = 160;
        let desired = self.desired.as_ref().map_or(0, |d| 48 + d.name.len() + d.version.len());
        FIXED
            + self.name.len()
            + self.addresses.iter().map(|a| a.len() + 3).sum::<usize>()
            + self.http.as_ref().map_or(0, String::len)
            + self.bundles.len() * 33
            + self.ready.len() * 32
            + desired
    }
}

fn text(field: &'static str, text: &str, bytes_max: usize) -> Result<(), RecordError> {
    let bytes = text.len();
    if bytes > bytes_max { Err(RecordError::TooLong { field, bytes, bytes_max }) } else { Ok(()) }
}

fn count(field: &'static str, count: usize, count_max: usize) -> Result<(), RecordError> {
    if count > count_max { Err(RecordError::TooMany { field, count, count_max }) } else { Ok(()) }
}

fn positive(field: &'static str, value: f64) -> Result<(), RecordError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(RecordError::Impossible { field }) }
}

/// The IP address that a multiaddr begins with.
fn host(multiaddr: &str) -> Option<IpAddr> {
    let mut words = multiaddr.split('/').skip(1);
    matches!(words.next()?, "ip4" | "ip6").then(|| words.next()?.parse().ok())?
}

fn cut(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{NodeId, Term};

    fn small() -> Record {
        let capability = Capability {
            flops_per_s: 1e9,
            memory_bytes: 1 << 30,
            link_bits_per_s: 1e8,
            link_delay_s: 0.0,
            failure_probability: 0.05,
        };
        Record::new("a".to_owned(), capability)
    }

    fn beyond() -> Record {
        let digest = Digest([255; 32]);
        let mut capability = small().capability;
        (capability.flops_per_s, capability.failure_probability) = (f64::NAN, 7.0);
        capability.memory_bytes = u64::MAX;
        Record {
            name: "ä".repeat(100),
            capability,
            priority: i32::MIN,
            uptime_class: 255,
            addresses: [129, 128].into_iter().cycle().take(40).map(|n| "a".repeat(n)).collect(),
            http: Some("h".repeat(ADDRESS_BYTES_MAX + 1)),
            bundles: vec![Holding { bundle: digest, whole: true }; 99],
            ready: vec![digest; 99],
            epoch: Some(Epoch { term: Term(u64::MAX), leader: NodeId([255; 32]), sequence: u64::MAX }),
            desired: Some(Deployment {
                sequence: u64::MAX,
                bundle: digest,
                name: "n".repeat(99),
                version: "ü".repeat(99),
            }),
            draining: true,
        }
    }

    #[test]
    fn our_own_record_is_cut_to_what_peers_accept() {
        assert!(beyond().validate().is_err());
        let cut = beyond().clamped();
        assert_eq!(cut.validate(), Ok(()));
        assert_eq!((cut.name.len(), cut.addresses.len(), cut.http), (NAME_BYTES_MAX, ADDRESSES_MAX, None));
        assert_eq!(small().clamped(), small());
    }

    #[test]
    fn each_bound_is_checked_and_named() {
        type Change = fn(&mut Record);
        let changes: [(&str, Change); 9] = [
            ("name has 65", |r| r.name = "a".repeat(65)),
            ("addresses has 9", |r| r.addresses = vec![String::new(); 9]),
            ("address has 129", |r| r.addresses = vec!["a".repeat(129)]),
            ("http has 129", |r| r.http = Some("a".repeat(129))),
            ("bundles has 99", |r| r.bundles = beyond().bundles),
            ("ready has 99", |r| r.ready = beyond().ready),
            ("desired.name has 99", |r| r.desired = beyond().desired),
            ("flops_per_s is not", |r| r.capability.flops_per_s = f64::INFINITY),
            ("failure_probability is not", |r| r.capability.failure_probability = f64::NAN),
        ];
        for (expected, change) in changes {
            let mut record = small();
            change(&mut record);
            let error = record.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_largest_record_is_no_longer_than_estimated() {
        let largest = beyond().clamped();
        let bytes = bincode::serde::encode_to_vec(&largest, bincode::config::standard()).unwrap();
        assert!(bytes.len() <= largest.bytes_max(), "{} {}", bytes.len(), largest.bytes_max());
        assert!(largest.bytes_max() <= 8 * 1024);
    }

    #[test]
    fn only_small_changes_of_the_capability_are_immaterial() {
        let mut newer = small();
        newer.capability.flops_per_s = 1.05e9;
        assert!(!small().differs_materially(&newer));
        newer.capability.flops_per_s = 1.2e9;
        assert!(small().differs_materially(&newer));
        assert!(small().differs_materially(&Record { draining: true, ..small() }));
    }

    #[test]
    fn an_interface_that_listens_everywhere_is_told_at_an_address_that_others_know() {
        let addresses = ["/ip4/127.0.0.1/tcp/4001", "/ip6/fd00::7/tcp/4001", "/ip4/10.0.0.7/tcp/4001"];
        let told = |http: &str, addresses: &[&str]| {
            let addresses = addresses.iter().map(|a| (*a).to_owned()).collect();
            Record { http: Some(http.to_owned()), addresses, ..small() }.http_reachable().unwrap()
        };
        assert_eq!(told("0.0.0.0:8470", &addresses), "10.0.0.7:8470");
        assert_eq!(told("[::]:8470", &addresses), "[fd00::7]:8470");
        assert_eq!(told("[::]:8470", &addresses[2..]), "10.0.0.7:8470");
        assert_eq!(told("0.0.0.0:8470", &addresses[..2]), "127.0.0.1:8470", "for want of anything better");
        assert_eq!(told("0.0.0.0:8470", &["/dns/board/tcp/4001"]), "0.0.0.0:8470");
        assert_eq!(told("127.0.0.1:8470", &addresses), "127.0.0.1:8470");
    }
}
