//! Getting artifacts from others, one after the other, each from several holders at once.

use std::sync::Arc;

use super::Stock;
use super::wants::Want;
use crate::blob::Blob;
use crate::bugs::Bug;
use crate::bundle::Manifest;
use crate::deployment::message::Message;
use crate::deployment::port::{Event, Output};
use crate::deployment::transfer::{Progress, Transfer};
use crate::id::{Digest, NodeId};
use crate::time::Instant;

/// Artifacts of which somebody sent wrong bytes, and which are fetched from one holder alone therefore. Beyond it the first is forgotten.
const DOUBTED_MAX: usize = 64;
/// Artifacts handed to the store at once; nothing more is fetched meanwhile.
pub(super) const STORING_MAX: usize = 2;
/// Artifacts begun and not finished, the one under way included. Beyond it another one is begun anew.
pub(super) const TRANSFERS_MAX: usize = 4;
/// Bytes of a student. A bundle with a larger one is refused.
const STUDENT_BYTES_MAX: u64 = 1 << 30;
/// Bundles remembered as senseless. Beyond it they are forgotten, and fetched once more.
const REJECTED_MAX: usize = 64;

impl Stock {
    pub(super) fn on_chunk(&mut self, from: NodeId, (artifact, offset, total): (Digest, u64, u64), blob: Blob) {
        // Whatever becomes of it here, it is not on its way any more.
        self.send(from, Message::Taken { artifact, offset }, Blob::default());
        let active = self.active.filter(|want| want.artifact == artifact);
        let Some((want, transfer)) = active.and_then(|want| Some((want, self.transfers.get_mut(&artifact)?))) else {
            self.counters.messages_refused += 1;
            return;
        };
        let bytes = blob.len();
        let progress = transfer.accept(from, offset, total, blob, self.now);
        if matches!(progress, Progress::More | Progress::Complete) {
            self.counters.chunks_received += 1;
            self.helpers.came(bytes, self.now);
        }
        match progress {
            Progress::More => {}
            Progress::Unasked => self.counters.messages_refused += 1,
            Progress::Impossible => {
                self.counters.messages_refused += 1;
                self.peers.avoid_wrong(artifact, from, self.now);
            }
            Progress::Complete => self.complete(from, want),
        }
    }

    pub(super) fn on_absent(&mut self, from: NodeId, artifact: Digest) {
        let is_active = self.active.is_some_and(|want| want.artifact == artifact);
        if is_active && self.transfers.get(&artifact).is_some_and(|t| t.is_held_by(from)) {
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
            if self.doubted.len() >= DOUBTED_MAX {
                self.doubted.pop_first();
            }
            self.doubted.insert(want.artifact);
            self.event(Event::WrongHash { artifact: want.artifact, from });
            return;
        }
        self.doubted.remove(&want.artifact);
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
        while let Some((artifact, holder)) = self.silent_holder(now) {
            self.peers.avoid_absent(artifact, holder, now);
            let Some(transfer) = self.transfers.get_mut(&artifact) else { break };
            let others: Vec<_> = transfer.holders().filter(|other| *other != holder).collect();
            let left = transfer.ask_of(&others, now);
            self.have_enough(artifact, left);
        }
        self.choose(now);
        let Some(artifact) = self.active.map(|want| want.artifact) else { return };
        let fetches = self.transfers.get_mut(&artifact).map(|transfer| transfer.ask(now)).unwrap_or_default();
        for (holder, offset, length) in fetches {
            self.send(holder, Message::Fetch { artifact, offset, length }, Blob::default());
        }
    }

    /// When a holder has been silent for too long.
    pub(super) fn transfer_due(&self) -> Option<Instant> {
        Some(self.transfers.get(&self.active?.artifact)?.due()?.0)
    }

    fn silent_holder(&self, now: Instant) -> Option<(Digest, NodeId)> {
        let artifact = self.active?.artifact;
        let (due, holder) = self.transfers.get(&artifact)?.due()?;
        (due <= now).then_some((artifact, holder))
    }

    /// Those who are not asked any more need not send what they were asked for.
    fn have_enough(&mut self, artifact: Digest, left: Vec<NodeId>) {
        for holder in left {
            self.send(holder, Message::Enough { artifact }, Blob::default());
        }
    }

    /// Keeps to what is under way unless something more urgent can be had, and to its holders as long as they serve.
    fn choose(&mut self, now: Instant) {
        let wants = self.wants();
        let available = |want: &Want| Some((*want, self.holders(want))).filter(|(_, holders)| !holders.is_empty());
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

    /// The holders that serve, and others as far as more are to be asked.
    fn holders(&self, want: &Want) -> Vec<NodeId> {
        let is_active = self.active.is_some_and(|active| active.artifact == want.artifact);
        let transfer = self.transfers.get(&want.artifact).filter(|_| is_active);
        let serving = transfer.into_iter().flat_map(Transfer::holders).collect();
        let most = if self.doubted.contains(&want.artifact) { 1 } else { self.helpers.count() };
        self.peers.holders(self.me, (want.artifact, want.bundle), serving, most)
    }

    fn activate(&mut self, chosen: Option<(Want, Vec<NodeId>)>, now: Instant) {
        let before = self.active.map(|want| want.artifact);
        if let Some(parked) =
            before.filter(|artifact| chosen.as_ref().is_none_or(|(want, _)| want.artifact != *artifact))
            && let Some(transfer) = self.transfers.get_mut(&parked)
        {
            let left = transfer.ask_of(&[], now);
            self.have_enough(parked, left);
        }
        self.active = chosen.as_ref().map(|(want, _)| *want);
        let Some((want, holders)) = chosen else { return };
        let other = self.transfers.keys().find(|artifact| **artifact != want.artifact).copied();
        if let Some(other) = other.filter(|_| self.transfers.len() >= TRANSFERS_MAX) {
            self.transfers.remove(&other);
        }
        let transfer = self.transfers.entry(want.artifact).or_insert_with(|| Transfer::new(want.total, want.bytes_max));
        let left = transfer.ask_of(&holders, now);
        self.have_enough(want.artifact, left);
    }
}
