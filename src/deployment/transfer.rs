//! One artifact on its way here: asked for in chunks, a few at a time, from one holder after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::message::CHUNK_BYTES_MAX;
use crate::blob::Blob;
use crate::id::NodeId;
use crate::time::Instant;

/// Chunks under way at once: 64 KiB, which fill a 100 Mbit/s link up to a round trip of 5 ms.
const WINDOW: usize = 4;

const CHUNK: u64 = CHUNK_BYTES_MAX as u64;

/// One artifact on its way here.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Its size; of a manifest known with the first chunk.
    total: Option<u64>,
    /// Larger ones are refused.
    bytes_max: u64,
    /// From its start, without a gap.
    bytes: Vec<u8>,
    /// What came before its turn, by offset.
    ahead: BTreeMap<u64, Blob>,
    /// Offsets asked for.
    asked: BTreeSet<u64>,
    /// The next offset to ask for.
    next: u64,
    holder: Option<NodeId>,
    heard_at: Instant,
    sources: BTreeSet<NodeId>,
}

/// What a chunk brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It was not asked for.
    Unasked,
    /// It is not what can be: the holder is wrong.
    Impossible,
    /// More is to come.
    More,
    /// That was the last.
    Complete,
}

impl Transfer {
    /// Of an artifact of `total` bytes, if that is known; of at most `bytes_max` in any case.
    pub(super) fn new(total: Option<u64>, bytes_max: u64, now: Instant) -> Self {
        Self {
            total,
            bytes_max,
            bytes: Vec::new(),
            ahead: BTreeMap::new(),
            asked: BTreeSet::new(),
            next: 0,
            holder: None,
            heard_at: now,
            sources: BTreeSet::new(),
        }
    }

    pub(super) fn holder(&self) -> Option<NodeId> {
        self.holder
    }

    /// When the holder was last heard of.
    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Everybody who sent a piece.
    pub(super) fn sources(&self) -> &BTreeSet<NodeId> {
        &self.sources
    }

    /// Goes on with another holder, or none for now, from where it stopped.
    pub(super) fn resume(&mut self, holder: Option<NodeId>, now: Instant) {
        self.holder = holder;
        self.heard_at = now;
        self.ahead.clear();
        self.asked.clear();
        self.next = self.bytes.len() as u64;
    }

    /// The next offsets to ask the holder for.
    pub(super) fn ask(&mut self) -> Vec<u64> {
        let mut offsets = Vec::new();
        while self.holder.is_some() && self.asked.len() + self.ahead.len() < WINDOW && self.has_next() {
            offsets.push(self.next);
            self.asked.insert(self.next);
            self.next += CHUNK;
        }
        offsets
    }

    /// Without knowing the size only the first chunk is asked for.
    fn has_next(&self) -> bool {
        self.next == 0 || self.total.is_some_and(|total| self.next < total)
    }

    /// Takes a chunk.
    pub(super) fn accept(&mut self, from: NodeId, offset: u64, total: u64, chunk: Blob, now: Instant) -> Progress {
        if self.holder != Some(from) || !self.asked.remove(&offset) {
            return Progress::Unasked;
        }
        let expected = CHUNK.min(total.saturating_sub(offset));
        if total > self.bytes_max || self.total.is_some_and(|known| known != total) || chunk.len() as u64 != expected {
            return Progress::Impossible;
        }
        self.total = Some(total);
        self.heard_at = now;
        self.sources.insert(from);
        self.ahead.insert(offset, chunk);
        while let Some(chunk) = self.ahead.remove(&(self.bytes.len() as u64)) {
            self.bytes.extend_from_slice(chunk.as_bytes());
            if chunk.is_empty() {
                break;
            }
        }
        if self.bytes.len() as u64 == total { Progress::Complete } else { Progress::More }
    }

    /// The whole artifact, unverified.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId([1; 32]);
    const B: NodeId = NodeId([2; 32]);
    const NOW: Instant = Instant::ZERO;

    fn started(total: u64) -> Transfer {
        let mut transfer = Transfer::new(Some(total), total, NOW);
        transfer.resume(Some(A), NOW);
        transfer
    }

    fn chunk(length: u64) -> Blob {
        vec![7; usize::try_from(length).unwrap()].into()
    }

    #[test]
    fn chunks_that_come_out_of_order_are_put_in_order() {
        let total = 2 * CHUNK + 3;
        let mut transfer = started(total);
        assert_eq!(transfer.ask(), [0, CHUNK, 2 * CHUNK]);
        assert_eq!(transfer.accept(A, 2 * CHUNK, total, chunk(3), NOW), Progress::More);
        assert_eq!(transfer.accept(A, 0, total, chunk(CHUNK), NOW), Progress::More);
        assert_eq!(transfer.accept(A, CHUNK, total, chunk(CHUNK), NOW), Progress::Complete);
        assert_eq!(transfer.into_bytes().len() as u64, total);
    }

    #[test]
    fn no_more_than_a_window_is_under_way() {
        let mut transfer = started(100 * CHUNK);
        assert_eq!(transfer.ask().len(), WINDOW);
        assert!(transfer.ask().is_empty());
        transfer.accept(A, 0, 100 * CHUNK, chunk(CHUNK), NOW);
        assert_eq!(transfer.ask().len(), 1);
    }

    #[test]
    fn another_holder_goes_on_where_the_first_stopped() {
        let total = 3 * CHUNK;
        let mut transfer = started(total);
        transfer.ask();
        transfer.accept(A, 0, total, chunk(CHUNK), NOW);
        transfer.resume(Some(B), NOW);
        assert_eq!(transfer.ask(), [CHUNK, 2 * CHUNK]);
        assert_eq!(transfer.accept(A, CHUNK, total, chunk(CHUNK), NOW), Progress::Unasked);
    }

    #[test]
    fn a_size_that_is_not_the_known_one_or_too_large_is_impossible() {
        let mut transfer = started(CHUNK);
        transfer.ask();
        assert_eq!(transfer.accept(A, 0, CHUNK + 1, chunk(CHUNK), NOW), Progress::Impossible);
        let mut unknown = Transfer::new(None, 10, NOW);
        unknown.resume(Some(A), NOW);
        assert_eq!(unknown.ask(), [0]);
        assert_eq!(unknown.accept(A, 0, 11, chunk(11), NOW), Progress::Impossible);
    }

    #[test]
    fn an_artifact_without_bytes_is_complete_with_its_one_empty_chunk() {
        let mut transfer = Transfer::new(None, 10, NOW);
        transfer.resume(Some(A), NOW);
        transfer.ask();
        assert_eq!(transfer.accept(A, 0, 0, Blob::default(), NOW), Progress::Complete);
    }
}
