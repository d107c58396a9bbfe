//! Getting artifacts from others, one after the other.

use std::sync::Arc;

use super::Stock;
use super::wants::Want;
use crate::blob::Blob;
use crate::bugs::Bug;
use crate::bundle::Manifest;
use crate::deployment::message::{CHUNK_BYTES_MAX, Message};
use crate::deployment::port::{Event, Output};
use crate::deployment::transfer::{Progress, Transfer};
use crate::id::{Digest, NodeId};
use crate::time::{Duration, Instant};

/// A holder that sends nothing for so long is left for another. Ours: eight nodes that each have a window of chunks
/// under way over one 1 Mbit/s link wait 4 s; a holder that dies is noticed by the failure detector far sooner.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(8);
/// Artifacts handed to the store at once; nothing more is fetched meanwhile.
const STORING_MAX: usize = 2;
/// Artifacts begun and not finished, the one under way included. Beyond it another one is begun anew.
const TRANSFERS_MAX: usize = 4;
/// Bytes of a student. A bundle with a larger one is refused.
const STUDENT_BYTES_MAX: u64 = 1 << 30;
/// Bundles remembered as senseless. Beyond it they are forgotten, and fetched once more.
const REJECTED_MAX: usize = 64;

impl Stock {
    pub(super) fn on_chunk(&mut self, from: NodeId, (artifact, offset, total): (Digest, u64, u64), blob: Blob) {
        let active = self.active.filter(|want| want.artifact == artifact);
        let Some((want, transfer)) = active.and_then(|want| Some((want, self.transfers.get_mut(&artifact)?))) else {
            self.counters.messages_refused += 1;
            return;
        };
        match transfer.accept(from, offset, total, blob, self.now) {
            Progress::More => self.counters.chunks_received += 1,
            Progress::Unasked => self.counters.messages_refused += 1,
            Progress::Impossible => {
                self.counters.messages_refused += 1;
                self.peers.avoid_wrong(artifact, from, self.now);
            }
            Progress::Complete => {
                self.counters.chunks_received += 1;
                self.complete(from, want);
            }
        }
    }

    pub(super) fn on_absent(&mut self, from: NodeId, artifact: Digest) {
        let is_active = self.active.is_some_and(|want| want.artifact == artifact);
        if is_active && self.transfers.get(&artifact).is_some_and(|t| t.holder() == Some(from)) {
            self.peers.avoid_absent(artifact, from, self.now);
        } else {
            self.counters.messages_refused += 1;
        }
    }

    /// Verifies what has come; nothing of it is looked at before.
    fn complete(&mut self, from: NodeId, want: Want) {
        self.active = None;
        let Some(transfer) = self.transfers.remove(&want.artifact) else { return };
        let sources = transfer.sources().clone();
        let bytes = transfer.into_bytes();
        if Digest::of(&bytes) != want.artifact && !self.config.bugs.has(Bug::SkipHash) {
            for source in &sources {
                // Of several any may be the wrong one: each gets another chance soon, and then perhaps alone.
                match sources.len() {
                    1 => self.peers.avoid_wrong(want.artifact, *source, self.now),
                    _ => self.peers.avoid_absent(want.artifact, *source, self.now),
                }
            }
            self.counters.wrong_hashes += 1;
            self.event(Event::WrongHash { artifact: want.artifact, from });
            return;
        }
        if want.artifact == want.bundle
            && let Err(reason) = self.read_manifest(want.bundle, &bytes)
        {
            self.reject(want.bundle, reason);
            return;
        }
        self.storing.insert(want.artifact, bytes.len() as u64);
        self.outputs.push_back(Output::Store { artifact: want.artifact, bytes: bytes.into() });
    }

    /// Parses a verified manifest; the error is for people.
    fn read_manifest(&mut self, bundle: Digest, bytes: &[u8]) -> Result<(), String> {
        let manifest = Manifest::parse(bytes).map_err(|e| e.to_string())?;
        let mut cards = manifest.parts.iter().flat_map(|p| &p.students);
        if let Some(card) = cards.find(|c| c.bytes > STUDENT_BYTES_MAX) {
            return Err(format!("{} has {} bytes; the most is {STUDENT_BYTES_MAX}", card.file, card.bytes));
        }
        self.learn(bundle, Arc::new(manifest));
        Ok(())
    }

    fn reject(&mut self, bundle: Digest, reason: String) {
        if self.rejected.len() >= REJECTED_MAX {
            self.rejected.clear();
        }
        self.rejected.insert(bundle);
        self.event(Event::BadManifest { bundle, reason });
    }

    pub(super) fn fetch(&mut self, now: Instant) {
        if self.transfer_due().is_some_and(|due| due <= now)
            && let Some((artifact, holder)) = self.source()
        {
            self.peers.avoid_absent(artifact, holder, now);
        }
        self.choose(now);
        let Some(transfer) = self.active.and_then(|want| self.transfers.get_mut(&want.artifact)) else { return };
        let offsets = transfer.ask();
        let Some((artifact, holder)) = self.source() else { return };
        for offset in offsets {
            let fetch = Message::Fetch { artifact, offset, length: CHUNK_BYTES_MAX };
            self.send(holder, fetch, Blob::default());
        }
    }

    /// When the holder has been silent for too long.
    pub(super) fn transfer_due(&self) -> Option<Instant> {
        let (artifact, _) = self.source()?;
        self.transfers.get(&artifact).map(|t| t.heard_at() + CHUNK_TIMEOUT)
    }

    /// What is under way, and from whom.
    fn source(&self) -> Option<(Digest, NodeId)> {
        let artifact = self.active?.artifact;
        Some((artifact, self.transfers.get(&artifact)?.holder()?))
    }

    /// Keeps to what is under way unless something more urgent can be had, and to its holder as long as that serves.
    fn choose(&mut self, now: Instant) {
        let wants = self.wants();
        let available = |want: &Want| self.holder(want).map(|holder| (*want, holder));
        let mut current =
            wants.iter().filter(|want| self.active.is_some_and(|active| active.artifact == want.artifact));
        let chosen = match current.find_map(available) {
            Some(current) if current.0.is_urgent => Some(current),
            Some(current) => wants.iter().filter(|want| want.is_urgent).find_map(available).or(Some(current)),
            None if self.storing.len() < STORING_MAX => wants.iter().find_map(available),
            None => None,
        };
        self.activate(chosen, now);
    }

    /// The holder that serves, or another.
    fn holder(&self, want: &Want) -> Option<NodeId> {
        let serving = self.source().filter(|(artifact, _)| *artifact == want.artifact).map(|(_, holder)| holder);
        serving
            .filter(|holder| self.peers.is_usable(want.artifact, *holder))
            .or_else(|| self.peers.holder(self.me, want.artifact, want.bundle))
    }

    fn activate(&mut self, chosen: Option<(Want, NodeId)>, now: Instant) {
        let before = self.active.map(|want| want.artifact);
        if let Some(parked) = before.filter(|artifact| chosen.is_none_or(|(want, _)| want.artifact != *artifact))
            && let Some(transfer) = self.transfers.get_mut(&parked)
        {
            transfer.resume(None, now);
        }
        self.active = chosen.map(|(want, _)| want);
        let Some((want, holder)) = chosen else { return };
        let other = self.transfers.keys().find(|artifact| **artifact != want.artifact).copied();
        if let Some(other) = other.filter(|_| self.transfers.len() >= TRANSFERS_MAX) {
            self.transfers.remove(&other);
        }
        let new = || Transfer::new(want.total, want.bytes_max, now);
        let transfer = self.transfers.entry(want.artifact).or_insert_with(new);
        if transfer.holder() != Some(holder) {
            transfer.resume(Some(holder), now);
        }
    }
}
