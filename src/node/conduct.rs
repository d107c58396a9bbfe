//! How the peers behave: what each message that was refused costs its sender, and who has gone too far.
//!
//! A message that no sound node of this version sends costs much, one that comes too late or was not asked for costs little, and with
//! time all is forgiven. It does not judge what another node merely passed on, nor who is slow, silent or starved: that is the failure
//! detector's business. What a peer may send at all, and how fast, the shell sees to.

use std::collections::BTreeMap;

use super::Node;
use crate::bugs::{Bug, Bugs};
use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// Points at which a peer is cut off. Ours: a peer that was frozen delivers all at once what waited for us, a lane's whole queue of 256
/// messages that are old by now, and is not to be cut off for it; ten impossible ones are no accident.
const LIMIT: u64 = 4_000;
/// Points that are forgiven in a second. Ours: some times what comes too late in a mesh that is full of trouble.
const FORGIVEN_PER_S: u64 = 100;
/// Peers whose conduct is known. Whoever comes beyond it is not judged until others are forgiven; no node has as many connections.
const PEERS_MAX: usize = 4096;

/// What can be wrong with a message, and what it costs.
const WRONGS: [(&str, u64); 7] = [
    ("membership messages that make no sense", 400),
    ("plans that make no sense", 400),
    ("terms far above any that is known", 400),
    ("partial logits that are none", 400),
    ("messages that are out of place", 100),
    ("stale claims and plans", 10),
    // Whoever leaves a slow holder still gets what is on its way from there, and confirms what was given up by then.
    ("chunks that nobody asked for, or receipts of chunks that nobody sent", 1),
];

/// How often each of [`WRONGS`] was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refusals([u64; WRONGS.len()]);

impl Refusals {
    /// What came on top of `before`.
    fn since(self, before: Self) -> Self {
        Self(std::array::from_fn(|wrong| self.0[wrong].saturating_sub(before.0[wrong])))
    }

    fn cost(self) -> u64 {
        self.0.iter().zip(WRONGS).map(|(times, (_, points))| times.saturating_mul(points)).sum()
    }
}

#[derive(Debug, Default)]
struct Record {
    points: u64,
    /// Up to when points are forgiven.
    forgiven: Instant,
    refusals: Refusals,
}

/// The conduct of all peers.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    peers: BTreeMap<NodeId, Record>,
    /// Peers cut off since the start.
    pub(super) cut_off: u64,
    bugs: Bugs,
}

impl Conduct {
    pub(super) fn new(bugs: Bugs) -> Self {
        Self { bugs, ..Self::default() }
    }

    /// A peer's message was refused, or not; says what the peer did if that was too much.
    pub(super) fn note(&mut self, now: Instant, peer: NodeId, before: Refusals, after: Refusals) -> Option<String> {
        let refusals = after.since(before);
        if refusals == Refusals::default() {
            return None;
        }
        if self.peers.len() >= PEERS_MAX {
            self.peers.retain(|_, record| {
                record.forgive(now);
                record.points > 0
            });
        }
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            return None;
        }
        let record = self.peers.entry(peer).or_insert_with(|| Record { forgiven: now, ..Record::default() });
        record.forgive(now);
        record.points = record.points.saturating_add(refusals.cost());
        record.refusals = Refusals(std::array::from_fn(|wrong| record.refusals.0[wrong] + refusals.0[wrong]));
        if record.points < LIMIT {
            return None;
        }
        self.cut_off += 1;
        self.peers.remove(&peer).map(|record| record.in_words())
    }
}

impl Record {
    fn forgive(&mut self, now: Instant) {
        let seconds = now.since(self.forgiven).as_secs();
        self.forgiven = self.forgiven + Duration::from_secs(seconds);
        self.points = self.points.saturating_sub(seconds.saturating_mul(FORGIVEN_PER_S));
        if self.points == 0 {
            self.refusals = Refusals::default();
        }
    }

    fn in_words(&self) -> String {
        let met = self.refusals.0.iter().zip(WRONGS).filter(|(times, _)| **times > 0);
        let said: Vec<String> = met.map(|(times, (wrong, _))| format!("{times} {wrong}")).collect();
        format!("it sent {}", said.join(", "))
    }
}

impl Node {
    /// Every counter that says something of the sender of a message.
    pub(super) fn refusals(&self) -> Refusals {
        let (membership, leadership) = (self.membership.counters(), self.leadership.counters());
        let coordinator = self.coordinator.counters();
        let late = if self.conduct.bugs.has(Bug::BlameTheLate) { coordinator.late } else { 0 };
        Refusals([
            membership.messages_refused,
            leadership.plans_malformed,
            leadership.term_jumps_refused,
            coordinator.bad_answers + late,
            coordinator.unexpected + self.replicas.counters().unexpected,
            leadership.claims_stale + leadership.plans_stale + leadership.changes_refused,
            self.stock.counters().messages_refused,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId([1; 32]);
    const STALE: usize = 5;
    const CHUNKS: usize = 6;

    fn at(seconds: f64) -> Instant {
        Instant::ZERO + Duration::from_secs_f64(seconds)
    }

    fn one(wrong: usize) -> Refusals {
        Refusals(std::array::from_fn(|w| u64::from(w == wrong)))
    }

    /// The first of many messages at which the peer was cut off, and why.
    fn send(conduct: &mut Conduct, messages: u32, wrong: usize, gap_s: f64) -> Option<(u32, String)> {
        (0..messages).find_map(|n| {
            let why = conduct.note(at(f64::from(n) * gap_s), PEER, Refusals::default(), one(wrong))?;
            Some((n + 1, why))
        })
    }

    #[test]
    fn ten_impossible_messages_in_a_row_are_too_many() {
        for (wrong, (what, _)) in WRONGS.iter().enumerate().take(4) {
            let (messages, why) = send(&mut Conduct::default(), 100, wrong, 0.001).unwrap();
            assert_eq!((messages, why), (10, format!("it sent 10 {what}")));
        }
    }

    #[test]
    fn a_frozen_peers_whole_queue_of_old_news_is_forgiven_and_a_flood_is_not() {
        assert_eq!(send(&mut Conduct::default(), 256, STALE, 0.0), None);
        assert!(send(&mut Conduct::default(), 1_000, STALE, 0.001).is_some());
    }

    #[test]
    fn what_is_seldom_is_forgiven_for_ever() {
        assert_eq!(send(&mut Conduct::default(), 10_000, 0, 4.0), None);
        assert_eq!(send(&mut Conduct::default(), 10_000, STALE, 0.1), None);
        assert_eq!(send(&mut Conduct::default(), 10_000, CHUNKS, 0.01), None);
    }

    #[test]
    fn one_peers_conduct_is_not_anothers() {
        let mut conduct = Conduct::default();
        for n in 0..9_u8 {
            for peer in [NodeId([1; 32]), NodeId([2; 32])] {
                assert_eq!(conduct.note(at(f64::from(n) / 1000.0), peer, Refusals::default(), one(0)), None);
            }
        }
        assert!(conduct.note(at(0.01), NodeId([2; 32]), Refusals::default(), one(0)).is_some());
        assert_eq!(conduct.cut_off, 1);
    }

    #[test]
    fn the_peers_that_are_judged_are_bounded_and_forgiven_ones_make_room() {
        let mut conduct = Conduct::default();
        for n in 0..2 * PEERS_MAX {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(n as u64).to_le_bytes());
            conduct.note(at(0.0), NodeId(id), Refusals::default(), one(STALE));
        }
        assert_eq!(conduct.peers.len(), PEERS_MAX);
        conduct.note(at(60.0), PEER, Refusals::default(), one(0));
        assert_eq!(conduct.peers.len(), 1);
    }
}
