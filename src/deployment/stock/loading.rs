//! Loading what is planned, freeing what no plan wants any more.

use std::collections::BTreeSet;

use super::Stock;
use crate::bugs::Bug;
use crate::deployment::port::{Event, Output};
use crate::id::Digest;
use crate::leadership::PlannedGroup;
use crate::time::{Duration, Instant};

/// Students of an older plan stay loaded for so long at least. Ours: records tell of an adoption within about a
/// second, and requests sent before have a deadline of two.
const GRACE: Duration = Duration::from_secs(5);

impl Stock {
    pub(super) fn on_loaded(&mut self, student: Digest, result: Result<(), String>) {
        if !self.loads.end(student, result.is_ok(), self.now) {
            return;
        }
        let Err(reason) = result else { return self.event(Event::Ready { student }) };
        self.counters.load_failures += 1;
        self.event(Event::LoadFailed { student, reason });
        if self.loads.gives_up_on(student) {
            self.distrust(student);
        }
    }

    /// Takes a student's file for damaged, if another can be had.
    fn distrust(&mut self, student: Digest) {
        let bundle = self.manifests.iter().find(|(_, manifest)| manifest.student(student).is_some());
        let bundle = bundle.map(|(bundle, _)| *bundle);
        if bundle.is_some_and(|bundle| !self.peers.holders(self.me, (student, bundle), Vec::new(), 1).is_empty()) {
            self.held.remove(&student);
        }
    }

    pub(super) fn load(&mut self, now: Instant) {
        let planned: BTreeSet<_> = self.planned().map(|(_, student)| student).collect();
        // Nobody will try them again, and the store may have deleted what it found damaged.
        for student in self.loads.forget_failures(|student| planned.contains(&student)) {
            if !self.config.bugs.has(Bug::KeepFailedFile) {
                self.distrust(student);
            }
        }
        for student in &planned {
            if !self.held.contains_key(student) || !self.is_known(*student) || !self.loads.may_begin(*student, now) {
                continue;
            }
            if !self.make_room(*student, &planned) {
                continue;
            }
            self.loads.begin(*student);
            self.outputs.push_back(Output::Load { student: *student });
        }
    }

    /// Whether a manifest here names the student: without it nobody knows what it takes, or how much memory.
    fn is_known(&self, student: Digest) -> bool {
        self.manifests.values().any(|manifest| manifest.student(student).is_some())
    }

    /// Frees superseded students until the memory suffices; false if one of them is still being loaded.
    fn make_room(&mut self, student: Digest, planned: &BTreeSet<Digest>) -> bool {
        if self.config.bugs.has(Bug::LoadBeyondMemory) {
            return true;
        }
        let is_superseded = |s: &Digest| !planned.contains(s);
        while self.memory_of_loaded().saturating_add(self.memory_of(student)) > self.config.memory_bytes_max {
            let Some(victim) = self.loads.ready().find(is_superseded) else {
                return self.loads.resident().all(|s| planned.contains(&s));
            };
            self.free(victim);
        }
        true
    }

    fn memory_of_loaded(&self) -> u64 {
        self.loads.resident().fold(0, |sum: u64, student| sum.saturating_add(self.memory_of(student)))
    }

    fn memory_of(&self, student: Digest) -> u64 {
        self.manifests.values().find_map(|m| m.student(student)).map_or(0, |(_, card)| card.memory_bytes)
    }

    fn free(&mut self, student: Digest) {
        self.loads.remove(student);
        self.outputs.push_back(Output::Unload { student });
        self.event(Event::Unloaded { student });
    }

    pub(super) fn unload(&mut self, now: Instant) {
        if self.unload_due().is_none_or(|due| due > now) {
            return;
        }
        for student in self.superseded() {
            self.free(student);
        }
    }

    /// When the students of older plans go: after the grace time, as soon as the plan is served without them.
    pub(super) fn unload_due(&self) -> Option<Instant> {
        if self.config.bugs.has(Bug::UnloadEarly) {
            return (!self.superseded().is_empty()).then_some(self.adopted_at);
        }
        let due = self.plan.is_some() && !self.superseded().is_empty() && self.plan_is_served();
        due.then(|| self.adopted_at + GRACE)
    }

    /// Whether each group of the plan answers, and this node has all that the plan gives it.
    pub(super) fn plan_is_served(&self) -> bool {
        let ready_here = |student: Digest| self.loads.is_ready(student);
        let serves = |group: &PlannedGroup| {
            self.peers.serve(group) || (group.members.contains(&self.me) && ready_here(group.student))
        };
        let groups = self.plan.iter().flat_map(|plan| &plan.groups);
        groups.filter(|group| !group.members.is_empty()).all(serves)
            && self.planned().all(|(_, student)| ready_here(student))
    }

    fn superseded(&self) -> Vec<Digest> {
        let planned: BTreeSet<_> = self.planned().map(|(_, student)| student).collect();
        self.loads.ready().filter(|student| !planned.contains(student)).collect()
    }
}
