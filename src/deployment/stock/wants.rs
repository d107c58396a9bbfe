//! What this node lacks, most urgent first.

use super::Stock;
use crate::bundle::{MANIFEST_BYTES_MAX, Manifest, StudentCard};
use crate::id::Digest;

/// Sure holders that a student has to have outside its group. From the design.
const KEEPERS_MIN: usize = 3;

/// Something to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) artifact: Digest,
    /// The bundle it belongs to; of a manifest itself.
    pub(super) bundle: Digest,
    /// Its size, where that is known.
    pub(super) total: Option<u64>,
    pub(super) bytes_max: u64,
    /// A manifest, or a student that the plan gives this node.
    pub(super) is_urgent: bool,
}

impl Want {
    fn manifest(bundle: Digest) -> Self {
        Self { artifact: bundle, bundle, total: None, bytes_max: MANIFEST_BYTES_MAX, is_urgent: true }
    }

    fn student(bundle: Digest, (artifact, card): (Digest, &StudentCard), is_urgent: bool) -> Self {
        Self { artifact, bundle, total: Some(card.bytes), bytes_max: card.bytes, is_urgent }
    }
}

impl Stock {
    /// What this node lacks, most urgent first: manifests, the students that the plan gives it, the rest.
    pub(super) fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<_> = self.bundles().filter(|b| self.lacks(*b)).map(Want::manifest).collect();
        for (bundle, student) in self.planned() {
            let card = self.manifests.get(&bundle).and_then(|m| m.student(student));
            if let Some((_, card)) = card.filter(|_| self.lacks(student)) {
                wants.push(Want::student(bundle, (student, card), true));
            }
        }
        if let Some((bundle, manifest)) = self.serving() {
            wants.extend(self.rest(bundle, manifest));
        }
        wants
    }

    /// The bundle to be served and the one planned, which may differ for a while.
    pub(super) fn bundles(&self) -> impl Iterator<Item = Digest> {
        let desired = self.desired.current().map(|d| d.bundle).filter(|b| !self.rejected.contains(b));
        let planned = self.plan.as_ref().map(|p| p.bundle).filter(|b| Some(*b) != desired);
        desired.into_iter().chain(planned)
    }

    /// The students that the plan gives this node, with their bundle.
    pub(super) fn planned(&self) -> impl Iterator<Item = (Digest, Digest)> {
        self.planned.iter().copied()
    }

    fn lacks(&self, artifact: Digest) -> bool {
        let is_put_off = self.put_off.get(&artifact).is_some_and(|p| p.until > self.now);
        !self.held.contains_key(&artifact) && !self.storing.contains_key(&artifact) && !is_put_off
    }

    /// The bundle's other students, as far as there is room: all, or those that too few others keep; the rarest first.
    fn rest(&self, bundle: Digest, manifest: &Manifest) -> Vec<Want> {
        let used =
            self.held.values().chain(self.storing.values()).fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        let room = self.config.storage_bytes_max.saturating_sub(used);
        let cards = manifest.parts.iter().flat_map(|p| &p.students);
        let mut lacking: Vec<_> = cards.map(|c| (c.digest, c)).filter(|(s, _)| self.lacks(*s)).collect();
        let whole_fits = lacking.iter().fold(0, |sum: u64, (_, c)| sum.saturating_add(c.bytes)) <= room;
        let keepers = |student: Digest| {
            let group = self.plan.iter().flat_map(|p| &p.groups).find(|g| g.student == student);
            self.peers.keepers(student, bundle, group)
        };
        lacking.retain(|(s, c)| whole_fits || (c.bytes <= room && keepers(*s) < KEEPERS_MIN));
        lacking.sort_by_cached_key(|(s, _)| keepers(*s));
        lacking.into_iter().map(|student| Want::student(bundle, student, false)).collect()
    }
}
