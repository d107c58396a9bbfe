//! What is loaded, what is being loaded, and what cannot be.

use std::collections::BTreeMap;

use crate::id::Digest;
use crate::time::{Duration, Instant};

/// First wait before a student that could not be loaded is loaded again; doubled each time. Ours.
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest such wait. Ours.
const RETRY_LAST: Duration = Duration::from_secs(60);
/// After so many failures in a row the file is taken for damaged.
const TRIES: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Loading { failures: u32 },
    Ready,
    Failed { failures: u32, retry_at: Instant },
}

/// Every student that was asked to be loaded, and how that went.
#[derive(Debug, Default)]
pub(super) struct Loads(BTreeMap<Digest, Load>);

impl Loads {
    /// Whether the student is to be loaded now; if so, it counts as being loaded.
    pub(super) fn begin(&mut self, student: Digest) {
        let failures = match self.0.get(&student) {
            Some(Load::Failed { failures, .. }) => *failures,
            None | Some(Load::Loading { .. } | Load::Ready) => 0,
        };
        self.0.insert(student, Load::Loading { failures });
    }

    /// Whether loading may begin: it has not, or it failed a while ago.
    pub(super) fn may_begin(&self, student: Digest, now: Instant) -> bool {
        match self.0.get(&student) {
            None => true,
            Some(Load::Failed { retry_at, .. }) => *retry_at <= now,
            Some(Load::Loading { .. } | Load::Ready) => false,
        }
    }

    /// Loading ended; false if it had not begun.
    pub(super) fn end(&mut self, student: Digest, loaded: bool, now: Instant) -> bool {
        let Some(Load::Loading { failures }) = self.0.get(&student).copied() else { return false };
        let failures = failures.saturating_add(1);
        let wait = RETRY_FIRST.saturating_mul(1 << (failures - 1).min(6)).min(RETRY_LAST);
        let load = if loaded { Load::Ready } else { Load::Failed { failures, retry_at: now + wait } };
        self.0.insert(student, load);
        true
    }

    /// Whether the student's file seems damaged.
    pub(super) fn gives_up_on(&self, student: Digest) -> bool {
        matches!(self.0.get(&student), Some(Load::Failed { failures, .. }) if *failures >= TRIES)
    }

    pub(super) fn remove(&mut self, student: Digest) {
        self.0.remove(&student);
    }

    /// Forgets the failures of students that are not wanted any more; says whose.
    pub(super) fn forget_failures(&mut self, wanted: impl Fn(Digest) -> bool) -> Vec<Digest> {
        let is_over = |student: &Digest, load: &mut Load| matches!(load, Load::Failed { .. }) && !wanted(*student);
        self.0.extract_if(.., is_over).map(|(student, _)| student).collect()
    }

    pub(super) fn is_ready(&self, student: Digest) -> bool {
        self.0.get(&student) == Some(&Load::Ready)
    }

    pub(super) fn ready(&self) -> impl Iterator<Item = Digest> {
        self.0.iter().filter(|(_, load)| **load == Load::Ready).map(|(student, _)| *student)
    }

    /// What takes up memory.
    pub(super) fn resident(&self) -> impl Iterator<Item = Digest> {
        self.0.iter().filter(|(_, load)| !matches!(load, Load::Failed { .. })).map(|(student, _)| *student)
    }

    /// When the next failed one is loaded again.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let retry = |load: &Load| match load {
            Load::Failed { retry_at, .. } => Some(*retry_at),
            Load::Loading { .. } | Load::Ready => None,
        };
        self.0.values().filter_map(retry).filter(|at| *at > now).min()
    }
}
