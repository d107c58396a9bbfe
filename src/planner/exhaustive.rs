//! The optimum, for fleets so small that it can be proved: what the other strategies are measured by.
//!
//! Branch and bound over the students, then over what each device holds, several parts on one included. A branch is left when the devices still
//! open could not save it even if each answered all its parts as if alone. Of a device's options those are dropped that hold no more, and
//! answer no more in time, than another: exact as long as accuracy never falls when a part is added, which is checked.

use super::problem::Problem;
use super::state::{Assignment, Score, State};
use super::survival::PartSet;

/// The best assignment; `incumbent` only saves time. Ties beyond the main aim are as they come.
pub(crate) fn optimum<'a>(problem: &'a Problem<'a>, incumbent: Assignment) -> Assignment {
    let mut best = Best { score: State::new(problem, incumbent.clone()).score(), assignment: incumbent };
    let mut vectors = all_students(problem);
    let flops = |chosen: &Vec<usize>| (0..problem.parts()).map(|k| problem.student(chosen, k).flops).sum::<u64>();
    vectors.sort_by_key(flops);
    for chosen in &vectors {
        // First as few violations as can be, whatever the latency; then the aim.
        while Branch::new(problem, chosen, f64::INFINITY).find(&mut best, Score::violates_less) {}
        loop {
            let in_time = problem.options.latency_max_s.unwrap_or_else(|| best.score.aim().next_down());
            if !Branch::new(problem, chosen, in_time).find(&mut best, Score::aims_below) {
                break;
            }
        }
    }
    best.assignment
}

fn all_students(problem: &Problem<'_>) -> Vec<Vec<usize>> {
    let mut vectors = vec![Vec::new()];
    for candidates in &problem.students.parts {
        let extend = |vector: &Vec<usize>| {
            let vector = vector.clone();
            (0..candidates.len()).map(move |s| vector.iter().copied().chain([s]).collect())
        };
        vectors = vectors.iter().flat_map(extend).collect();
    }
    vectors
}

struct Best {
    score: Score,
    assignment: Assignment,
}

/// One choice of students, with what each device may hold.
struct Branch<'a> {
    problem: &'a Problem<'a>,
    /// Devices that are decided hold what they hold; open ones are supposed to answer all they may.
    state: State<'a>,
    /// In the order in which they are decided: the fastest first.
    devices: Vec<usize>,
    options: Vec<Vec<PartSet>>,
}

impl<'a> Branch<'a> {
    fn new(problem: &'a Problem<'a>, chosen: &[usize], in_time_s: f64) -> Self {
        let state = State::new(problem, Assignment { students: chosen.to_vec(), held: vec![0; problem.devices()] });
        let mut devices: Vec<usize> = (0..problem.devices()).collect();
        devices.sort_by(|&a, &b| problem.alone(chosen, a, 0).total_cmp(&problem.alone(chosen, b, 0)));
        let prune = accuracy_never_falls(problem, chosen);
        let options = (0..problem.devices()).map(|n| options(problem, chosen, n, in_time_s, prune)).collect();
        let mut branch = Self { problem, state, devices, options };
        (0..problem.devices()).for_each(|n| branch.open(n));
        branch
    }

    fn open(&mut self, n: usize) {
        self.state.hold(n, 0);
        for k in 0..self.problem.parts() {
            if self.options[n].iter().any(|set| set >> k & 1 == 1) {
                let alone = self.problem.alone(&self.state.assignment().students, n, k);
                self.state.suppose(n, k, alone);
            }
        }
    }

    /// Whether something better than `best` was found; it is then `best`.
    fn find(&mut self, best: &mut Best, better: fn(&Score, &Score) -> bool) -> bool {
        self.descend(0, best, better)
    }

    fn descend(&mut self, depth: usize, best: &mut Best, better: fn(&Score, &Score) -> bool) -> bool {
        let Some(bound) = self.state.score_below(Some(&best.score)).filter(|bound| better(bound, &best.score)) else {
            return false;
        };
        let Some(&n) = self.devices.get(depth) else {
            *best = Best { score: bound, assignment: self.state.assignment().clone() };
            return true;
        };
        for i in 0..self.options[n].len() {
            self.state.hold(n, self.options[n][i]);
            if self.descend(depth + 1, best, better) {
                return true;
            }
        }
        self.open(n);
        false
    }
}

/// What device `n` may hold; with `prune`, only what no other option beats both in what is held and in what is answered in time.
fn options(problem: &Problem<'_>, chosen: &[usize], n: usize, in_time_s: f64, prune: bool) -> Vec<PartSet> {
    let in_time = |set: PartSet| {
        let answered = problem.finish(chosen, n, set).filter(|(_, time)| *time <= in_time_s);
        answered.fold(0, |set, (k, _)| set | 1 << k)
    };
    let fitting = (0..1 << problem.parts()).filter(|set| problem.fits(chosen, n, *set));
    let all: Vec<(PartSet, PartSet)> = fitting.map(|set| (set, in_time(set))).collect();
    let covers = |a: &(PartSet, PartSet), b: &(PartSet, PartSet)| a.0 & b.0 == b.0 && a.1 & b.1 == b.1;
    let beaten = |one: &(PartSet, PartSet)| prune && all.iter().any(|other| other != one && covers(other, one));
    all.iter().filter(|one| !beaten(one)).map(|(set, _)| *set).collect()
}

fn accuracy_never_falls(problem: &Problem<'_>, chosen: &[usize]) -> bool {
    let Some(table) = &problem.students.accuracy else { return true };
    (0..1_usize << problem.parts()).all(|present| {
        let with = |k: usize| table.of_present(chosen, present | 1 << k);
        (0..problem.parts()).all(|k| with(k) >= table.of_present(chosen, present))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plan::{Objective, PlanOptions};
    use super::super::problem::tests::capability;
    use super::super::students::tests::students;
    use super::*;
    use crate::fleet::Capability;

    /// The least score of all assignments there are.
    fn by_enumeration(problem: &Problem<'_>) -> Score {
        let sets = 1_usize << problem.parts();
        let mut best: Option<Score> = None;
        for chosen in all_students(problem) {
            for code in 0..sets.pow(u32::try_from(problem.devices()).unwrap()) {
                let held: Vec<PartSet> =
                    (0..problem.devices()).map(|n| code / sets.pow(u32::try_from(n).unwrap()) % sets).collect();
                if held.iter().enumerate().all(|(n, set)| problem.fits(&chosen, n, *set)) {
                    let score = State::new(problem, Assignment { students: chosen.clone(), held }).score();
                    if best.is_none_or(|best| score.aims_below(&best)) {
                        best = Some(score);
                    }
                }
            }
        }
        best.unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn the_optimum_is_the_best_of_all_assignments(
            devices in prop::collection::vec((1e6..1e8_f64, 50..400_u64, 0.01..0.6_f64), 1..5),
            nominal in any::<bool>(),
            latency_max_s in prop::option::of(0.1..2.0_f64),
            group_failure_max in 0.01..0.5_f64,
            rho in 0.5..0.99_f64,
            accuracy_drop_max in 0.1..3.0_f64,
        ) {
            let device = |&(flops, memory, failure_probability): &(f64, u64, f64)| {
                Capability { failure_probability, ..capability(flops, memory) }
            };
            let devices: Vec<Capability> = devices.iter().map(device).collect();
            let students = students(2, &[(1_000_000, 100), (3_000_000, 180)]);
            let objective = if nominal { Objective::Nominal } else { Objective::Rho };
            let options = PlanOptions {
                group_failure_max, rho, objective, accuracy_drop_max, latency_max_s, ..PlanOptions::default()
            };
            let problem = Problem::new(devices.iter(), &students, &options);
            let nothing = Assignment { students: vec![0, 0], held: vec![0; devices.len()] };
            let found = State::new(&problem, optimum(&problem, nothing)).score();
            let best = by_enumeration(&problem);
            prop_assert!(!best.aims_below(&found), "{:?} is above {:?}", found, best);
        }
    }
}
