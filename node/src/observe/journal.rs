//! The last events, numbered, for those who join late, come back or fall behind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rocoin::node::Event;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::events;

/// Events kept for whoever comes later; also how many a slow reader can be behind before it misses some.
pub(crate) const KEPT: usize = 256;

/// One event.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Rises by one with each event. The first is the time of the start in ms, so that numbers also rise from one start to the next.
    pub(crate) id: u64,
    /// As in the event file.
    pub(crate) told: Value,
}

#[derive(Debug)]
struct Kept {
    next: u64,
    entries: VecDeque<Arc<Entry>>,
}

/// The last events. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    kept: Arc<Mutex<Kept>>,
    news: broadcast::Sender<Arc<Entry>>,
}

impl Default for Journal {
    fn default() -> Self {
        let next = u64::try_from(unix_ns() / 1_000_000).unwrap_or(0);
        let kept = Kept { next, entries: VecDeque::with_capacity(KEPT) };
        Self { kept: Arc::new(Mutex::new(kept)), news: broadcast::channel(KEPT).0 }
    }
}

impl Journal {
    pub(super) fn tell(&self, event: &Event) {
        let Some(mut told) = events::told(event) else { return };
        told["at_unix_ns"] = json!(u64::try_from(unix_ns()).unwrap_or(u64::MAX));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = Arc::new(Entry { id: kept.next, told });
        kept.next += 1;
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(Arc::clone(&entry));
        // Nobody may be reading. Sent under the lock, so that a new reader misses none and gets none twice.
        let _ = self.news.send(entry);
    }

    /// What is kept, or of it what came after that number if this node gave it; and what comes from now on.
    pub(crate) fn read(&self, after: Option<u64>) -> (VecDeque<Arc<Entry>>, broadcast::Receiver<Arc<Entry>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let after = after.filter(|id| *id < kept.next);
        let entries = kept.entries.iter().filter(|entry| after.is_none_or(|id| entry.id > id));
        (entries.cloned().collect(), self.news.subscribe())
    }
}

fn unix_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;
    use rocoin::membership;

    use super::*;

    fn left(id: u8) -> Event {
        Event::Membership(membership::Event::Left { member: NodeId([id; 32]) })
    }

    #[test]
    fn who_comes_back_hears_what_it_missed_and_no_more() {
        let journal = Journal::default();
        (0..3).for_each(|id| journal.tell(&left(id)));
        let (all, _) = journal.read(None);
        assert_eq!(all.len(), 3);
        let (missed, mut news) = journal.read(Some(all[1].id));
        assert_eq!(missed.iter().map(|entry| entry.id).collect::<Vec<_>>(), [all[2].id]);
        journal.tell(&left(3));
        assert_eq!(news.try_recv().unwrap().id, all[2].id + 1);
    }

    #[test]
    fn a_number_that_was_never_given_hides_nothing() {
        let journal = Journal::default();
        journal.tell(&left(0));
        assert_eq!(journal.read(Some(u64::MAX)).0.len(), 1);
    }

    #[test]
    fn only_the_last_events_are_kept() {
        let journal = Journal::default();
        (0..2 * KEPT).for_each(|_| journal.tell(&left(0)));
        assert_eq!(journal.read(None).0.len(), KEPT);
    }
}
