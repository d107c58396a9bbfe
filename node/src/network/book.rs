//! Whom to dial, where, and when next: every peer that was heard of, until it has been silent for an hour.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::addresses::{ADDRESSES_MAX, ip_of};
use crate::store::RememberedPeer;

/// Peers kept at most; one more is not taken.
const PEERS_MAX: usize = 1024;
/// Pause after the first failure; it doubles with each further one. Ours.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest pause. A healed partition must be one mesh again within 4 s, so it is well below.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// The greater of two peers waits this long before its first dial, so that the two seldom cross.
const COURTESY: Duration = Duration::from_millis(50);
/// A link that stood this long was no accident: dialling begins anew, at the shortest pause.
const STABLE: Duration = Duration::from_secs(5);
/// A peer that could not be reached for this long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The pause before try number `failures` (from 1), with a jitter of up to half of it; `random` is uniform.
pub(super) fn backoff(failures: u32, random: u64) -> Duration {
    let pause = BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let half = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
    pause - Duration::from_micros(random % (half + 1))
}

#[derive(Debug)]
struct Entry {
    /// The latest heard first.
    addresses: Vec<Multiaddr>,
    state: State,
    failures: u32,
    /// Dials since it was last connected.
    attempts: u32,
    /// Where its last connection came from, if it was not dialled.
    came_from: Option<IpAddr>,
    /// When it was last connected or heard of for the first time.
    seen: Instant,
    /// Whether it was connected at some time, in this run or before.
    reached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(Instant),
    Dialling,
    Connected(Instant),
}

/// All peers heard of.
#[derive(Debug)]
pub(super) struct Book {
    me: PeerId,
    peers: BTreeMap<PeerId, Entry>,
}

impl Book {
    pub(super) fn new(me: PeerId) -> Self {
        Self { me, peers: BTreeMap::new() }
    }

    /// Takes addresses of a peer; a new peer, or a new address of one out of reach, is dialled soon.
    pub(super) fn learn(&mut self, peer: PeerId, addresses: &[Multiaddr], now: Instant) {
        if peer == self.me || addresses.is_empty() || (self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer))
        {
            return;
        }
        let soon = now + if self.me < peer { Duration::ZERO } else { COURTESY };
        let entry = self.peers.entry(peer).or_insert_with(|| Entry {
            addresses: Vec::new(),
            state: State::Waiting(soon),
            failures: 0,
            attempts: 0,
            came_from: None,
            seen: now,
            reached: false,
        });
        for address in addresses {
            let known = entry.addresses.iter().position(|a| a == address);
            if let Some(i) = known {
                entry.addresses.remove(i);
            } else if let State::Waiting(due) = &mut entry.state {
                *due = soon.min(*due);
            }
            entry.addresses.insert(0, address.clone());
        }
        entry.addresses.truncate(ADDRESSES_MAX);
    }

    /// Takes the peers of an earlier run.
    pub(super) fn recall(&mut self, peers: &[RememberedPeer], now: Instant) {
        for RememberedPeer { peer, addresses } in peers {
            self.learn(*peer, addresses, now);
            if let Some(entry) = self.peers.get_mut(peer) {
                entry.reached = true;
            }
        }
    }

    /// The node wants this peer: it is dialled at once unless it is connected.
    pub(super) fn hurry(&mut self, peer: &PeerId, now: Instant) {
        if let Some(Entry { state: State::Waiting(due), .. }) = self.peers.get_mut(peer) {
            *due = now.min(*due);
        }
    }

    /// An address at which somebody else answers.
    pub(super) fn remove_address(&mut self, peer: &PeerId, address: &Multiaddr) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.addresses.retain(|a| a != address);
        }
    }

    /// The peers to dial now, each with where, and how often it was tried before; they count as being dialled.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>, u32)> {
        self.peers.retain(|_, e| {
            matches!(e.state, State::Connected(_))
                || (now.saturating_duration_since(e.seen) < FORGET_AFTER && !e.addresses.is_empty())
        });
        let due = |e: &Entry| matches!(e.state, State::Waiting(due) if due <= now);
        let peers = self.peers.iter_mut().filter(|(_, e)| due(e));
        peers
            .map(|(peer, entry)| {
                entry.state = State::Dialling;
                entry.attempts = entry.attempts.wrapping_add(1);
                (*peer, entry.addresses.clone(), entry.attempts.wrapping_sub(1))
            })
            .collect()
    }

    /// A connection stands; whoever made it.
    pub(super) fn connected(&mut self, peer: PeerId, now: Instant) {
        let entry = self.peers.entry(peer).or_insert_with(|| Entry {
            addresses: Vec::new(),
            state: State::Waiting(now),
            failures: 0,
            attempts: 0,
            came_from: None,
            seen: now,
            reached: true,
        });
        entry.reached = true;
        entry.attempts = 0;
        entry.seen = now;
        if !matches!(entry.state, State::Connected(_)) {
            entry.state = State::Connected(now);
        }
    }

    /// A peer's connection came from there.
    pub(super) fn came_from(&mut self, peer: &PeerId, host: Option<IpAddr>) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.came_from = host;
        }
    }

    /// The last connection is gone.
    pub(super) fn lost(&mut self, peer: &PeerId, now: Instant, random: u64) {
        if let Some(entry) = self.peers.get_mut(peer)
            && let State::Connected(since) = entry.state
        {
            entry.seen = now;
            entry.failures = if now.saturating_duration_since(since) >= STABLE { 1 } else { entry.failures + 1 };
            entry.state = State::Waiting(now + backoff(entry.failures, random));
        }
    }

    /// A dial came to nothing.
    pub(super) fn failed(&mut self, peer: &PeerId, now: Instant, random: u64) {
        if let Some(entry) = self.peers.get_mut(peer)
            && entry.state == State::Dialling
        {
            entry.failures += 1;
            entry.state = State::Waiting(now + backoff(entry.failures, random));
        }
    }

    /// Not before then, whatever is heard of it.
    pub(super) fn postpone(&mut self, peer: &PeerId, until: Instant) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.state = State::Waiting(until);
        }
    }

    /// Where a peer is.
    pub(super) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers.get(peer).map(|e| e.addresses.clone()).unwrap_or_default()
    }

    /// The peers that were connected before, are not now, and were at that host.
    pub(super) fn lost_at(&self, host: IpAddr) -> Vec<PeerId> {
        let is_lost = |e: &Entry| e.reached && !matches!(e.state, State::Connected(_));
        let is_there = |e: &Entry| e.came_from == Some(host) || e.addresses.iter().any(|a| ip_of(a) == Some(host));
        self.peers.iter().filter(|(_, e)| is_lost(e) && is_there(e)).map(|(peer, _)| *peer).collect()
    }

    /// When to look again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |e: &Entry| if let State::Waiting(due) = e.state { Some(due) } else { None };
        self.peers.values().filter_map(due).min()
    }

    /// Peers that are worth remembering: those that were connected at some time.
    pub(super) fn remembered(&self) -> Vec<RememberedPeer> {
        let reached = self.peers.iter().filter(|(_, e)| e.reached && !e.addresses.is_empty());
        reached.map(|(peer, e)| RememberedPeer { peer: *peer, addresses: e.addresses.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn ordered() -> (PeerId, PeerId) {
        let (a, b) = (Identity::generate().peer(), Identity::generate().peer());
        (a.min(b), a.max(b))
    }

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn the_smaller_peer_dials_at_once_and_the_greater_one_a_little_later() {
        let (small, great) = ordered();
        let now = Instant::now();
        let mut book = Book::new(small);
        book.learn(great, &[address(1)], now);
        assert_eq!(book.take_due(now), [(great, vec![address(1)], 0)]);
        let mut book = Book::new(great);
        book.learn(small, &[address(1)], now);
        assert_eq!(book.take_due(now), []);
        assert_eq!(book.take_due(now + COURTESY).len(), 1);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_a_stable_link_resets_them() {
        let (me, peer) = ordered();
        let mut now = Instant::now();
        let mut book = Book::new(me);
        book.learn(peer, &[address(1)], now);
        for _ in 0..10 {
            now = book.next_due().unwrap();
            assert_eq!(book.take_due(now).len(), 1);
            book.failed(&peer, now, 0);
        }
        assert_eq!(book.next_due().unwrap(), now + BACKOFF_MAX);
        now += BACKOFF_MAX;
        book.take_due(now);
        book.connected(peer, now);
        assert_eq!(book.next_due(), None);
        now += STABLE;
        book.lost(&peer, now, 0);
        assert_eq!(book.next_due().unwrap(), now + BACKOFF_FIRST);
    }

    #[test]
    fn a_new_address_of_a_lost_peer_is_tried_soon() {
        let (me, peer) = ordered();
        let now = Instant::now();
        let mut book = Book::new(me);
        book.learn(peer, &[address(1)], now);
        for _ in 0..6 {
            let due = book.next_due().unwrap();
            book.take_due(due);
            book.failed(&peer, due, 0);
        }
        let later = book.next_due().unwrap() - Duration::from_secs(1);
        book.learn(peer, &[address(2)], later);
        assert_eq!(book.take_due(later), [(peer, vec![address(2), address(1)], 6)]);
    }

    #[test]
    fn who_was_here_before_is_known_by_its_host() {
        let (me, peer) = ordered();
        let now = Instant::now();
        let mut book = Book::new(me);
        book.learn(peer, &[address(1)], now);
        let host = "127.0.0.1".parse().unwrap();
        assert_eq!(book.lost_at(host), [], "it was never here");
        book.connected(peer, now);
        assert_eq!(book.lost_at(host), [], "it is here");
        book.lost(&peer, now, 0);
        assert_eq!(book.lost_at(host), [peer]);
        let other = "10.0.0.1".parse().unwrap();
        assert_eq!(book.lost_at(other), []);
        book.came_from(&peer, Some(other));
        assert_eq!(book.lost_at(other), [peer]);
    }

    #[test]
    fn a_silent_peer_is_forgotten_after_an_hour() {
        let (me, peer) = ordered();
        let now = Instant::now();
        let mut book = Book::new(me);
        book.learn(peer, &[address(1)], now);
        assert_eq!(book.take_due(now + FORGET_AFTER), []);
        assert_eq!(book.next_due(), None);
    }

    #[test]
    fn the_jitter_takes_at_most_half_of_the_pause() {
        for random in [0, 1, 12_345, u64::MAX] {
            let pause = backoff(3, random);
            assert!(pause <= 4 * BACKOFF_FIRST && pause >= 2 * BACKOFF_FIRST, "{pause:?}");
        }
    }
}
