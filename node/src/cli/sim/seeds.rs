//! A range of seeds, run on several threads and told in order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use serde::Serialize;

/// Seeds from one up to and without another; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Seeds {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        match ends {
            Some((from, to)) if from < to => Ok(Self { from, to }),
            _ => Err("write two whole numbers, the second greater: 0..300 are the 300 seeds 0 to 299".to_owned()),
        }
    }
}

impl Seeds {
    pub(super) fn one(seed: u64) -> Self {
        Self { from: seed, to: seed.saturating_add(1) }
    }

    pub(super) fn count(self) -> u64 {
        self.to - self.from
    }

    /// Does something with each seed, `jobs` at once, and hands the outcomes over in the order of the seeds.
    pub(super) fn each<T: Send>(
        self,
        jobs: NonZeroUsize,
        work: impl Fn(u64) -> T + Sync,
        mut done: impl FnMut(u64, T),
    ) {
        let (next, work) = (&AtomicU64::new(self.from), &work);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..jobs.get() {
                let sender = sender.clone();
                scope.spawn(move || {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.to || sender.send((seed, work(seed))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let (mut waiting, mut due) = (BTreeMap::new(), self.from);
            for (seed, outcome) in receiver {
                waiting.insert(seed, outcome);
                while let Some(outcome) = waiting.remove(&due) {
                    done(due, outcome);
                    due += 1;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_half_open_and_not_empty() {
        assert_eq!("3..5".parse(), Ok(Seeds { from: 3, to: 5 }));
        for text in ["", "3", "5..3", "3..3", "a..b", "-1..2", "3..=5"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
    }

    #[test]
    fn outcomes_come_in_the_order_of_the_seeds_however_many_threads_there_are() {
        for jobs in [1, 4] {
            let mut order = Vec::new();
            let seeds = Seeds { from: 10, to: 60 };
            seeds.each(NonZeroUsize::new(jobs).unwrap(), |seed| seed * 2, |seed, twice| order.push((seed, twice)));
            assert_eq!(order, (10..60).map(|seed| (seed, 2 * seed)).collect::<Vec<_>>());
        }
    }
}
