//! Planning before the students exist: how many parts, how large, and which architecture for each.
//!
//! No accuracy is known yet, so a proxy stands for it: the larger the student, the better. Each part gets the largest student of the zoo that
//! fits the memory of its group and keeps the latency within `SLACK` of what the smallest students reach.

use super::grouping;
use super::plan::Plan;
use super::problem::Problem;
use super::report;
use super::state::State;
use super::students::{Student, Students};
use super::zoo::Architecture;
use super::{PlanError, assign, problem};
use crate::fleet::Fleet;

/// How much slower than with the smallest students a plan may be (design choice).
pub(crate) const SLACK: f64 = 1.5;

/// With no say on K: as many groups as reliability allows with two replicas each, and no more than this; RoCoIn's and NoNN's figures are for
/// few parts.
const PARTS_DEFAULT_MAX: usize = 4;

/// Rounds of part sizes ↔ assignment. Sizes move a student's cost by a few percent only, so they settle in two or three.
const ROUNDS_MAX: usize = 8;

/// What the students are to be for.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// `[C,H,W]` or `[C,L]`.
    pub input_shape: &'a [usize],
    /// Length of a logit vector.
    pub classes: usize,
    /// Filters of the teacher's last feature map, M.
    pub filters: usize,
}

/// A plan for students yet to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Prospect {
    /// Groups and architectures; its accuracies are absent.
    pub plan: Plan,
    /// Filters of each part, in part order; they sum to the teacher's.
    pub part_sizes: Vec<usize>,
    /// The candidates the plan chose from.
    pub students: Students,
}

/// Plans for `task` with students of `zoo`: part sizes and assignment in turn, until neither changes.
///
/// # Errors
/// As [`super::plan`], and [`PlanError::TooFewFilters`] where K is more than the teacher's filters.
///
/// # Panics
/// If `zoo` is empty.
pub fn prospect(fleet: &Fleet, task: Task<'_>, zoo: &[Architecture]) -> Result<Prospect, PlanError> {
    let parts = fleet.plan.parts.unwrap_or_else(|| parts_allowed(fleet));
    if parts > task.filters {
        return Err(PlanError::TooFewFilters { parts, filters: task.filters });
    }
    let mut part_sizes = shares(task.filters, &vec![1.0; parts]);
    let mut round = 0;
    loop {
        let students = candidates(task, zoo, &part_sizes)?;
        let plan = sized(fleet, &students)?;
        let capacity = |k: usize| students.parts[k][plan.groups[k].student].flops as f64;
        let sizes = shares(task.filters, &(0..parts).map(capacity).collect::<Vec<_>>());
        round += 1;
        if near(&sizes, &part_sizes) || round == ROUNDS_MAX {
            return Ok(Prospect { plan, part_sizes, students });
        }
        part_sizes = sizes;
    }
}

/// Sizes that differ by rounding only: going on would turn in circles.
fn near(a: &[usize], b: &[usize]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1)
}

/// K by reliability alone: groups of two or more, each below p_th.
fn parts_allowed(fleet: &Fleet) -> usize {
    let devices: Vec<_> = fleet.devices.iter().map(|device| &device.capability).collect();
    let failure_max = fleet.plan.group_failure_max;
    let allowed = |parts: &usize| {
        let groups = grouping::follow_the_leader(&devices, *parts, failure_max);
        groups.iter().all(|group| group.len() >= 2 && grouping::is_reliable(&devices, group, failure_max))
    };
    (2..=PARTS_DEFAULT_MAX.min(devices.len() / 2)).rev().find(allowed).unwrap_or(1)
}

fn candidates(task: Task<'_>, zoo: &[Architecture], part_sizes: &[usize]) -> Result<Students, PlanError> {
    let student = |architecture: &Architecture, filters: usize| {
        let cost = architecture.cost(task.input_shape, filters, task.classes);
        let (flops, memory_bytes) = (cost.flops, cost.memory_bytes);
        Student { arch: architecture.to_string(), precision: "f32".to_owned(), flops, memory_bytes }
    };
    let of_part = |&filters: &usize| zoo.iter().map(|architecture| student(architecture, filters)).collect();
    Students::without_accuracy(
        part_sizes.iter().map(of_part).collect(),
        task.input_shape.iter().product(),
        task.classes,
    )
}

/// A plan with the smallest students, which then grow as far as memory and latency allow.
fn sized(fleet: &Fleet, students: &Students) -> Result<Plan, PlanError> {
    let problem = problem(fleet, students)?;
    let small = super::placement::smallest(&problem);
    let only = |(k, candidates): (usize, &Vec<Student>)| vec![candidates[small[k]].clone()];
    let smallest = Students { parts: students.parts.iter().enumerate().map(only).collect(), ..students.clone() };
    let narrow = Problem::new(fleet.devices.iter().map(|device| &device.capability), &smallest, &fleet.plan);
    let mut assignment = assign(&narrow, &fleet.devices)?;
    assignment.students = small;

    let mut state = State::new(&problem, assignment);
    let before = state.score();
    let latency_max = fleet.plan.latency_max_s.unwrap_or(SLACK * before.latency());
    for k in 0..problem.parts() {
        let mut larger: Vec<usize> = (0..students.parts[k].len()).collect();
        larger.sort_by_key(|&s| core::cmp::Reverse(students.parts[k][s].flops));
        for s in larger {
            let kept = state.assignment().clone();
            let mut next = kept.clone();
            next.students[k] = s;
            let room = (0..problem.devices()).all(|n| problem.fits(&next.students, n, next.held[n]));
            state.assign(&next);
            if s == kept.students[k] || (room && state.score().latency() <= latency_max) {
                break;
            }
            state.assign(&kept);
        }
    }
    Ok(report::report(&problem, &fleet.devices, state.assignment().clone()))
}

/// Shares out `total` by `weights` (largest remainder), at least one each; `total` is at least their number.
fn shares(total: usize, weights: &[f64]) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let spare = total - weights.len();
    let exact = |weight: &f64| spare as f64 * weight / sum;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and `total`")]
    let mut shares: Vec<usize> = weights.iter().map(|weight| 1 + exact(weight) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by(|&a, &b| exact(&weights[b]).fract().total_cmp(&exact(&weights[a]).fract()));
    let given: usize = shares.iter().sum();
    for k in by_remainder.into_iter().cycle().take(total.saturating_sub(given)) {
        shares[k] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Objective, PlanOptions};
    use super::super::problem::tests::capability;
    use super::super::zoo::ZOO;
    use super::*;
    use crate::fleet::{Capability, Device};

    const TASK: Task<'_> = Task { input_shape: &[1, 28, 28], classes: 10, filters: 128 };

    fn fleet(devices: &[Capability], plan: PlanOptions) -> Fleet {
        let device = |(n, capability): (usize, &Capability)| Device { name: format!("d{n}"), capability: *capability };
        Fleet { devices: devices.iter().enumerate().map(device).collect(), plan }
    }

    #[test]
    fn k_is_what_reliability_allows_with_two_replicas_each() {
        let devices = [1e9; 8].map(|flops| capability(flops, 10_000_000));
        let parts = |devices: &[Capability], group_failure_max| {
            let options = PlanOptions { group_failure_max, ..PlanOptions::default() };
            prospect(&fleet(devices, options), TASK, &ZOO).unwrap().part_sizes.len()
        };
        assert_eq!(parts(&devices, 0.05), 4);
        assert_eq!(parts(&devices, 0.0025), 4);
        assert_eq!(parts(&devices, 0.000_2), 2);
        assert_eq!(parts(&devices[..5], 0.05), 2);
        assert_eq!(parts(&devices[..1], 0.05), 1);
    }

    #[test]
    fn a_part_gets_the_largest_student_that_memory_and_slack_allow() {
        let plan = PlanOptions { parts: Some(2), objective: Objective::Nominal, ..PlanOptions::default() };
        let architectures = |devices: &[Capability]| -> Vec<String> {
            let found = prospect(&fleet(devices, plan.clone()), TASK, &ZOO).unwrap();
            found.plan.groups.into_iter().map(|group| group.arch).collect()
        };
        // The input takes 27 ms. wrn-10-1 adds 2 ms to it and wrn-16-2 16 ms; ten times as much is more than the slack.
        let fast = [1e9, 1e9, 1e10, 1e10].map(|flops| capability(flops, 10_000_000));
        assert_eq!(architectures(&fast), ["wrn-16-2", "wrn-16-2"]);
        let slow = fast.map(|device| Capability { flops_per_s: device.flops_per_s / 10.0, ..device });
        assert_eq!(architectures(&slow), ["wrn-16-1", "wrn-16-1"]);
        let tight = fast.map(|device| Capability { memory_bytes: 1_300_000, ..device });
        assert_eq!(architectures(&tight), ["wrn-22-1", "wrn-22-1"]);
    }

    #[test]
    fn larger_students_get_larger_parts_and_no_filter_is_lost() {
        let plan = PlanOptions { parts: Some(2), objective: Objective::Nominal, ..PlanOptions::default() };
        let devices = [capability(1e9, 10_000_000), capability(1e9, 600_000)];
        let found = prospect(&fleet(&devices, plan), TASK, &ZOO).unwrap();
        assert_eq!(found.part_sizes.iter().sum::<usize>(), 128);
        let order = |by: &dyn Fn(usize) -> u64| by(0).cmp(&by(1));
        let flops = |k: usize| found.students.parts[k][found.plan.groups[k].student].flops;
        assert_eq!(order(&flops), order(&|k| found.part_sizes[k] as u64), "{found:?}");
        assert_ne!(found.part_sizes[0], found.part_sizes[1]);
    }

    #[test]
    fn more_parts_than_filters_are_refused() {
        let plan = PlanOptions { parts: Some(9), ..PlanOptions::default() };
        let task = Task { filters: 8, ..TASK };
        let error = prospect(&fleet(&[capability(1e9, 1_000_000_000)], plan), task, &ZOO).unwrap_err();
        assert_eq!(error, PlanError::TooFewFilters { parts: 9, filters: 8 });
    }

    #[test]
    fn shares_follow_their_weights_and_sum_to_the_whole() {
        assert_eq!(shares(128, &[1.0; 4]), [32; 4]);
        assert_eq!(shares(10, &[1.0, 1.0, 1.0]), [4, 3, 3]);
        assert_eq!(shares(3, &[1e9, 1.0, 1.0]), [1, 1, 1]);
        assert_eq!(shares(128, &[3.0, 1.0]).iter().sum::<usize>(), 128);
    }
}
