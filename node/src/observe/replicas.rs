//! How quickly replicas answered of late, of the answers that were used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocoin::id::{NodeId, PartId};
use rocoin::inference::Answer;
use serde::{Deserialize, Serialize};

/// (Replica, part) pairs kept. A further one takes the place of the one that was used longest ago.
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
pub(crate) struct Replicas(Arc<Mutex<Paces>>);

#[derive(Debug, Default)]
struct Paces {
    /// With the number of the answer that each was last used in.
    by_replica: BTreeMap<(NodeId, PartId), (u64, Pace)>,
    answers: u64,
}

impl Paces {
    fn used(&mut self, (replica, part): (NodeId, PartId), after_us: u64, run_us: u64) {
        if !self.by_replica.contains_key(&(replica, part)) && self.by_replica.len() >= KEPT_MAX {
            let oldest = self.by_replica.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.by_replica.remove(&oldest);
            }
        }
        let new = || (0, Pace { replica, part, wins: 0, after_us, run_us });
        let (used, pace) = self.by_replica.entry((replica, part)).or_insert_with(new);
        *used = self.answers;
        pace.wins += 1;
        pace.after_us = smooth(pace.after_us, after_us);
        pace.run_us = smooth(pace.run_us, run_us);
    }
}

impl Replicas {
    pub(super) fn answered(&self, answer: &Answer) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.answers += 1;
        for of in &answer.parts {
            paces.used((of.replica, of.part), us(of.after), us(of.run));
        }
    }

    /// The member is not known any more.
    pub(super) fn forget(&self, replica: NodeId) {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.by_replica.retain(|(who, _), _| *who != replica);
    }

    /// All of them, by replica and part.
    pub(crate) fn paces(&self) -> Vec<Pace> {
        let paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        paces.by_replica.values().map(|(_, pace)| *pace).collect()
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
    fn a_new_pair_takes_the_place_of_the_one_used_longest_ago() {
        let mut paces = Paces::default();
        let pair = |n: usize| (NodeId([u8::try_from(n % 256).unwrap(); 32]), PartId(u16::try_from(n / 256).unwrap()));
        for n in 0..KEPT_MAX {
            paces.answers += 1;
            paces.used(pair(n), 10, 5);
        }
        paces.answers += 1;
        paces.used(pair(0), 10, 5);
        paces.answers += 1;
        paces.used(pair(KEPT_MAX), 10, 5);
        assert_eq!(paces.by_replica.len(), KEPT_MAX);
        let kept = |n| paces.by_replica.get(&pair(n)).map(|(_, pace)| pace.wins);
        assert_eq!([kept(0), kept(1), kept(2), kept(KEPT_MAX)], [Some(2), None, Some(1), Some(1)]);
    }

    #[test]
    fn a_time_follows_the_last_ones() {
        let settled = (0..100).fold(8_000, |old, _| smooth(old, 80_000));
        assert!((79_000..=80_000).contains(&settled), "{settled}");
        assert_eq!(smooth(0, 0), 0);
    }
}
