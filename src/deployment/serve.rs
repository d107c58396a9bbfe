//! Giving artifacts to others, paced: no more is under way, over all who fetch and to each of them, than their links carry at once.
//!
//! What somebody asks for waits here and goes out in small chunks, one for each who fetches in turn. A chunk is under way from the moment
//! that it is read until the receiver confirms it; how long that takes tells how much may be under way ([`Window`]). So a probe or a
//! request waits behind a few chunks at most, however many fetch.

use std::collections::{BTreeMap, VecDeque};

use super::message::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};
use super::window::{Fastest, Window};
use crate::id::{Digest, NodeId};
use crate::queue::Queue;
use crate::time::{Duration, Instant};

/// Pieces of one peer that wait. Beyond it the peer is told to ask another holder. Several times what a peer asks for at once.
const WAITING_OF_PEER_MAX: usize = 16;
/// Peers that fetch, or did a while ago. Beyond it the asker is told to ask another holder, unless one of them has nothing to wait for.
const PEERS_MAX: usize = 256;
/// Chunks are this share of the window, so that several are under way.
const CHUNKS_PER_WINDOW: u64 = 8;
/// A chunk that is not confirmed by then is held up elsewhere than on our own link, and others need not wait for it. Ours.
const HELD_UP_AFTER: Duration = Duration::from_millis(500);
/// A chunk that is not confirmed by then is lost, or its confirmation is. Ours.
const LOST_AFTER: Duration = Duration::from_secs(4);

/// A piece that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) to: NodeId,
    pub(super) artifact: Digest,
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// Somebody who fetches.
#[derive(Debug, Default)]
struct Peer {
    /// What it asked for: artifact, from, how much.
    waiting: VecDeque<(Digest, u64, u32)>,
    window: Window,
    /// Known from the first chunk on.
    fastest: Option<Fastest>,
    under_way: u64,
}

impl Peer {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }
}

/// A chunk under way.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    bytes: u64,
    /// `None` while it is being read.
    sent_at: Option<Instant>,
    is_held_up: bool,
}

impl Chunk {
    fn due(&self) -> Option<Instant> {
        Some(self.sent_at? + if self.is_held_up { LOST_AFTER } else { HELD_UP_AFTER })
    }
}

/// What waits and what is under way.
#[derive(Debug, Default)]
pub(super) struct Serve {
    peers: BTreeMap<NodeId, Peer>,
    chunks: BTreeMap<(NodeId, Digest, u64), Chunk>,
    /// Over all peers.
    window: Window,
    under_way: u64,
    /// Who was served last.
    turn: Option<NodeId>,
}

impl Serve {
    /// Who fetches, and the pieces that wait for the one with the most.
    pub(super) fn queues(&self) -> (Queue, Queue) {
        let most = self.peers.values().map(|peer| peer.waiting.len()).max().unwrap_or(0);
        let peers = Queue::new("peers that fetch", self.peers.len(), PEERS_MAX);
        (peers, Queue::new("pieces for one peer", most, WAITING_OF_PEER_MAX))
    }

    /// Takes on what a peer asks for; false if too much waits.
    pub(super) fn ask(&mut self, read: Read) -> bool {
        let Read { to, artifact, offset, length } = read;
        if !self.peers.contains_key(&to) && self.peers.len() >= PEERS_MAX {
            let Some(idle) = self.peers.iter().find(|(_, p)| p.is_idle()).map(|(id, _)| *id) else { return false };
            self.peers.remove(&idle);
        }
        let waiting = &mut self.peers.entry(to).or_default().waiting;
        let room = waiting.len() < WAITING_OF_PEER_MAX;
        if room {
            waiting.push_back((artifact, offset, length));
        }
        room
    }

    /// A peer has enough of an artifact.
    pub(super) fn cancel(&mut self, peer: NodeId, artifact: Digest) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.waiting.retain(|(waiting, _, _)| *waiting != artifact);
        }
    }

    /// The next chunk to read and send, in turn of those who fetch; it is under way from now on.
    pub(super) fn next(&mut self) -> Option<Read> {
        let mut served = self.peers.iter().filter_map(|(id, peer)| {
            let chunk = self.chunk_for(peer);
            let has_room = |under_way: u64, window: &Window| under_way == 0 || under_way + chunk <= window.bytes();
            let is_served = !peer.waiting.is_empty()
                && has_room(self.under_way, &self.window)
                && has_room(peer.under_way, &peer.window);
            is_served.then_some((*id, chunk))
        });
        let first = served.next()?;
        let is_after = |id: NodeId| Some(id) > self.turn;
        let (to, chunk) = if is_after(first.0) { first } else { served.find(|(id, _)| is_after(*id)).unwrap_or(first) };
        let waiting = &mut self.peers.get_mut(&to)?.waiting;
        let (artifact, from, left) = waiting.front_mut()?;
        let length = u32::try_from(chunk).map_or(*left, |chunk| chunk.min(*left));
        let read = Read { to, artifact: *artifact, offset: *from, length };
        *from = from.saturating_add(u64::from(length));
        *left -= length;
        if *left == 0 {
            waiting.pop_front();
        }
        self.turn = Some(to);
        self.begin(read);
        Some(read)
    }

    /// How large a chunk may be that goes to this peer: by the narrower of the two windows, so that a slow link is given small ones
    /// even while quick ones are served.
    fn chunk_for(&self, peer: &Peer) -> u64 {
        let window = self.window.bytes().min(peer.window.bytes());
        (window / CHUNKS_PER_WINDOW).clamp(u64::from(CHUNK_BYTES_MIN), u64::from(CHUNK_BYTES_MAX))
    }

    fn begin(&mut self, read: Read) {
        let Read { to, artifact, offset, length } = read;
        let bytes = u64::from(length);
        self.end((to, artifact, offset)); // asked for twice: the first is not waited for
        self.chunks.insert((to, artifact, offset), Chunk { bytes, sent_at: None, is_held_up: false });
        self.under_way += bytes;
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.under_way += bytes;
        }
    }

    /// A chunk is not under way any more.
    fn end(&mut self, key: (NodeId, Digest, u64)) -> Option<Chunk> {
        let chunk = self.chunks.remove(&key)?;
        if !chunk.is_held_up {
            self.under_way -= chunk.bytes;
        }
        if let Some(peer) = self.peers.get_mut(&key.0) {
            peer.under_way -= chunk.bytes;
        }
        Some(chunk)
    }

    /// A chunk was read and goes out; false if its peer is gone.
    pub(super) fn sent(&mut self, to: NodeId, artifact: Digest, offset: u64, now: Instant) -> bool {
        let chunk = self.chunks.get_mut(&(to, artifact, offset));
        chunk.map(|chunk| chunk.sent_at = Some(now)).is_some()
    }

    /// There was nothing to send; the artifact may have an end before what was asked for.
    pub(super) fn not_sent(&mut self, to: NodeId, artifact: Digest, offset: u64) {
        self.end((to, artifact, offset));
    }

    /// What was asked for beyond an artifact's end is not to be had.
    pub(super) fn clip(&mut self, to: NodeId, artifact: Digest, total: u64) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.waiting.retain(|(waiting, from, _)| *waiting != artifact || *from < total);
        }
    }

    /// A peer confirms a chunk; false if none was under way.
    pub(super) fn taken(&mut self, from: NodeId, artifact: Digest, offset: u64, now: Instant) -> bool {
        let (all, key) = (self.under_way, (from, artifact, offset));
        let Some(sent_at) = self.chunks.get(&key).and_then(|chunk| chunk.sent_at) else { return false };
        let Some(Chunk { bytes, .. }) = self.end(key) else { return false };
        let Some(peer) = self.peers.get_mut(&from) else { return false };
        let took = now.since(sent_at);
        let Some(fastest) = &mut peer.fastest else {
            // The first one there has nothing to be compared with.
            peer.fastest = Some(Fastest::new(took, self.window.waited(), now));
            return true;
        };
        let (waited, allowed) = fastest.compare(took, now);
        // What all wait for is our own link; only what one waits for beyond that is its own.
        let alone = waited.saturating_sub(self.window.waited());
        peer.window.adapt(bytes, peer.under_way + bytes, alone, allowed);
        self.window.adapt(bytes, all, waited, allowed);
        true
    }

    /// Gives up what has been under way for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_due = |(_, chunk): &(&_, &Chunk)| chunk.due().is_some_and(|due| due <= now);
        let due: Vec<_> = self.chunks.iter().filter(is_due).map(|(key, _)| *key).collect();
        for key in due {
            let Some(chunk) = self.chunks.get_mut(&key) else { continue };
            if !chunk.is_held_up {
                chunk.is_held_up = true;
                self.under_way -= chunk.bytes;
            }
            if chunk.due().is_some_and(|due| due <= now) {
                self.end(key);
                if let Some(peer) = self.peers.get_mut(&key.0) {
                    peer.window.collapse();
                }
            }
        }
    }

    /// When to look again at what is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.chunks.values().filter_map(Chunk::due).min()
    }

    /// Whether nobody waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.peers.values().all(Peer::is_idle)
    }

    /// The peer is gone.
    pub(super) fn forget(&mut self, peer: NodeId) {
        let keys: Vec<_> = self.chunks.keys().filter(|(to, _, _)| *to == peer).copied().collect();
        for key in keys {
            self.end(key);
        }
        self.peers.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Digest = Digest([7; 32]);
    const MOST: u32 = CHUNK_BYTES_MAX;

    fn peer(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn ask(serve: &mut Serve, n: u8, offset: u64) -> bool {
        serve.ask(Read { to: peer(n), artifact: FILE, offset, length: MOST })
    }

    /// Sends all that may be sent.
    fn send(serve: &mut Serve, now: Instant) -> Vec<Read> {
        let reads: Vec<_> = core::iter::from_fn(|| serve.next()).collect();
        reads.iter().for_each(|r| assert!(serve.sent(r.to, r.artifact, r.offset, now)));
        reads
    }

    /// Ten fetch all the time over a link of so many bytes a millisecond: the longest queue, ms; what each got; the share of the time that the link
    /// was busy, %.
    fn ten_fetch(rate: u64, delay_ms: u64) -> (u64, Vec<u64>, u64) {
        const US: u64 = 1000;
        let us = |us: u64| Instant::from_nanos(us * 1000);
        let (mut serve, mut busy_until, mut busy, mut longest) = (Serve::default(), 0, 0, 0);
        let (mut got, mut asked) = (vec![0; 10], 0);
        let mut under_way: VecDeque<(u64, Read)> = VecDeque::new();
        for now in (0..30_000 * US).step_by(100) {
            while under_way.front().is_some_and(|(at, _)| *at <= now) {
                let (_, read) = under_way.pop_front().unwrap();
                got[usize::from(read.to.0[0]) - 1] += u64::from(read.length);
                assert!(serve.taken(read.to, FILE, read.offset, us(now)));
            }
            for n in 1..=10 {
                asked += u64::from(ask(&mut serve, n, asked * u64::from(MOST)));
            }
            for read in send(&mut serve, us(now)) {
                let takes = u64::from(read.length) * US / rate;
                busy_until = now.max(busy_until) + takes;
                busy += takes;
                under_way.push_back((busy_until + 2 * delay_ms * US, read));
                longest = longest.max((busy_until - now) / US);
            }
        }
        (longest, got, busy / (300 * US))
    }

    #[test]
    fn ten_who_fetch_at_once_share_a_link_and_leave_hardly_any_queue_on_it() {
        for (rate, delay_ms, longest_ms) in [(125, 0, 60), (125, 20, 60), (1250, 5, 40), (12_500, 1, 40)] {
            let (longest, got, busy) = ten_fetch(rate, delay_ms);
            let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
            assert!(longest <= longest_ms, "{rate} B/ms, {delay_ms} ms: a queue of {longest} ms");
            assert!(busy >= 75, "{rate} B/ms, {delay_ms} ms: busy {busy} %");
            assert!(most - least <= most / 5, "{rate} B/ms, {delay_ms} ms: {got:?}");
        }
    }

    #[test]
    fn however_many_ask_only_a_window_is_under_way_and_each_has_its_turn() {
        let mut serve = Serve::default();
        (1..=10).for_each(|n| assert!(ask(&mut serve, n, 0)));
        let mut served: Vec<_> = send(&mut serve, at(0));
        let bytes: u32 = served.iter().map(|r| r.length).sum();
        assert_eq!((u64::from(bytes), served.len()), (Window::default().bytes(), 2));
        for turn in 0..8 {
            let (read, now) = (served[turn], at(200 * (1 + turn as u64)));
            assert!(serve.taken(read.to, FILE, read.offset, now));
            served.extend(send(&mut serve, now));
        }
        assert_eq!(served.iter().map(|r| r.to).collect::<Vec<_>>(), (1..=10).map(peer).collect::<Vec<_>>());
    }

    #[test]
    fn a_quick_link_takes_more_at_once_and_in_larger_chunks() {
        let mut serve = Serve::default();
        let mut largest = 0;
        for round in 0..200 {
            for n in 1..=8 {
                let _ = ask(&mut serve, n, round * u64::from(MOST));
            }
            let reads = send(&mut serve, at(round));
            largest = reads.iter().map(|r| r.length).max().unwrap().max(largest);
            reads.iter().for_each(|r| assert!(serve.taken(r.to, FILE, r.offset, at(round + 1))));
        }
        assert_eq!(largest, MOST);
    }

    #[test]
    fn a_slow_peer_is_given_small_chunks_while_a_quick_one_takes_large_ones() {
        let (slow, mut serve) = (8, Serve::default());
        let mut largest = [0; 9];
        for round in 0..400 {
            for n in [1, slow] {
                let _ = ask(&mut serve, n, round * u64::from(MOST));
            }
            for r in send(&mut serve, at(round * 200)) {
                let n = usize::from(r.to.0[0]);
                largest[n] = r.length.max(largest[n]);
                // The link to the slow one takes 8 ms for 1 kB.
                let took = if r.to == peer(slow) { 1 + u64::from(r.length) / 128 } else { 1 };
                assert!(serve.taken(r.to, FILE, r.offset, at(round * 200 + took)));
            }
        }
        assert!(largest[1] > 4 * CHUNK_BYTES_MIN, "{largest:?}");
        assert!(largest[usize::from(slow)] <= 4 * CHUNK_BYTES_MIN, "{largest:?}");
    }

    #[test]
    fn who_does_not_confirm_holds_up_the_others_for_a_moment_only() {
        let mut serve = Serve::default();
        ask(&mut serve, 1, 0);
        assert_eq!(send(&mut serve, at(0)).len(), 2);
        ask(&mut serve, 2, 0);
        assert_eq!(send(&mut serve, at(1)), []);
        assert_eq!(serve.due(), Some(at(500)));
        serve.expire(at(500));
        let reads = send(&mut serve, at(500));
        assert!(reads.len() == 2 && reads.iter().all(|r| r.to == peer(2)), "{reads:?}");
        reads.iter().for_each(|r| assert!(serve.taken(r.to, FILE, r.offset, at(501))));
        serve.expire(at(4000));
        let reads = send(&mut serve, at(4000));
        assert!(reads.iter().any(|r| r.to == peer(1)), "lost ones are given up: {reads:?}");
    }

    #[test]
    fn what_is_cancelled_forgotten_or_beyond_the_end_is_not_sent() {
        let mut serve = Serve::default();
        for change in [
            (|s: &mut Serve| s.cancel(peer(1), FILE)) as fn(&mut Serve),
            |s| s.forget(peer(1)),
            |s| s.clip(peer(1), FILE, 10),
        ] {
            ask(&mut serve, 1, 100);
            change(&mut serve);
            assert_eq!(serve.next(), None);
            assert!(serve.is_idle());
        }
        ask(&mut serve, 1, 0);
        let reads = send(&mut serve, at(0));
        serve.forget(peer(1));
        assert!(serve.is_idle() && !serve.taken(peer(1), FILE, reads[0].offset, at(1)));
        assert!(!serve.sent(peer(1), FILE, 0, at(1)));
    }

    #[test]
    fn a_peer_that_asks_for_too_much_or_one_peer_too_many_is_turned_away() {
        let mut serve = Serve::default();
        let taken = (0..100).filter(|i| ask(&mut serve, 1, i * u64::from(MOST))).count();
        assert_eq!(taken, WAITING_OF_PEER_MAX);
        let peers = (0..1000_u16).filter(|n| {
            let mut id = [9; 32];
            id[..2].copy_from_slice(&n.to_be_bytes());
            serve.ask(Read { to: NodeId(id), artifact: FILE, offset: 0, length: 1 })
        });
        assert_eq!(peers.count(), PEERS_MAX - 1);
    }
}
