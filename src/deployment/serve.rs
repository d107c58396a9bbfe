//! Giving artifacts to others: reads wait their turn, so that many who ask at once cost memory for a few chunks only.

use std::collections::VecDeque;

use crate::id::{Digest, NodeId};

/// Reads open at once: 256 KiB of chunks. Further ones wait.
const OPEN_MAX: usize = 16;
/// Reads of one peer that wait. Beyond it the peer is told to ask another holder. Several times a window.
const WAITING_OF_PEER_MAX: usize = 16;
/// Reads that wait. Beyond it the asker is told to ask another holder.
const WAITING_MAX: usize = 1024;

/// A piece that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) to: NodeId,
    pub(super) artifact: Digest,
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// The reads that are open and those that wait.
#[derive(Debug, Default)]
pub(super) struct Serve {
    open: usize,
    waiting: VecDeque<Read>,
}

impl Serve {
    /// Takes a read on; false if too many wait.
    pub(super) fn ask(&mut self, read: Read) -> bool {
        let of_peer = self.waiting.iter().filter(|r| r.to == read.to).count();
        let room = self.waiting.len() < WAITING_MAX && of_peer < WAITING_OF_PEER_MAX;
        if room {
            self.waiting.push_back(read);
        }
        room
    }

    /// The next read to open.
    pub(super) fn next(&mut self) -> Option<Read> {
        if self.open >= OPEN_MAX {
            return None;
        }
        let read = self.waiting.pop_front()?;
        self.open += 1;
        Some(read)
    }

    /// An open read is finished.
    pub(super) fn done(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Whether nobody waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.open == 0 && self.waiting.is_empty()
    }

    /// The peer is gone.
    pub(super) fn forget(&mut self, peer: NodeId) {
        self.waiting.retain(|r| r.to != peer);
    }
}
