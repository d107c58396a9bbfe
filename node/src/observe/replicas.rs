//! How quickly replicas answered of late, of the answers that were used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocoin::id::{NodeId, PartId};
use rocoin::inference::Answer;
use serde::{Deserialize, Serialize};

/// (Replica, part) pairs kept. A further one takes the place of the one that was used least.
const KEPT_MAX: usize = 1024;
/// Weight of a new time in the smoothed one, as for a round trip in RFC 6298.
const SMOOTHING: u64 = 8;

/// One replica's answers for one part that this node used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Who.
    pub(crate) replica: NodeId,
    /// For which part.
    pub(crate) part: PartId,
    /// How many.
    pub(crate) wins: u64,
    /// From the request to the answer, smoothed, µs.
    pub(crate) after_us: u64,
    /// How long the student ran, smoothed, µs.
    pub(crate) run_us: u64,
}

/// All of them. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replicas(Arc<Mutex<BTreeMap<(NodeId, PartId), Pace>>>);

impl Replicas {
    pub(super) fn answered(&self, answer: &Answer) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for of in &answer.parts {
            let (key, after_us, run_us) = ((of.replica, of.part), us(of.after), us(of.run));
            if let Some(pace) = paces.get_mut(&key) {
                pace.wins += 1;
                pace.after_us = smooth(pace.after_us, after_us);
                pace.run_us = smooth(pace.run_us, run_us);
            } else {
                if paces.len() >= KEPT_MAX {
                    let least = paces.iter().min_by_key(|(_, pace)| pace.wins).map(|(key, _)| *key);
                    least.map(|key| paces.remove(&key));
                }
                paces.insert(key, Pace { replica: of.replica, part: of.part, wins: 1, after_us, run_us });
            }
        }
    }

    /// The member is not known any more.
    pub(super) fn forget(&self, replica: NodeId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(who, _), _| *who != replica);
    }

    /// All of them, by replica and part.
    pub(crate) fn paces(&self) -> Vec<Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn smooth(old: u64, new: u64) -> u64 {
    old - old / SMOOTHING + new / SMOOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_follows_the_last_ones() {
        let settled = (0..100).fold(8_000, |old, _| smooth(old, 80_000));
        assert!((79_000..=80_000).contains(&settled), "{settled}");
        assert_eq!(smooth(0, 0), 0);
    }
}
