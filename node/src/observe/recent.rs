//! The requests of the last minute, second by second: how many, how they went, how long they took.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rocoin::inference::Outcome;
use serde::{Deserialize, Serialize};

/// Seconds kept.
pub(crate) const SECONDS: u64 = 60;
/// Buckets of a duration's logarithm: four an octave, so that a percentile is at most 19 % too large.
const PER_OCTAVE: f64 = 4.0;
/// The first bucket's upper bound, s. Nothing is answered faster.
const LEAST_S: f64 = 50e-6;
/// Up to 60 s, the longest deadline, and what is beyond.
const BUCKETS: usize = 84;

/// One second of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Which, since 1970 by this node's clock.
    pub(crate) unix_s: u64,
    /// Requests answered, the degraded ones included.
    pub(crate) answered: u32,
    /// Of them, those without some part.
    pub(crate) degraded: u32,
    /// Requests without an answer that was not the client's own doing.
    pub(crate) failed: u32,
    /// Median of the answered ones' time, µs; none if there are none.
    pub(crate) p50_us: Option<u64>,
    /// The same, 99th percentile.
    pub(crate) p99_us: Option<u64>,
}

#[derive(Debug)]
struct Counts {
    unix_s: u64,
    degraded: u32,
    failed: u32,
    took: [u32; BUCKETS],
}

/// The last minute. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent(Arc<Mutex<VecDeque<Counts>>>);

impl Recent {
    pub(super) fn finished(&self, outcome: Outcome, took: Duration) {
        self.finished_at(unix_s(), outcome, took);
    }

    /// The seconds that are over, later than that one and of the last minute, in order; seconds without requests included. All of the last minute
    /// if that one is still to come: the clock was set back since it was told.
    pub(crate) fn since(&self, unix_s: u64) -> Vec<Second> {
        self.until(self::unix_s(), unix_s)
    }

    fn finished_at(&self, now: u64, outcome: Outcome, took: Duration) {
        let mut seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Where the clock was set back, what it had called later would stand before the next requests until it is there again.
        while seconds.back().is_some_and(|last| last.unix_s > now) {
            seconds.pop_back();
        }
        if seconds.back().is_none_or(|last| last.unix_s < now) {
            seconds.push_back(Counts { unix_s: now, degraded: 0, failed: 0, took: [0; BUCKETS] });
            while seconds.front().is_some_and(|first| first.unix_s + SECONDS < now) {
                seconds.pop_front();
            }
        }
        let Some(counts) = seconds.back_mut() else { return };
        match outcome {
            Outcome::Complete => {}
            Outcome::Degraded => counts.degraded += 1,
            Outcome::Cancelled | Outcome::BadInput => return,
            Outcome::NotServing | Outcome::NoReplica | Outcome::Overloaded | Outcome::Deadline | Outcome::Draining => {
                counts.failed += 1;
                return;
            }
        }
        counts.took[bucket(took)] += 1;
    }

    fn until(&self, now: u64, after: u64) -> Vec<Second> {
        let seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = if after < now { after } else { 0 };
        let first = now.saturating_sub(SECONDS).max(after.saturating_add(1));
        let told = |unix_s| seconds.iter().find(|counts| counts.unix_s == unix_s).map(Counts::told);
        (first..now).map(|unix_s| told(unix_s).unwrap_or_else(|| Second::empty(unix_s))).collect()
    }
}

impl Second {
    fn empty(unix_s: u64) -> Self {
        Self { unix_s, answered: 0, degraded: 0, failed: 0, p50_us: None, p99_us: None }
    }
}

impl Counts {
    fn told(&self) -> Second {
        let answered = self.took.iter().sum();
        let Self { unix_s, degraded, failed, .. } = *self;
        Second { unix_s, answered, degraded, failed, p50_us: self.percentile(0.5), p99_us: self.percentile(0.99) }
    }

    /// The upper bound of the bucket that has it.
    fn percentile(&self, share: f64) -> Option<u64> {
        let all: u32 = self.took.iter().sum();
        let mut below = 0;
        let at = self.took.iter().position(|count| {
            below += count;
            below > 0 && f64::from(below) >= share * f64::from(all)
        })?;
        let exponent = i32::try_from(at).ok()?;
        let bound = Duration::from_secs_f64(LEAST_S * (f64::from(exponent) / PER_OCTAVE).exp2());
        u64::try_from(bound.as_micros()).ok()
    }
}

fn bucket(took: Duration) -> usize {
    let above = ((took.as_secs_f64() / LEAST_S).log2() * PER_OCTAVE).ceil();
    let fits = (0..BUCKETS - 1).find(|at| i32::try_from(*at).is_ok_and(|at| f64::from(at) >= above));
    fits.unwrap_or(BUCKETS - 1)
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_tells_how_many_how_well_and_how_fast() {
        let recent = Recent::default();
        for ms in 1..=100 {
            recent.finished_at(1000, Outcome::Complete, Duration::from_millis(ms));
        }
        recent.finished_at(1000, Outcome::Degraded, Duration::from_millis(50));
        recent.finished_at(1000, Outcome::Deadline, Duration::from_secs(2));
        recent.finished_at(1000, Outcome::Cancelled, Duration::from_secs(2));
        let [second] = recent.until(1001, 999)[..] else { panic!("one second") };
        assert_eq!((second.answered, second.degraded, second.failed), (101, 1, 1));
        assert!(second.p50_us.is_some_and(|us| (50_000..60_000).contains(&us)), "{second:?}");
        assert!(second.p99_us.is_some_and(|us| (99_000..118_000).contains(&us)), "{second:?}");
    }

    #[test]
    fn quiet_seconds_are_told_and_only_a_minute_is_kept() {
        let recent = Recent::default();
        for second in [10, 500, 503] {
            recent.finished_at(second, Outcome::Complete, Duration::from_millis(1));
        }
        assert_eq!(recent.until(504, 499).iter().map(|s| s.answered).collect::<Vec<_>>(), [1, 0, 0, 1]);
        assert_eq!(recent.until(504, 0).len() as u64, SECONDS);
        assert_eq!(recent.until(504, 503), []);
        assert_eq!(recent.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_what_it_had_called_later_and_nothing_else() {
        let recent = Recent::default();
        for second in [1000, 1030, 1001] {
            recent.finished_at(second, Outcome::Complete, Duration::from_millis(1));
        }
        assert_eq!(recent.until(1002, 999).iter().map(|s| s.answered).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(recent.until(1002, 1029).len() as u64, SECONDS);
    }

    #[test]
    fn every_duration_has_a_bucket() {
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::from_secs(60)), 81);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }
}
