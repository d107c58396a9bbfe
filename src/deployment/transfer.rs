//! One artifact on its way here: asked for in pieces, a few at a time, from several holders at once.
//!
//! A holder that is quick has more pieces asked of it than one that is slow, and what one leaves undone another is asked for: of what has
//! come nothing is fetched twice.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN};
use crate::blob::Blob;
use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// Pieces asked of one holder at once: 64 KiB, which fill a 100 Mbit/s link up to a round trip of 5 ms.
const PIECES_OF_HOLDER_MAX: usize = 4;
/// A holder that gives a piece within this is asked for one more at once. Ours.
const QUICK: Duration = Duration::from_secs(1);
/// A holder that needs longer for a piece is asked for half as many at once. Ours.
const SLOW: Duration = Duration::from_secs(2);
/// A holder that sends nothing for so long is left for another. Ours: eight nodes that each have a piece under way over one
/// 1 Mbit/s link wait 1 s; a holder that dies is noticed by the failure detector far sooner.
const SILENT_AFTER: Duration = Duration::from_secs(8);
/// The same where another holder has nothing to do. Ours.
const RELIEVED_AFTER: Duration = Duration::from_secs(2);

const PIECE: u64 = CHUNK_BYTES_MAX as u64;

/// A piece that was asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    end: u64,
    holder: NodeId,
    at: Instant,
}

/// Somebody who is asked.
#[derive(Debug, Clone, Copy)]
struct Holder {
    heard_at: Instant,
    /// Pieces asked of it at once.
    pieces_max: usize,
}

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
    /// Neither here nor asked for: from, to.
    lacking: BTreeMap<u64, u64>,
    /// Asked for, by offset.
    asked: BTreeMap<u64, Asked>,
    holders: BTreeMap<NodeId, Holder>,
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
    pub(super) fn new(total: Option<u64>, bytes_max: u64) -> Self {
        Self {
            total,
            bytes_max,
            bytes: Vec::new(),
            ahead: BTreeMap::new(),
            // Without knowing the size only the first piece is asked for; an artifact without bytes has a chunk, too.
            lacking: BTreeMap::from([(0, total.unwrap_or(PIECE).max(1))]),
            asked: BTreeMap::new(),
            holders: BTreeMap::new(),
            sources: BTreeSet::new(),
        }
    }

    /// Who is asked.
    pub(super) fn holders(&self) -> impl Iterator<Item = NodeId> {
        self.holders.keys().copied()
    }

    pub(super) fn is_held_by(&self, holder: NodeId) -> bool {
        self.holders.contains_key(&holder)
    }

    /// Everybody who sent a piece.
    pub(super) fn sources(&self) -> &BTreeSet<NodeId> {
        &self.sources
    }

    /// Goes on with these holders, from where it stopped; says who of the others still has something to send.
    pub(super) fn ask_of(&mut self, holders: &[NodeId], now: Instant) -> Vec<NodeId> {
        let left: Vec<_> = self.holders().filter(|holder| !holders.contains(holder)).collect();
        let unfinished = left.iter().copied().filter(|holder| self.leave(*holder)).collect();
        for holder in holders {
            self.holders.entry(*holder).or_insert(Holder { heard_at: now, pieces_max: 1 });
        }
        unfinished
    }

    /// Asks a holder for nothing more; whether something was asked of it.
    fn leave(&mut self, holder: NodeId) -> bool {
        self.holders.remove(&holder);
        let undone: Vec<_> = self.asked.extract_if(.., |_, asked| asked.holder == holder).collect();
        self.lacking.extend(undone.iter().map(|(offset, asked)| (*offset, asked.end)));
        !undone.is_empty()
    }

    fn asked_of(&self, holder: NodeId) -> usize {
        self.asked.values().filter(|asked| asked.holder == holder).count()
    }

    /// What to ask for next: of whom, from, how much.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<(NodeId, u64, u32)> {
        let mut fetches = Vec::new();
        while let Some((offset, end)) = self.lacking.first_key_value().map(|(offset, end)| (*offset, *end)) {
            let free = |(id, holder): (&NodeId, &Holder)| {
                let asked = self.asked_of(*id);
                (asked < holder.pieces_max).then_some((asked, *id))
            };
            let Some((asked, holder)) = self.holders.iter().filter_map(free).min() else { break };
            if asked == 0
                && let Some(idle) = self.holders.get_mut(&holder)
            {
                idle.heard_at = now;
            }
            let to = end.min(offset + PIECE);
            self.lacking.remove(&offset);
            if to < end {
                self.lacking.insert(to, end);
            }
            self.asked.insert(offset, Asked { end: to, holder, at: now });
            fetches.push((holder, offset, u32::try_from(to - offset).unwrap_or(CHUNK_BYTES_MAX)));
        }
        fetches
    }

    /// Takes a chunk.
    pub(super) fn accept(&mut self, from: NodeId, offset: u64, total: u64, chunk: Blob, now: Instant) -> Progress {
        let asked = self.asked.range(..=offset).next_back().map(|(start, asked)| (*start, *asked));
        let Some((start, asked)) = asked.filter(|(_, asked)| asked.holder == from) else { return Progress::Unasked };
        if total > self.bytes_max || self.total.is_some_and(|known| known != total) {
            return Progress::Impossible;
        }
        let (end, asked_to) = (offset.saturating_add(chunk.len() as u64), asked.end.min(total));
        let is_large_enough = chunk.len() >= CHUNK_BYTES_MIN as usize || end == asked_to;
        if end > asked_to || !is_large_enough || (chunk.is_empty() && total > 0) {
            return Progress::Unasked;
        }
        if self.total.is_none() {
            self.total = Some(total);
            self.lacking.extend((asked.end < total).then_some((asked.end, total)));
        }
        self.asked.remove(&start);
        for (rest, rest_end) in [(start, offset), (end, asked_to)] {
            if rest < rest_end {
                self.asked.insert(rest, Asked { end: rest_end, ..asked });
            }
        }
        self.hear(from, (end == asked_to).then(|| now.since(asked.at)), now);
        self.keep(offset, chunk);
        if self.bytes.len() as u64 == total { Progress::Complete } else { Progress::More }
    }

    /// A holder sent something, perhaps the end of a piece that took so long.
    fn hear(&mut self, from: NodeId, took: Option<Duration>, now: Instant) {
        self.sources.insert(from);
        let Some(holder) = self.holders.get_mut(&from) else { return };
        holder.heard_at = now;
        match took {
            Some(took) if took <= QUICK => holder.pieces_max = (holder.pieces_max + 1).min(PIECES_OF_HOLDER_MAX),
            Some(took) if took > SLOW => holder.pieces_max = (holder.pieces_max / 2).max(1),
            Some(_) | None => {}
        }
    }

    fn keep(&mut self, offset: u64, chunk: Blob) {
        self.ahead.insert(offset, chunk);
        while let Some(chunk) = self.ahead.remove(&(self.bytes.len() as u64)) {
            self.bytes.extend_from_slice(chunk.as_bytes());
            if chunk.is_empty() {
                break;
            }
        }
    }

    /// When the first of the holders has been silent for too long, and which.
    pub(super) fn due(&self) -> Option<(Instant, NodeId)> {
        let can_be_relieved = self.lacking.is_empty() && self.holders.keys().any(|id| self.asked_of(*id) == 0);
        let patience = if can_be_relieved { RELIEVED_AFTER } else { SILENT_AFTER };
        let asked = self.holders.iter().filter(|(id, _)| self.asked_of(**id) > 0);
        asked.map(|(id, holder)| (holder.heard_at + patience, *id)).min()
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

    fn started(total: u64, holders: &[NodeId]) -> Transfer {
        let mut transfer = Transfer::new(Some(total), total);
        assert_eq!(transfer.ask_of(holders, NOW), []);
        transfer
    }

    fn chunk(length: u64) -> Blob {
        vec![7; usize::try_from(length).unwrap()].into()
    }

    fn after(s: u64) -> Instant {
        NOW + Duration::from_secs(s)
    }

    #[test]
    fn pieces_are_asked_of_all_holders_and_put_in_order_whatever_order_they_come_in() {
        let total = 2 * PIECE + 3;
        let mut transfer = started(total, &[A, B]);
        assert_eq!(transfer.ask(NOW), [(A, 0, CHUNK_BYTES_MAX), (B, PIECE, CHUNK_BYTES_MAX)]);
        assert_eq!(transfer.accept(B, PIECE, total, chunk(PIECE), NOW), Progress::More);
        assert_eq!(transfer.ask(NOW), [(B, 2 * PIECE, 3)]);
        assert_eq!(transfer.accept(B, 2 * PIECE, total, chunk(3), NOW), Progress::More);
        assert_eq!(transfer.accept(A, 0, total, chunk(PIECE), NOW), Progress::Complete);
        assert_eq!(*transfer.sources(), BTreeSet::from([A, B]));
        assert_eq!(transfer.into_bytes().len() as u64, total);
    }

    #[test]
    fn a_piece_comes_in_chunks_of_any_size_and_order_but_not_in_crumbs() {
        let mut transfer = started(PIECE, &[A]);
        transfer.ask(NOW);
        assert_eq!(transfer.accept(A, 0, PIECE, chunk(10), NOW), Progress::Unasked);
        assert_eq!(transfer.accept(A, 5000, PIECE, chunk(3000), NOW), Progress::More);
        assert_eq!(transfer.accept(A, 5000, PIECE, chunk(3000), NOW), Progress::Unasked, "a second time");
        assert_eq!(transfer.accept(A, 8000, PIECE, chunk(PIECE), NOW), Progress::Unasked, "beyond what was asked for");
        assert_eq!(transfer.accept(A, 0, PIECE, chunk(4990), NOW), Progress::More);
        assert_eq!(transfer.accept(A, 4990, PIECE, chunk(10), NOW), Progress::More);
        assert_eq!(transfer.accept(A, 8000, PIECE, chunk(PIECE - 8000), NOW), Progress::Complete);
        assert_eq!(transfer.into_bytes().len() as u64, PIECE);
    }

    #[test]
    fn a_quick_holder_is_asked_for_more_at_once_and_a_slow_one_for_less() {
        let total = 100 * PIECE;
        let mut transfer = started(total, &[A]);
        let mut offset = 0;
        let mut give = |transfer: &mut Transfer, now| {
            let asked = transfer.ask(now).len();
            transfer.accept(A, offset, total, chunk(PIECE), now);
            offset += PIECE;
            asked
        };
        let asked: Vec<_> = (0..6).map(|_| give(&mut transfer, NOW)).collect();
        assert_eq!(asked, [1, 2, 2, 2, 1, 1]);
        assert_eq!(transfer.asked_of(A), PIECES_OF_HOLDER_MAX - 1);
        give(&mut transfer, after(3));
        give(&mut transfer, after(6));
        assert_eq!((transfer.asked_of(A), transfer.ask(after(6)).len()), (2, 0));
    }

    #[test]
    fn what_a_holder_leaves_undone_is_asked_of_another_and_nothing_else() {
        let total = 3 * PIECE;
        let mut transfer = started(total, &[A]);
        transfer.ask(NOW);
        transfer.accept(A, 0, total, chunk(PIECE), NOW);
        transfer.ask(NOW);
        transfer.accept(A, PIECE, total, chunk(4000), NOW);
        assert_eq!(transfer.ask_of(&[B], NOW), [A]);
        let rest = CHUNK_BYTES_MAX - 4000;
        assert_eq!(transfer.ask(NOW), [(B, PIECE + 4000, rest)]);
        assert_eq!(transfer.accept(A, PIECE + 4000, total, chunk(rest.into()), NOW), Progress::Unasked);
        assert_eq!(transfer.accept(B, PIECE + 4000, total, chunk(rest.into()), NOW), Progress::More);
        assert_eq!(transfer.ask(NOW), [(B, 2 * PIECE, CHUNK_BYTES_MAX)]);
    }

    #[test]
    fn a_silent_holder_is_left_and_sooner_where_another_has_nothing_to_do() {
        let mut transfer = started(2 * PIECE, &[A, B]);
        assert_eq!(transfer.due(), None);
        transfer.ask(NOW);
        assert_eq!(transfer.due(), Some((NOW + SILENT_AFTER, A)));
        transfer.accept(A, 0, 2 * PIECE, chunk(PIECE), after(1));
        assert_eq!(transfer.due(), Some((NOW + RELIEVED_AFTER, B)));
        assert_eq!(transfer.ask_of(&[A], after(2)), [B]);
        assert_eq!(transfer.ask(after(2)), [(A, PIECE, CHUNK_BYTES_MAX)]);
        assert_eq!(transfer.due(), Some((after(2) + SILENT_AFTER, A)));
    }

    #[test]
    fn a_size_that_is_not_the_known_one_or_too_large_is_impossible() {
        let mut transfer = started(PIECE, &[A]);
        transfer.ask(NOW);
        assert_eq!(transfer.accept(A, 0, PIECE + 1, chunk(PIECE), NOW), Progress::Impossible);
        let mut unknown = Transfer::new(None, 10);
        unknown.ask_of(&[A], NOW);
        assert_eq!(unknown.ask(NOW), [(A, 0, CHUNK_BYTES_MAX)]);
        assert_eq!(unknown.accept(A, 0, 11, chunk(11), NOW), Progress::Impossible);
        assert_eq!(unknown.accept(A, 0, 10, chunk(10), NOW), Progress::Complete);
    }

    #[test]
    fn a_size_that_is_not_known_is_learned_from_the_first_chunk() {
        let (total, mut transfer) = (PIECE + 100, Transfer::new(None, 10 * PIECE));
        transfer.ask_of(&[A, B], NOW);
        assert_eq!(transfer.ask(NOW).len(), 1);
        assert_eq!(transfer.accept(A, 0, total, chunk(2000), NOW), Progress::More);
        assert_eq!(transfer.ask(NOW), [(B, PIECE, 100)]);
        assert_eq!(transfer.accept(B, PIECE, total, chunk(100), NOW), Progress::More);
        assert_eq!(transfer.accept(A, 2000, total, chunk(PIECE - 2000), NOW), Progress::Complete);
    }

    #[test]
    fn an_artifact_without_bytes_is_complete_with_its_one_empty_chunk() {
        for total in [None, Some(0)] {
            let mut transfer = Transfer::new(total, 10);
            transfer.ask_of(&[A], NOW);
            assert_eq!(transfer.ask(NOW).len(), 1);
            assert_eq!(transfer.accept(A, 0, 0, Blob::default(), NOW), Progress::Complete);
        }
    }
}
