//! How long each replica takes to answer, as this coordinator saw it: for mode `hedged`.
//!
//! The last answers of each student at each replica, not older than a minute. What was waited for in vain counts too, as an answer that
//! took at least that long: else a replica that has become slow would be known by its good days alone. After a minute without a word
//! the [`Route::expected`] of the cost model stands in again, so that who was slow once gets another chance.
//!
//! Memory: [`WINDOW`] answers of each (replica, student), of members alone; what has faded goes at the next routing.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{Digest, NodeId};
use crate::inference::Route;
use crate::time::{Duration, Instant};

/// Answers of one student at one replica that are remembered. Of 40, the 95th percentile is the second longest, with a standard error
/// of 3.4 percentiles.
const WINDOW: usize = 40;

/// How long an answer tells of its replica. Ours: some re-plans; a device that was busy mostly is no more.
const FADES_AFTER: Duration = Duration::from_secs(60);

/// The 95th percentile is taken for so many times what the cost model expects, while fewer than [`KNOWN`] answers are known. Ours: the
/// swarm's and the demo's devices stay below it when nothing is wrong.
const PRIOR_FACTOR: u32 = 3;

/// From so many answers on, their own 95th percentile is among them: the least n with ⌈0.95 (n + 1)⌉ ≤ n.
const KNOWN: usize = 19;

/// Nobody is called overdue sooner: below it are a timer's grain and a scheduler's whim.
const PATIENCE_MIN: Duration = Duration::from_millis(2);

/// An answer, or a wait in vain.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    took: Duration,
    /// Of which the student ran so long; `None`: there was no answer.
    run: Option<Duration>,
}

/// What is to be expected of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Until its answer, with an empty queue.
    pub(super) typical: Duration,
    /// Of that, the run.
    pub(super) run: Duration,
    /// Until an answer is overdue: the 95th percentile.
    pub(super) p95: Duration,
}

/// What the answers told.
#[derive(Debug, Default)]
pub(super) struct Times(BTreeMap<(NodeId, Digest), VecDeque<Sample>>);

impl Times {
    /// An answer came.
    pub(super) fn hear(&mut self, now: Instant, replica: NodeId, student: Digest, took: Duration, run: Duration) {
        self.note(replica, student, Sample { at: now, took, run: Some(run.min(took)) });
    }

    /// The answer was not waited for any longer. It says something only if it was longer than usual.
    pub(super) fn gave_up(&mut self, now: Instant, route: Route, after: Duration) {
        if after > self.estimate(now, route).typical {
            self.note(route.replica, route.student, Sample { at: now, took: after, run: None });
        }
    }

    fn note(&mut self, replica: NodeId, student: Digest, sample: Sample) {
        let samples = self.0.entry((replica, student)).or_default();
        if samples.len() == WINDOW {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Forgets a member that is no longer known.
    pub(super) fn forget(&mut self, replica: NodeId) {
        self.0.retain(|(of, _), _| *of != replica);
    }

    /// Forgets what tells nothing any more.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.0.retain(|_, samples| samples.back().is_some_and(|sample| is_fresh(now, sample)));
    }

    pub(super) fn estimate(&self, now: Instant, route: Route) -> Estimate {
        let samples = self.0.get(&(route.replica, route.student)).into_iter().flatten();
        let fresh: Vec<Sample> = samples.copied().filter(|sample| is_fresh(now, sample)).collect();
        let answers = || fresh.iter().filter_map(|sample| Some((sample.took, sample.run?)));
        let travel = answers().map(|(took, run)| took - run).min();
        let run = answers().map(|(_, run)| run).next_back();
        let heard = travel.zip(run).map(|(travel, run)| travel + run);
        // Since its last answer.
        let in_vain = fresh.iter().rev().take_while(|sample| sample.run.is_none()).map(|sample| sample.took).max();
        let typical = heard.unwrap_or(route.expected).max(in_vain.unwrap_or_default());
        Estimate { typical, run: run.unwrap_or(route.expected), p95: p95(&fresh, route).max(PATIENCE_MIN) }
    }
}

fn is_fresh(now: Instant, sample: &Sample) -> bool {
    now.since(sample.at) <= FADES_AFTER
}

/// The order statistic that 95 of 100 answers do not exceed; with too few answers for one, the longest or what the prior says.
fn p95(fresh: &[Sample], route: Route) -> Duration {
    let mut took: Vec<Duration> = fresh.iter().map(|sample| sample.took).collect();
    took.sort_unstable();
    let rank = ((took.len() + 1) * 19).div_ceil(20);
    match took.get(rank.saturating_sub(1)) {
        Some(p95) if took.len() >= KNOWN => *p95,
        _ => took.last().copied().unwrap_or_default().max(route.expected.saturating_mul(PRIOR_FACTOR)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Route =
        Route { replica: NodeId([1; 32]), student: Digest([7; 32]), expected: Duration::from_millis(20) };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    fn heard(took: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::default();
        took.into_iter().for_each(|took| times.hear(at(1), ROUTE.replica, ROUTE.student, ms(took), ms(8)));
        times
    }

    #[test]
    fn of_a_replica_never_heard_of_the_cost_model_tells() {
        let estimate = Times::default().estimate(at(1), ROUTE);
        assert_eq!(estimate, Estimate { typical: ms(20), run: ms(20), p95: ms(60) });
    }

    #[test]
    fn few_answers_make_the_prior_longer_but_not_shorter() {
        assert_eq!(heard([10, 11]).estimate(at(1), ROUTE).p95, ms(60));
        assert_eq!(heard([10, 300]).estimate(at(1), ROUTE).p95, ms(300));
        assert_eq!(heard([10; 18]).estimate(at(1), ROUTE).p95, ms(60));
    }

    #[test]
    fn the_percentile_of_many_answers_is_their_own_and_one_in_twenty_is_longer() {
        assert_eq!(heard([10; 19]).estimate(at(1), ROUTE).p95, ms(10));
        assert_eq!(heard(1..=40).estimate(at(1), ROUTE).p95, ms(39));
        assert_eq!(heard(1..=400).estimate(at(1), ROUTE).p95, ms(399), "the last 40 count");
        assert_eq!(heard([0; 19]).estimate(at(1), ROUTE).p95, PATIENCE_MIN);
    }

    #[test]
    fn the_typical_time_is_the_shortest_way_and_the_last_run() {
        let estimate = heard([30, 12, 50]).estimate(at(1), ROUTE);
        assert_eq!((estimate.typical, estimate.run), (ms(12), ms(8)));
    }

    #[test]
    fn a_wait_in_vain_makes_a_replica_slow_until_it_answers_again_or_a_minute_has_passed() {
        let mut times = heard([10; 19]);
        times.gave_up(at(2), ROUTE, ms(5));
        assert_eq!(times.estimate(at(2), ROUTE).typical, ms(10), "a short wait says nothing");
        times.gave_up(at(2), ROUTE, ms(900));
        times.gave_up(at(2), ROUTE, ms(950));
        let slow = times.estimate(at(2), ROUTE);
        assert_eq!((slow.typical, slow.p95), (ms(950), ms(950)));
        assert_eq!(times.estimate(at(70), ROUTE).typical, ms(20), "another chance");
        times.hear(at(3), ROUTE.replica, ROUTE.student, ms(10), ms(8));
        assert_eq!(times.estimate(at(3), ROUTE).typical, ms(10));
    }

    #[test]
    fn what_has_faded_or_is_of_nobody_any_more_takes_no_room() {
        let mut times = heard(0..1000);
        assert_eq!(times.0.values().map(VecDeque::len).sum::<usize>(), WINDOW);
        times.tidy(at(61));
        assert_eq!(times.0.len(), 1);
        times.tidy(at(62));
        assert!(times.0.is_empty());
        let mut times = heard([10]);
        times.forget(ROUTE.replica);
        assert!(times.0.is_empty());
    }
}
