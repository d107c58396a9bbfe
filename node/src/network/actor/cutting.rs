//! Peers that are turned away: for what they sent, for their version, for their key. Whoever it is, a person is told by name.

use std::net::IpAddr;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::Actor;
use crate::identity::node_of;
use crate::network::NetworkEvent;
use crate::network::addresses::ip_of;

/// A peer that was cut off or turned away is not let in again, nor dialled, for so long. Long enough that a peer that goes on costs next
/// to nothing; short enough that one that was mended, or given another version, is back soon. Ours.
const BAN: Duration = Duration::from_secs(60);
/// A person is told of who knocks from one host at most so often.
const KNOCK_TOLD_EVERY: Duration = Duration::from_secs(600);
/// Hosts that are told of; when there are more, some are told of twice.
const KNOCKS_MAX: usize = 256;

impl Actor {
    /// The peer broke the protocol.
    pub(super) fn cut_off(&mut self, peer: PeerId, what: &str) {
        if self.is_banned(&peer) {
            // Several of its lanes, or of its messages, may be at fault at once.
            return;
        }
        self.shared.counters.offended();
        self.ban(peer, &format!("cut off for {} s, since it broke the protocol: {what}", BAN.as_secs()));
    }

    /// The peer is no offender, but there is nothing to talk about.
    pub(super) fn turn_away_version(&mut self, peer: PeerId, why: &str) {
        if self.is_banned(&peer) {
            return;
        }
        self.shared.counters.met_other_version();
        self.ban(peer, &format!("turned away for {} s: {why}. Run the same release on all devices", BAN.as_secs()));
    }

    fn is_banned(&self, peer: &PeerId) -> bool {
        self.banned.get(peer).is_some_and(|until| *until > Instant::now())
    }

    fn ban(&mut self, peer: PeerId, what: &str) {
        let address =
            self.book.addresses(&peer).first().map_or_else(|| "an unknown address".to_owned(), ToString::to_string);
        self.warn(&[peer], format!("{what} (it is at {address})"));
        self.banned.insert(peer, Instant::now() + BAN);
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Somebody came without the fleet's key.
    pub(super) fn on_knock(&mut self, from: &Multiaddr, retired: bool) {
        let Some(host) = ip_of(from) else { return };
        let peers = self.book.lost_at(host);
        if !retired && peers.is_empty() {
            return;
        }
        if !self.may_tell(host) {
            return;
        }
        let text = if retired {
            format!(
                "whoever comes from {host} has a fleet key that is not accepted any more: it has missed the change of the key and is \
                 not let in. Copy the key file to that device: it takes it up by itself"
            )
        } else {
            format!(
                "whoever comes from {host}, where a node of this fleet was, has a fleet key that this node does not have. Was the \
                 fleet's key changed? Then copy the new key file to this device: it takes it up by itself"
            )
        };
        self.warn(&peers, text);
    }

    fn may_tell(&mut self, host: IpAddr) -> bool {
        let now = Instant::now();
        if self.knocks.get(&host).is_some_and(|told| now.saturating_duration_since(*told) < KNOCK_TOLD_EVERY) {
            return false;
        }
        if self.knocks.len() >= KNOCKS_MAX {
            self.knocks.clear();
        }
        self.knocks.insert(host, now);
        true
    }

    /// The node knows the peers' names, so that the text goes by way of it.
    pub(super) fn warn(&self, peers: &[PeerId], text: String) {
        let about: Vec<_> = peers.iter().filter_map(node_of).collect();
        let warning = NetworkEvent::Warning { about, text };
        if let Err(e) = self.shared.deliver.control.try_send(warning) {
            tracing::warn!("{:?}", e.into_inner());
        }
    }
}
