//! An assignment under change, and the score it is judged by.
//!
//! Scores are compared term by term, the constraints first: so an infeasible fleet gets the plan that comes closest, and a feasible one
//! the fastest.

use core::cmp::Ordering;

use super::problem::{Problem, parts_of};
use super::survival::{PartSet, Survival, Weights};

/// Probabilities and accuracies closer than this are the same.
const SAME: f64 = 1e-12;

/// Who holds what: a student a part, a set of parts a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) students: Vec<usize>,
    pub(crate) held: Vec<PartSet>,
}

/// What an assignment is worth; less is better.
///
/// Terms, in the order in which they count: parts nobody holds; how far groups are above p_th (sum of logarithms); how far availability is
/// below ρ (objective ρ); how far expected accuracy is below its least; latency; further parts on devices, which cost every
/// request time; unavailability; inaccuracy. With `latency_max_s`: latency above it takes accuracy's place, and inaccuracy
/// comes before latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    terms: [f64; TERMS],
    /// How near the latency is to falling; not part of what is wanted, but a search finds its way by it.
    slope: f64,
    slope_at: usize,
}

const TERMS: usize = 8;
/// The first terms say whether constraints hold.
const CONSTRAINTS: usize = 4;

impl Score {
    /// What a plan is wanted for.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        lexicographic(&self.terms, &other.terms).is_lt()
    }

    /// The same, and between equal latencies the one nearer to a lower one.
    pub(crate) fn leads_below(&self, other: &Self) -> bool {
        let at = self.slope_at;
        lexicographic(&self.terms[..at], &other.terms[..at])
            .then(self.slope.total_cmp(&other.slope))
            .then_with(|| lexicographic(&self.terms[at..], &other.terms[at..]))
            .is_lt()
    }

    /// By the constraints alone.
    pub(crate) fn violates_less(&self, other: &Self) -> bool {
        lexicographic(&self.terms[..CONSTRAINTS], &other.terms[..CONSTRAINTS]).is_lt()
    }

    /// Up to the main aim: constraints, then what is optimised.
    pub(crate) fn aims_below(&self, other: &Self) -> bool {
        lexicographic(&self.terms[..=CONSTRAINTS], &other.terms[..=CONSTRAINTS]).is_lt()
    }

    /// Probability that a part is not answered.
    pub(crate) fn unavailability(&self) -> f64 {
        self.terms[self.slope_at + 1] * SAME
    }

    /// Parts nobody holds, and how many kinds of constraints do not hold.
    pub(crate) fn broken(&self) -> (f64, usize) {
        (self.terms[0], self.terms[..CONSTRAINTS].iter().filter(|term| **term > 0.0).count())
    }

    /// s; infinite if a part is not answered, or not with probability ρ.
    pub(crate) fn latency(&self) -> f64 {
        self.terms[self.slope_at - 1]
    }

    /// What is optimised: latency in seconds, or minus the expected accuracy.
    pub(crate) fn aim(&self) -> f64 {
        self.terms[CONSTRAINTS]
    }
}

fn lexicographic(a: &[f64], b: &[f64]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// What a plan reports of an assignment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    pub(crate) nominal_s: f64,
    pub(crate) rho_s: f64,
    pub(crate) availability: f64,
    pub(crate) expected_accuracy: Option<f64>,
}

/// An assignment with what is kept so that a change is cheap to judge.
#[derive(Debug, Clone)]
pub(crate) struct State<'a> {
    problem: &'a Problem<'a>,
    assignment: Assignment,
    /// By device, then part: until it has answered; infinite where it does not hold the part.
    finish: Vec<f64>,
    weights: Option<Weights>,
    survival: Survival,
    times: Vec<f64>,
}

impl<'a> State<'a> {
    pub(crate) fn new(problem: &'a Problem<'a>, assignment: Assignment) -> Self {
        let mut state = Self {
            problem,
            finish: vec![f64::INFINITY; problem.devices() * problem.parts()],
            weights: None,
            survival: Survival::new(problem.parts()),
            times: Vec::new(),
            assignment,
        };
        state.students_changed();
        state
    }

    pub(crate) fn problem(&self) -> &'a Problem<'a> {
        self.problem
    }

    pub(crate) fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    pub(crate) fn held(&self, n: usize) -> PartSet {
        self.assignment.held[n]
    }

    pub(crate) fn fits(&self, n: usize, set: PartSet) -> bool {
        self.problem.fits(&self.assignment.students, n, set)
    }

    pub(crate) fn hold(&mut self, n: usize, set: PartSet) {
        self.assignment.held[n] = set;
        self.device_changed(n);
    }

    pub(crate) fn assign(&mut self, assignment: &Assignment) {
        if self.assignment.students == assignment.students {
            for (n, &set) in assignment.held.iter().enumerate() {
                if self.assignment.held[n] != set {
                    self.hold(n, set);
                }
            }
        } else {
            self.assignment.clone_from(assignment);
            self.students_changed();
        }
    }

    fn students_changed(&mut self) {
        let table = self.problem.students.accuracy.as_ref();
        self.weights = table.map(|table| Weights::of(table, &self.assignment.students));
        (0..self.problem.devices()).for_each(|n| self.device_changed(n));
    }

    fn device_changed(&mut self, n: usize) {
        let parts = self.problem.parts();
        let row = &mut self.finish[n * parts..][..parts];
        row.fill(f64::INFINITY);
        for (k, time) in self.problem.finish(&self.assignment.students, n, self.assignment.held[n]) {
            row[k] = time;
        }
    }

    /// Until device `n` has answered part `k`, s; infinite if it does not hold it.
    pub(crate) fn finish(&self, n: usize, k: usize) -> f64 {
        self.finish[n * self.problem.parts() + k]
    }

    /// Takes, as an optimistic bound, that device `n` also answers part `k` after `time`.
    pub(crate) fn suppose(&mut self, n: usize, k: usize, time: f64) {
        self.assignment.held[n] |= 1 << k;
        let slot = n * self.problem.parts() + k;
        self.finish[slot] = self.finish[slot].min(time);
    }

    /// The score, or `None` if it is surely not below `bound` (by [`Score::leads_below`]).
    pub(crate) fn score_below(&mut self, bound: Option<&Score>) -> Option<Score> {
        let problem = self.problem;
        let machines = &problem.machines;
        self.survival.set(self.assignment.held.iter().zip(machines).map(|(set, machine)| (*set, machine.failure)));
        let availability = self.survival.availability();
        let expected = self.weights.as_ref().map(|weights| self.survival.expectation(weights));
        let held = self.assignment.held.iter().fold(0, |all, set| all | set);
        let unplaced = problem.parts() - held.count_ones() as usize;
        let threshold = problem.options.group_failure_max;
        let excess = (0..problem.parts()).map(|k| (self.survival.part_failure(k) / threshold).ln());
        let excess: f64 = excess.filter(|excess| *excess > 1e-9).sum();
        let short = |least: f64, found: f64| if least - found > SAME { least - found } else { 0.0 };
        let unavailable = if problem.wants_rho() { short(problem.options.rho, availability) } else { 0.0 };
        let inaccurate = match (problem.accuracy_min, expected) {
            (Some(least), Some(expected)) => short(least, expected),
            _ => 0.0,
        };
        let latency_max = problem.options.latency_max_s;
        let mut order = Ordering::Equal;
        if let Some(bound) = bound {
            let constraints = [unplaced as f64, excess, unavailable, inaccurate];
            let known = if latency_max.is_some() { CONSTRAINTS - 1 } else { CONSTRAINTS };
            order = lexicographic(&constraints[..known], &bound.terms[..known]);
            if order.is_gt() {
                return None;
            }
        }
        let latency_bound = bound.filter(|_| order.is_eq() && latency_max.is_none()).map(Score::aim);
        let (latency, slope) = if problem.wants_rho() {
            self.rho_latency(latency_bound)?
        } else {
            self.nominal_latency().filter(|(latency, _)| latency_bound.is_none_or(|bound| *latency <= bound))?
        };
        let further: u32 = self.assignment.held.iter().map(|set| set.count_ones().saturating_sub(1)).sum();
        let constraints = [unplaced as f64, excess, unavailable];
        let same = |value: f64| (value / SAME).round();
        let (further, unavailable, inaccuracy) =
            (f64::from(further), same(1.0 - availability), same(1.0 - expected.unwrap_or(1.0)));
        let (rest, slope_at) = match latency_max {
            None => ([inaccurate, latency, further, unavailable, inaccuracy], CONSTRAINTS + 1),
            Some(most) => ([(latency - most).max(0.0), inaccuracy, latency, further, unavailable], CONSTRAINTS + 2),
        };
        let terms = core::array::from_fn(|i| if i < 3 { constraints[i] } else { rest[i - 3] });
        Some(Score { terms, slope, slope_at })
    }

    pub(crate) fn score(&mut self) -> Score {
        self.score_below(None).expect("without a bound there is a score")
    }

    pub(crate) fn figures(&mut self) -> Figures {
        let nominal_s = self.nominal_latency().map_or(f64::INFINITY, |(latency, _)| latency);
        let rho_s = self.rho_latency(None).map_or(f64::INFINITY, |(latency, _)| latency);
        let machines = &self.problem.machines;
        self.survival.set(self.assignment.held.iter().zip(machines).map(|(set, machine)| (*set, machine.failure)));
        Figures {
            nominal_s,
            rho_s,
            availability: self.survival.availability(),
            expected_accuracy: self.weights.as_ref().map(|weights| self.survival.expectation(weights)),
        }
    }

    /// Product of the failure probabilities of part `k`'s holders.
    pub(crate) fn part_failure(&self, k: usize) -> f64 {
        let holders = self.assignment.held.iter().zip(&self.problem.machines);
        holders.filter(|(set, _)| *set >> k & 1 == 1).map(|(_, machine)| machine.failure).product()
    }

    /// The slowest part's fastest replica; the slope is the mean over the parts.
    fn nominal_latency(&self) -> Option<(f64, f64)> {
        let parts = self.problem.parts();
        let fastest = |k: usize| self.finish[k..].iter().step_by(parts).copied().fold(f64::INFINITY, f64::min);
        let (max, sum) = (0..parts).map(fastest).fold((0.0, 0.0), |(max, sum), t| (f64::max(max, t), sum + t));
        Some((max, sum / parts as f64))
    }

    /// The least t within which every part is answered with probability ρ, infinite if there is none; the slope is minus the
    /// probability just below t. `None` if it is above `bound`.
    fn rho_latency(&mut self, bound: Option<f64>) -> Option<(f64, f64)> {
        let rho = self.problem.options.rho - SAME;
        let bound = bound.unwrap_or(f64::INFINITY);
        if self.answered_within(bound.min(f64::MAX)) < rho {
            return bound.is_infinite().then_some((f64::INFINITY, 0.0));
        }
        // Most changes leave the latency as it is: then one more look decides.
        let below = self.answered_within(bound.next_down());
        if bound.is_finite() && below < rho {
            return Some((bound, -below));
        }
        let mut times = core::mem::take(&mut self.times);
        times.clear();
        times.extend(self.finish.iter().filter(|time| **time <= bound && time.is_finite()));
        times.sort_unstable_by(f64::total_cmp);
        times.dedup();
        let at = times.partition_point(|time| self.answered_within(*time) < rho);
        let below = at.checked_sub(1).map_or(0.0, |at| self.answered_within(times[at]));
        let latency = times.get(at).copied().unwrap_or(f64::INFINITY);
        self.times = times;
        Some((latency, -below))
    }

    /// Probability that every part is answered within `t` seconds.
    pub(crate) fn answered_within(&mut self, t: f64) -> f64 {
        let rows = self.finish.chunks_exact(self.problem.parts());
        let in_time = |row: &[f64]| row.iter().enumerate().fold(0, |set, (k, time)| set | usize::from(*time <= t) << k);
        let machines = self.problem.machines.iter();
        self.survival.set(rows.zip(machines).map(|(row, machine)| (in_time(row), machine.failure)));
        self.survival.availability()
    }

    /// Whether nobody holds a part of `set`.
    pub(crate) fn lacks(&self, set: PartSet) -> bool {
        parts_of(set).any(|k| self.assignment.held.iter().all(|held| held >> k & 1 == 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plan::PlanOptions;
    use super::super::problem::tests::capability;
    use super::super::students::tests::students;
    use super::*;
    use crate::fleet::Capability;

    fn figures(devices: &[Capability], held: &[PartSet], rho: f64) -> Figures {
        let students = students(2, &[(1_000_000, 100)]);
        let options = PlanOptions { rho, ..PlanOptions::default() };
        let problem = Problem::new(devices.iter(), &students, &options);
        State::new(&problem, Assignment { students: vec![0, 0], held: held.to_vec() }).figures()
    }

    #[test]
    fn the_rho_latency_of_disjoint_groups_is_that_of_the_product_formula() {
        let devices = [4e6, 2e6, 1e6].map(|flops| Capability { failure_probability: 0.1, ..capability(flops, 100) });
        let of = |rho| figures(&devices, &[0b01, 0b10, 0b01], rho);
        let time = |flops: f64| 1e6 / flops + (3136.0 + 40.0) * 8.0 / 1e6 + 2e-3;
        assert!((of(0.5).nominal_s - time(2e6)).abs() < 1e-12);
        // 0.9 · 0.9 by the two fast ones, 0.99 · 0.9 with all.
        assert!((of(0.81).rho_s - time(2e6)).abs() < 1e-12);
        assert!((of(0.82).rho_s - time(1e6)).abs() < 1e-12);
        assert!((of(0.891).rho_s - time(1e6)).abs() < 1e-12);
        assert_eq!(of(0.892).rho_s, f64::INFINITY);
        assert!((of(0.5).availability - 0.891).abs() < 1e-12);
    }

    #[test]
    fn two_parts_on_one_device_fail_together() {
        let devices = [1e6].map(|flops| Capability { failure_probability: 0.1, ..capability(flops, 1000) });
        assert!((figures(&devices, &[0b11], 0.9).availability - 0.9).abs() < 1e-12);
        assert!(figures(&devices, &[0b11], 0.9).rho_s > 2.0);
    }

    fn some_fleet() -> impl Strategy<Value = (Vec<Capability>, Vec<PartSet>)> {
        let device = (1e5..1e7_f64, 0.0..0.9_f64, 0..4_usize).prop_map(|(flops, failure_probability, set)| {
            (Capability { failure_probability, ..capability(flops, 1000) }, set)
        });
        prop::collection::vec(device, 2..8).prop_map(|devices| devices.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn the_rho_latency_rises_with_rho_and_is_never_below_the_nominal(
            (devices, held) in some_fleet(), a in 0.01..1.0_f64, b in 0.01..1.0_f64,
        ) {
            let (low, high) = (figures(&devices, &held, a.min(b)), figures(&devices, &held, a.max(b)));
            prop_assert!(low.rho_s <= high.rho_s);
            prop_assert!(low.nominal_s <= low.rho_s);
            prop_assert_eq!(high.rho_s.is_finite(), high.availability >= a.max(b) - SAME);
        }

        #[test]
        fn one_more_device_never_makes_the_rho_latency_longer((devices, held) in some_fleet(), rho in 0.01..1.0_f64) {
            let fewer = figures(&devices[1..], &held[1..], rho);
            prop_assert!(figures(&devices, &held, rho).rho_s <= fewer.rho_s);
        }

        #[test]
        fn a_bound_spares_work_but_changes_no_score((devices, held) in some_fleet(), from in 0..4_usize, rho in 0.3..0.99_f64) {
            let students = students(2, &[(1_000_000, 100)]);
            let options = PlanOptions { rho, ..PlanOptions::default() };
            let problem = Problem::new(devices.iter(), &students, &options);
            let mut state = State::new(&problem, Assignment { students: vec![0, 0], held });
            let before = state.score();
            state.hold(0, from);
            let after = state.score();
            match state.score_below(Some(&before)) {
                Some(found) => prop_assert_eq!(found, after),
                None => prop_assert!(!after.leads_below(&before)),
            }
        }
    }
}
