//! Members that left or are forgotten, so that old gossip does not bring them back.

use std::collections::BTreeMap;

use crate::id::{Generation, Incarnation, NodeId};
use crate::time::Instant;

/// Tombstones kept. When there are more, the one that would expire first goes.
const TOMBSTONES_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tombstone {
    generation: Generation,
    incarnation: Incarnation,
    left: bool,
    until: Instant,
}

/// The tombstones.
#[derive(Debug, Clone, Default)]
pub(super) struct Tombstones {
    stones: BTreeMap<NodeId, Tombstone>,
}

impl Tombstones {
    /// The member said farewell: nothing of this generation is believed any more.
    pub(super) fn leave(&mut self, member: NodeId, generation: Generation, until: Instant) {
        self.put(member, Tombstone { generation, incarnation: Incarnation(u32::MAX), left: true, until });
    }

    /// The member was down for so long that it is forgotten: only a word of its own, or about a later time, revives it.
    pub(super) fn forget(&mut self, member: NodeId, generation: Generation, incarnation: Incarnation, until: Instant) {
        self.put(member, Tombstone { generation, incarnation, left: false, until });
    }

    /// The generation with which the member left, if it did.
    pub(super) fn left(&self, member: NodeId) -> Option<Generation> {
        self.stones.get(&member).filter(|t| t.left).map(|t| t.generation)
    }

    /// Whether news of the member at this generation and incarnation is old. `first_hand`: the member said it itself.
    pub(super) fn covers(&self, member: NodeId, at: (Generation, Incarnation), first_hand: bool) -> bool {
        self.stones.get(&member).is_some_and(|t| match t.left {
            true => at.0 <= t.generation,
            false => !first_hand && at <= (t.generation, t.incarnation),
        })
    }

    /// The member is back.
    pub(super) fn lift(&mut self, member: NodeId) {
        self.stones.remove(&member);
    }

    /// Drops those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.stones.retain(|_, t| t.until > now);
    }

    /// When the next one expires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.stones.values().map(|t| t.until).min()
    }

    fn put(&mut self, member: NodeId, stone: Tombstone) {
        self.stones.insert(member, stone);
        if self.stones.len() > TOMBSTONES_MAX {
            let first = self.stones.iter().min_by_key(|(_, t)| t.until).map(|(id, _)| *id);
            first.map(|id| self.stones.remove(&id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_left_comes_back_only_with_a_later_start() {
        let (mut stones, x) = (Tombstones::default(), NodeId([1; 32]));
        stones.leave(x, Generation(3), Instant::from_nanos(10));
        assert!(stones.covers(x, (Generation(3), Incarnation(9)), true));
        assert!(!stones.covers(x, (Generation(4), Incarnation(0)), false));
        stones.expire(Instant::from_nanos(10));
        assert_eq!(stones.left(x), None);
    }

    #[test]
    fn who_was_forgotten_comes_back_with_its_own_word() {
        let (mut stones, x) = (Tombstones::default(), NodeId([1; 32]));
        stones.forget(x, Generation(3), Incarnation(2), Instant::from_nanos(10));
        assert!(stones.covers(x, (Generation(3), Incarnation(2)), false));
        assert!(!stones.covers(x, (Generation(3), Incarnation(2)), true));
        assert!(!stones.covers(x, (Generation(3), Incarnation(3)), false));
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let mut stones = Tombstones::default();
        for i in 0..=u64::try_from(TOMBSTONES_MAX).unwrap() {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&i.to_be_bytes());
            stones.leave(NodeId(id), Generation(1), Instant::from_nanos(100 + i));
        }
        assert_eq!(stones.stones.len(), TOMBSTONES_MAX);
        assert_eq!(stones.left(NodeId([0; 32])), None, "the oldest went");
    }
}
