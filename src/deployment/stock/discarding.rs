//! Deleting what no plan needs any more, so that a device's disk does not fill with every bundle that was ever served.
//!
//! Kept are the bundle of the adopted plan and the one planned before it, which those who lag behind may still want. All else
//! goes, but only when the plan is for the bundle to be served, each of its groups answers, and nobody is fetching anything
//! here.

use std::collections::BTreeSet;

use super::Stock;
use crate::bugs::Bug;
use crate::deployment::port::{Event, Output};
use crate::id::Digest;
use crate::time::{Duration, Instant};

/// After the plan was adopted. Ours: as long as the longest request, which may still be answered by an older bundle.
const DISCARD_AFTER: Duration = Duration::from_secs(60);

impl Stock {
    pub(super) fn discard(&mut self, now: Instant) {
        if self.discard_due().is_none_or(|due| due > now) {
            return;
        }
        for artifact in self.discardable() {
            self.held.remove(&artifact);
            self.manifests.remove(&artifact);
            self.outputs.push_back(Output::Discard { artifact });
            self.event(Event::Discarded { artifact });
        }
    }

    /// When there is something to delete.
    pub(super) fn discard_due(&self) -> Option<Instant> {
        let plan = self.plan.as_ref()?;
        let is_wanted = self.desired.current().is_some_and(|desired| desired.bundle == plan.bundle)
            || self.config.bugs.has(Bug::DiscardWanted);
        let is_whole = plan.groups.iter().all(|group| !group.members.is_empty());
        let is_settled = is_wanted && is_whole && self.serve.is_idle();
        (is_settled && !self.discardable().is_empty() && self.plan_is_served()).then(|| self.adopted_at + DISCARD_AFTER)
    }

    fn discardable(&self) -> Vec<Digest> {
        let Some(plan) = self.plan.as_ref().filter(|plan| self.manifests.contains_key(&plan.bundle)) else {
            return Vec::new();
        };
        let mut kept: BTreeSet<Digest> = self.loads.resident().collect();
        for bundle in [plan.bundle].into_iter().chain(self.previous) {
            kept.insert(bundle);
            if self.config.bugs.has(Bug::DiscardNeeded) {
                continue;
            }
            let parts = self.manifests.get(&bundle).into_iter().flat_map(|manifest| &manifest.parts);
            kept.extend(parts.flat_map(|part| &part.students).map(|card| card.digest));
        }
        self.held.keys().filter(|artifact| !kept.contains(artifact)).copied().collect()
    }
}
