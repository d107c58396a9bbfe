//! What happened last, for people who look at a violation.

use std::collections::VecDeque;

use crate::fact::{Entry, Fact};

/// Facts before a violation that are shown with it.
pub(crate) const RECENT_MAX: usize = 40;

/// The last facts; looks at views and queues, which come all the time, are left out.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<Entry>);

impl Recent {
    /// Whether a fact is one of those that are shown.
    pub(crate) fn shows(entry: &Entry) -> bool {
        !matches!(entry.fact, Fact::Busy { .. } | Fact::Load { .. } | Fact::View { .. })
    }

    /// Takes in the next fact.
    pub(crate) fn observe(&mut self, entry: Entry) {
        if !Self::shows(&entry) {
            return;
        }
        if self.0.len() == RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// Oldest first.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.iter().cloned().collect()
    }
}
