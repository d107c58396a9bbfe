//! Planning again at run time: from who holds what, to who should, with as little moved as can be (ours).
//!
//! In this order: what is held is kept as far as it still can be; constraints that no longer hold are repaired one load at a time; idle
//! devices are given a part; stand-ins that nothing needs any more are released. A plan made afresh replaces this only for
//! a gain of [`GAIN_MIN`], or if fewer constraints are broken by it.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Holding, Plan, PlanOptions};
use super::problem::{Problem, parts_of};
use super::state::{Assignment, Score, State};
use super::students::Students;
use super::{PlanError, placement, report, search, starts};
use crate::fleet::Device;
use crate::id::PartId;

/// The least relative gain (of latency; with `latency_max_s`, of the expected share of wrong answers) for which what serves is moved. Design
/// choice: above the noise of measured run times and link rates, and worth a transfer.
pub(crate) const GAIN_MIN: f64 = 0.20;
/// When a plan is worth moving for, changes that only keep unavailability from rising by this much, relatively, are left out. Design choice.
const UNAVAILABILITY_RISE_MAX: f64 = 0.10;

/// Steps of each of the two searches for a better plan: a leader's re-plan at N = 8 is to take less than 5 ms.
const STEPS: usize = 3_000;

/// What one device has to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceDiff {
    /// To be held from now on.
    pub loads: BTreeSet<Holding>,
    /// Not needed any more, once the new plan is ready.
    pub unloads: BTreeSet<Holding>,
}

/// The difference of two plans: only devices that change, by index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanDiff {
    /// By device.
    pub devices: BTreeMap<usize, DeviceDiff>,
}

impl PlanDiff {
    /// From what each device holds to what it is to hold.
    pub fn between(before: &[BTreeSet<Holding>], after: &[BTreeSet<Holding>]) -> Self {
        let empty = BTreeSet::new();
        let diff = |n: usize| {
            let (before, after) = (before.get(n).unwrap_or(&empty), after.get(n).unwrap_or(&empty));
            let loads = after.difference(before).copied().collect();
            (n, DeviceDiff { loads, unloads: before.difference(after).copied().collect() })
        };
        let all = (0..before.len().max(after.len())).map(diff);
        Self { devices: all.filter(|(_, diff)| *diff != DeviceDiff::default()).collect() }
    }

    /// Whether nothing moves.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// How many students are to be loaded.
    pub fn loads(&self) -> usize {
        self.devices.values().map(|diff| diff.loads.len()).sum()
    }
}

/// A plan for the members that are alive, and how to get there.
#[derive(Debug, Clone, PartialEq)]
pub struct Replan {
    /// The plan. A part for which nobody has memory has no replica, and the plan is not feasible.
    pub plan: Plan,
    /// From what is held.
    pub diff: PlanDiff,
}

/// Plans again for `devices`, of which each holds what `incumbent` says at its index (nothing, if it is shorter).
///
/// Deterministic: the same arguments give the same plan on every member. `options.strategy` is not asked: this is a search.
///
/// # Errors
/// [`PlanError::NoDevice`].
pub fn replan(
    devices: &[Device],
    students: &Students,
    options: &PlanOptions,
    incumbent: &[BTreeSet<Holding>],
) -> Result<Replan, PlanError> {
    if devices.is_empty() {
        return Err(PlanError::NoDevice);
    }
    let problem = Problem::new(devices.iter().map(|device| &device.capability), students, options);
    let assignment = match kept(&problem, incumbent) {
        Some(kept) => improved(&problem, devices, settled(&problem, kept)),
        None => search::search(&problem, &starts(&problem, devices), search::STEPS),
    };
    let plan = report::report(&problem, devices, assignment);
    let diff = PlanDiff::between(incumbent, &plan.holdings(devices.len()));
    Ok(Replan { plan, diff })
}

/// What is held and still can be: the student that most replicas of a part hold, on the devices that have its memory. `None` if that is
/// nothing.
fn kept(problem: &Problem<'_>, incumbent: &[BTreeSet<Holding>]) -> Option<Assignment> {
    let mut replicas: Vec<BTreeMap<usize, usize>> = vec![BTreeMap::new(); problem.parts()];
    for holding in incumbent.iter().take(problem.devices()).flatten() {
        let k = usize::from(holding.part.0);
        if k < problem.parts() && holding.student < problem.students.parts[k].len() {
            *replicas[k].entry(holding.student).or_default() += 1;
        }
    }
    let most =
        |k: usize| replicas[k].iter().max_by_key(|(s, count)| (**count, core::cmp::Reverse(**s))).map(|(s, _)| *s);
    let smallest = placement::smallest(problem);
    let chosen: Vec<usize> = (0..problem.parts()).map(|k| most(k).unwrap_or(smallest[k])).collect();
    let mut held = vec![0; problem.devices()];
    for (n, holdings) in incumbent.iter().enumerate().take(problem.devices()) {
        let is_held = |k: &usize| {
            let part = PartId(u16::try_from(*k).unwrap_or(u16::MAX));
            holdings.contains(&Holding { part, student: chosen[*k] })
        };
        let set = (0..problem.parts()).filter(is_held).fold(0, |set, k| set | 1 << k);
        held[n] = search::fitting(problem, &chosen, n, set);
    }
    held.iter().any(|set| *set != 0).then_some(Assignment { students: chosen, held })
}

/// Repairs, idle devices, stand-ins.
fn settled<'a>(problem: &'a Problem<'a>, kept: Assignment) -> State<'a> {
    let mut state = State::new(problem, kept);
    let mut score = state.score();
    for _ in 0..2 * problem.devices() * problem.parts() {
        let Some((next, better)) = best_load(&mut state, &score) else { break };
        state.assign(&next);
        score = better;
    }
    for n in 0..problem.devices() {
        if state.held(n) == 0 {
            let fitting = (0..problem.parts()).map(|k| 1 << k).filter(|set| state.fits(n, *set)).collect::<Vec<_>>();
            for set in fitting {
                let before = state.held(n);
                state.hold(n, set);
                match state.score() {
                    better if better.is_below(&score) => score = better,
                    _ => state.hold(n, before),
                }
            }
        }
    }
    for n in 0..problem.devices() {
        for k in parts_of(state.held(n)) {
            let before = state.held(n);
            if before.count_ones() > 1 {
                state.hold(n, before & !(1 << k));
                match state.score() {
                    better if better.is_below(&score) => score = better,
                    _ => state.hold(n, before),
                }
            }
        }
    }
    state
}

/// Of all ways to load one part on one device (beside what it holds, or in place of one part of it) the best that violates less `than` now. A part that
/// nobody holds may take any of its students.
fn best_load(state: &mut State<'_>, than: &Score) -> Option<(Assignment, Score)> {
    let problem = state.problem();
    let before = state.assignment().clone();
    let mut best: Option<(Assignment, Score)> = None;
    for k in 0..problem.parts() {
        let is_lacking = before.held.iter().all(|set| set >> k & 1 == 0);
        let students =
            if is_lacking { 0..problem.students.parts[k].len() } else { before.students[k]..before.students[k] + 1 };
        for s in students {
            let mut next = before.clone();
            next.students[k] = s;
            for n in (0..problem.devices()).filter(|&n| before.held[n] >> k & 1 == 0) {
                let set = before.held[n];
                for set in core::iter::once(set).chain(parts_of(set).map(|j| set & !(1 << j))) {
                    next.held[n] = set | 1 << k;
                    if !problem.fits(&next.students, n, next.held[n]) {
                        continue;
                    }
                    state.assign(&next);
                    let bound = best.as_ref().map_or(than, |(_, best)| best);
                    if let Some(score) = state.score_below(Some(bound))
                        && score.violates_less(than)
                        && best.as_ref().is_none_or(|(_, best)| score.is_below(best))
                    {
                        best = Some((next.clone(), score));
                    }
                }
                next.held[n] = before.held[n];
            }
        }
    }
    state.assign(&before);
    best
}

/// A plan sought from `settled`, or else one sought afresh, if it is worth moving for; else `settled`.
fn improved(problem: &Problem<'_>, devices: &[Device], mut settled: State<'_>) -> Assignment {
    let kept = settled.assignment().clone();
    let mut score = settled.score();
    let mut chosen = kept.clone();
    for starts in [vec![kept.clone()], starts(problem, devices)] {
        let found = search::search(problem, &starts, STEPS);
        settled.assign(&found);
        let found_score = settled.score();
        if is_worth_moving(&found_score, &score) {
            (chosen, score) = with_least_moved(settled.clone(), &kept, found_score);
        }
    }
    chosen
}

fn is_worth_moving(found: &Score, kept: &Score) -> bool {
    if found.broken() != kept.broken() {
        return found.broken() < kept.broken();
    }
    !kept.violates_less(found) && found.aim() < (1.0 - GAIN_MIN) * kept.aim()
}

/// Takes back each device's change that the aim does not need, nor availability.
fn with_least_moved(mut state: State<'_>, kept: &Assignment, mut score: Score) -> (Assignment, Score) {
    let unavailability_max = (1.0 + UNAVAILABILITY_RISE_MAX) * score.unavailability();
    for (n, &before) in kept.held.iter().enumerate() {
        let after = state.held(n);
        if after != before && state.fits(n, before) {
            state.hold(n, before);
            match state.score() {
                back if !score.aims_below(&back) && back.unavailability() <= unavailability_max => score = back,
                _ => state.hold(n, after),
            }
        }
    }
    (state.assignment().clone(), score)
}

#[cfg(test)]
mod tests;
