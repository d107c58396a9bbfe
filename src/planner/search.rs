//! The search (ours): local search on the real objective, from follow-the-leader.
//!
//! Moves: what a device holds (another part, one more, one fewer), two devices swap, a part changes its student, two parts change theirs or trade
//! groups. From a local optimum it goes on after random kicks. The seed is fixed and steps are counted, not timed: the same fleet
//! gets the same plan everywhere.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::placement;
use super::problem::{Problem, parts_of};
use super::state::{Assignment, Score, State};
use super::survival::PartSet;

/// Assignments judged in one search. Chosen so that 64 devices take less than 50 ms; more gains less than a percent there.
pub(crate) const STEPS: usize = 16_000;
/// Where there are many parts a step costs 2^K: no more than this many steps × sets.
const SET_STEPS: usize = 1 << 20;
/// Of the steps, those that go into choosing the students to begin with.
const START_SHARE: usize = 2;
/// Students to begin with: so many combinations at most.
const STARTS_MAX: usize = 12;
/// Up to this many devices every pair may swap in one round; above, as many random pairs as there are devices, four times.
const SWAP_ALL_DEVICES_MAX: usize = 16;
/// Any number: one seed gives one plan.
const SEED: u64 = 0x726f_636f_696e;

/// By which of the two orders of scores a change is an improvement.
type Better = fn(&Score, &Score) -> bool;

/// A search under way.
pub(crate) struct Search<'a> {
    state: State<'a>,
    score: Score,
    random: ChaCha8Rng,
    steps: usize,
}

/// The best assignment found from `starts` (at least one) in about `steps` steps.
pub(crate) fn search<'a>(problem: &'a Problem<'a>, starts: &[Assignment], steps: usize) -> Assignment {
    let steps = steps.min(SET_STEPS >> problem.parts());
    let mut best: Option<Search<'a>> = None;
    let share = steps / START_SHARE / starts.len().max(1);
    for start in starts {
        let mut search = Search::from(problem, start.clone(), share);
        search.improve(Score::leads_below);
        if best.as_ref().is_none_or(|best| search.score.leads_below(&best.score)) {
            best = Some(search);
        }
    }
    let mut search = best.expect("there is a start");
    search.steps = steps - steps / START_SHARE;
    search.wander();
    search.polish()
}

/// What an assignment becomes when nothing is looked for but ties: fewer parts on shared devices, availability, accuracy.
pub(crate) fn polish<'a>(problem: &'a Problem<'a>, assignment: Assignment) -> Assignment {
    Search::from(problem, assignment, 0).polish()
}

/// Students worth beginning with: those whose accuracy with every part reaches the least, cheapest first; or, where accuracy
/// is what is optimised or unknown, evenly from cheap to dear.
pub(crate) fn student_starts(problem: &Problem<'_>) -> Vec<Vec<usize>> {
    let candidates = &problem.students.parts;
    let count = candidates.iter().try_fold(1_usize, |count, one| count.checked_mul(one.len())).unwrap_or(usize::MAX);
    let mut all: Vec<Vec<usize>> = if count <= 4096 {
        let digit = |index: usize, k: usize| {
            let place: usize = candidates[..k].iter().map(Vec::len).product();
            index / place % candidates[k].len()
        };
        (0..count).map(|index| (0..candidates.len()).map(|k| digit(index, k)).collect()).collect()
    } else {
        let most = candidates.iter().map(Vec::len).max().unwrap_or_default();
        (0..most).map(|s| candidates.iter().map(|one| s.min(one.len() - 1)).collect()).collect()
    };
    let flops = |chosen: &Vec<usize>| (0..candidates.len()).map(|k| problem.student(chosen, k).flops).sum::<u64>();
    all.sort_by_key(flops);
    if let (Some(table), Some(least)) = (&problem.students.accuracy, problem.accuracy_min) {
        let every = (1 << candidates.len()) - 1;
        let accurate: Vec<_> = all.iter().filter(|chosen| table.of_present(chosen, every) >= least).cloned().collect();
        if !accurate.is_empty() {
            return accurate.into_iter().take(STARTS_MAX).collect();
        }
    }
    let stride = all.len().div_ceil(STARTS_MAX);
    all.into_iter().step_by(stride).collect()
}

impl<'a> Search<'a> {
    fn from(problem: &'a Problem<'a>, start: Assignment, steps: usize) -> Self {
        let mut state = State::new(problem, start);
        placement::place_missing(&mut state);
        let score = state.score();
        Self { state, score, random: ChaCha8Rng::seed_from_u64(SEED), steps }
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.random.next_u64() % bound).unwrap_or_default()
    }

    /// Judges the state as changed: keeps it if it is better, else undoes.
    fn keep_if(&mut self, better: Better, undo: impl FnOnce(&mut State<'a>)) -> bool {
        self.steps = self.steps.saturating_sub(1);
        match self.state.score_below(Some(&self.score)) {
            Some(score) if better(&score, &self.score) => {
                self.score = score;
                true
            }
            _ => {
                undo(&mut self.state);
                false
            }
        }
    }

    /// Down to a local optimum, or until the steps are used up.
    fn improve(&mut self, better: Better) {
        loop {
            let moved = self.device_round(better) | self.swap_round(better) | self.student_round(better);
            if !moved || self.steps == 0 {
                return;
            }
        }
    }

    fn device_round(&mut self, better: Better) -> bool {
        let devices = self.state.problem().devices();
        let first = self.below(devices);
        let mut moved = false;
        for n in (0..devices).map(|i| (first + i) % devices) {
            for set in options(self.state.held(n), self.state.problem().parts()) {
                if self.steps == 0 {
                    return moved;
                }
                let held = self.state.held(n);
                if set != held && self.state.fits(n, set) {
                    self.state.hold(n, set);
                    moved |= self.keep_if(better, |state| state.hold(n, held));
                }
            }
        }
        moved
    }

    fn swap_round(&mut self, better: Better) -> bool {
        let devices = self.state.problem().devices();
        let mut moved = false;
        if devices <= SWAP_ALL_DEVICES_MAX {
            for n in 0..devices {
                for m in n + 1..devices {
                    moved |= self.swap(n, m, better);
                }
            }
        } else {
            for _ in 0..4 * devices {
                let (n, m) = (self.below(devices), self.below(devices));
                moved |= self.swap(n, m, better);
            }
        }
        moved
    }

    fn swap(&mut self, n: usize, m: usize, better: Better) -> bool {
        let (of_n, of_m) = (self.state.held(n), self.state.held(m));
        for (to_n, to_m) in exchanges(of_n, of_m) {
            if self.steps == 0 || !self.state.fits(n, to_n) || !self.state.fits(m, to_m) {
                continue;
            }
            self.state.hold(n, to_n);
            self.state.hold(m, to_m);
            let moved = self.keep_if(better, |state| {
                state.hold(n, of_n);
                state.hold(m, of_m);
            });
            if moved {
                return true;
            }
        }
        false
    }

    fn student_round(&mut self, better: Better) -> bool {
        let parts = self.state.problem().parts();
        let candidates = |k: usize| self.state.problem().students.parts[k].len();
        let changes: Vec<(usize, usize)> = (0..parts).flat_map(|k| (0..candidates(k)).map(move |s| (k, s))).collect();
        let mut moved = false;
        for (i, &(k, s)) in changes.iter().enumerate() {
            moved |= self.rearrange(better, |next| next.students[k] = s);
            for &(j, r) in &changes[i + 1..] {
                if j != k {
                    moved |= self.rearrange(better, |next| (next.students[k], next.students[j]) = (s, r));
                }
            }
        }
        for k in 0..parts {
            for j in k + 1..parts {
                moved |= self.rearrange(better, |next| next.held.iter_mut().for_each(|set| *set = traded(*set, k, j)));
            }
        }
        moved
    }

    /// A change of many devices at once. Devices that then lack memory give up the parts that need the most.
    fn rearrange(&mut self, better: Better, change: impl FnOnce(&mut Assignment)) -> bool {
        if self.steps == 0 {
            return false;
        }
        let before = self.state.assignment().clone();
        let mut next = before.clone();
        change(&mut next);
        if next == before {
            return false;
        }
        let problem = self.state.problem();
        for (n, set) in next.held.iter_mut().enumerate() {
            *set = fitting(problem, &next.students, n, *set);
        }
        self.state.assign(&next);
        placement::place_missing(&mut self.state);
        self.keep_if(better, |state| state.assign(&before))
    }

    /// Kicks and improves until the steps are used up, from the best so far.
    fn wander(&mut self) {
        self.improve(Score::leads_below);
        while self.steps > 0 {
            let (best, score) = (self.state.assignment().clone(), self.score);
            self.kick();
            self.improve(Score::leads_below);
            if !self.score.leads_below(&score) {
                self.state.assign(&best);
                self.score = score;
            }
        }
    }

    fn kick(&mut self) {
        let problem = self.state.problem();
        if self.below(4) == 0 {
            let k = self.below(problem.parts());
            let mut next = self.state.assignment().clone();
            next.students[k] = self.below(problem.students.parts[k].len());
            for (n, set) in next.held.iter_mut().enumerate() {
                *set = fitting(problem, &next.students, n, *set);
            }
            self.state.assign(&next);
        }
        for _ in 0..1 + self.below(4) {
            let n = self.below(problem.devices());
            let mut set = 1 << self.below(problem.parts());
            if self.below(2) == 0 {
                set |= 1 << self.below(problem.parts());
            }
            let set = fitting(problem, &self.state.assignment().students, n, set);
            self.state.hold(n, set);
        }
        placement::place_missing(&mut self.state);
        self.score = self.state.score();
        self.steps = self.steps.saturating_sub(1);
    }

    fn polish(mut self) -> Assignment {
        let problem = self.state.problem();
        self.steps = (STEPS / 8).min(SET_STEPS >> problem.parts()).max(problem.devices() * problem.parts() * 4);
        self.improve(Score::is_below);
        self.state.assignment().clone()
    }
}

/// What a device that holds `held` may hold instead: one part more or fewer, one traded, one alone, nothing.
fn options(held: PartSet, parts: usize) -> impl Iterator<Item = PartSet> {
    let toggled = (0..parts).map(move |k| held ^ 1 << k);
    let alone = (0..parts).map(|k| 1 << k);
    let traded = (0..parts)
        .filter(move |k| held >> k & 1 == 1 && held.count_ones() > 1)
        .flat_map(move |k| (0..parts).filter(move |j| held >> j & 1 == 0).map(move |j| held ^ 1 << k ^ 1 << j));
    toggled.chain(alone).chain(traded)
}

/// What two devices may hold instead of `a` and `b`, if both change: all exchanged, one part for one, one part handed over.
fn exchanges(a: PartSet, b: PartSet) -> impl Iterator<Item = (PartSet, PartSet)> {
    let (only_a, only_b) = (a & !b, b & !a);
    let whole =
        core::iter::once((b, a)).filter(move |_| a != b && (only_a.count_ones(), only_b.count_ones()) != (1, 1));
    let one_for_one = parts_of(only_a)
        .flat_map(move |k| parts_of(only_b).map(move |j| (1 << k) | (1 << j)))
        .map(move |both| (a ^ both, b ^ both));
    let handed_over = parts_of(only_a | only_b).map(move |k| (a ^ (1 << k), b ^ (1 << k)));
    whole.chain(one_for_one).chain(handed_over)
}

/// `set` with the bits k and j exchanged.
fn traded(set: PartSet, k: usize, j: usize) -> PartSet {
    if (set >> k ^ set >> j) & 1 == 1 { set ^ (1 << k | 1 << j) } else { set }
}

/// `set` without the parts that need the most, until it fits device `n`.
pub(crate) fn fitting(problem: &Problem<'_>, chosen: &[usize], n: usize, mut set: PartSet) -> PartSet {
    while !problem.fits(chosen, n, set) {
        let largest = parts_of(set).max_by_key(|&k| problem.student(chosen, k).memory_bytes);
        set &= !largest.map_or(set, |k| 1 << k);
    }
    set
}
