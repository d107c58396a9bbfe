//! Who holds which part with which student: from devices and students to a plan.
//!
//! A plan here speaks of devices by their index in the fleet; [`crate::leadership`] gives it an epoch and node ids. The method is RoCoIn's
//! as its readers report it, with the objective, the search and several parts on one device added (ours); `docs/method.md` says which is which.

mod exhaustive;
mod grouped;
mod grouping;
pub mod knowledge;
pub mod matching;
mod placement;
mod plan;
mod problem;
mod prospect;
mod replan;
mod report;
mod search;
mod state;
mod students;
mod survival;
pub mod zoo;

pub use plan::{Group, Holding, Objective, ParseNameError, Plan, PlanOptions, Replica, Strategy};
pub use prospect::{Prospect, Task, prospect};
pub use replan::{DeviceDiff, PlanDiff, Replan, replan};
pub use students::{AccuracyTable, Student, Students};
pub use survival::PARTS_MAX;

use crate::fleet::{Device, Fleet};
use placement::NoRoom;
use problem::Problem;
use state::Assignment;

/// The most devices for which the optimum is sought.
pub const EXHAUSTIVE_DEVICES_MAX: usize = 8;

/// Why there is no plan. Nothing was decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is no device to plan for.
    #[error("there is no device to plan for")]
    NoDevice,
    /// A part that no device has room for, beside the others.
    #[error(
        "part {part}: its smallest student {arch} needs {needed_bytes} bytes of memory; {device:?}, the device with the most left, \
         lacks {missing_bytes} bytes: add memory or a device, or take smaller students"
    )]
    Memory {
        /// The part.
        part: usize,
        /// Its smallest student.
        arch: String,
        /// What that needs.
        needed_bytes: u64,
        /// The device with the most memory left.
        device: String,
        /// How much it lacks.
        missing_bytes: u64,
    },
    /// None, or more than can be told apart.
    #[error("{parts} parts: a plan has at least one and at most {}", survival::PARTS_MAX)]
    TooManyParts {
        /// How many.
        parts: usize,
    },
    /// More parts than filters to share out.
    #[error("{parts} parts of {filters} filters: every part needs a filter; ask for fewer parts")]
    TooFewFilters {
        /// How many parts.
        parts: usize,
        /// How many filters.
        filters: usize,
    },
    /// The accuracy table cannot be used.
    #[error("the accuracy table: {0}")]
    Accuracy(String),
    /// The optimum was asked for.
    #[error(
        "the optimum is sought for at most {EXHAUSTIVE_DEVICES_MAX} devices, not {devices}; use the strategy \"search\""
    )]
    TooManyDevices {
        /// How many.
        devices: usize,
    },
}

/// A plan for a fleet with a bundle's students.
///
/// # Errors
/// [`PlanError::Memory`] if a part has no room anywhere, [`PlanError::TooManyDevices`] if the optimum is asked for too many.
/// A fleet that cannot be reliable or accurate enough is no error: the plan is the best effort and says so.
pub fn plan(fleet: &Fleet, students: &Students) -> Result<Plan, PlanError> {
    let problem = problem(fleet, students)?;
    let assignment = assign(&problem, &fleet.devices)?;
    Ok(report::report(&problem, &fleet.devices, assignment))
}

/// The problem, if every part has room.
fn problem<'a>(fleet: &'a Fleet, students: &'a Students) -> Result<Problem<'a>, PlanError> {
    if fleet.devices.is_empty() {
        return Err(PlanError::NoDevice);
    }
    let problem = Problem::new(fleet.devices.iter().map(|device| &device.capability), students, &fleet.plan);
    match placement::pack(&problem, &placement::smallest(&problem)) {
        Ok(_) => Ok(problem),
        Err(none) => Err(memory_error(&problem, &fleet.devices, none)),
    }
}

/// By the strategy that is asked for.
fn assign(problem: &Problem<'_>, devices: &[Device]) -> Result<Assignment, PlanError> {
    Ok(match problem.options.strategy {
        Strategy::Search => search::search(problem, &starts(problem, devices), search::STEPS),
        Strategy::Rocoin => grouped::best(problem, &groups(problem, devices), matching::least_sum),
        Strategy::Bottleneck => grouped::best(problem, &groups(problem, devices), matching::least_maximum),
        Strategy::RocoinG => grouped::greedy(problem, &groups(problem, devices)),
        Strategy::Nonn => grouped::equal(problem, &grouped::singles(problem)),
        Strategy::HetNonn => grouped::best(problem, &grouped::singles(problem), matching::least_maximum),
        Strategy::Exhaustive if devices.len() > EXHAUSTIVE_DEVICES_MAX => {
            return Err(PlanError::TooManyDevices { devices: devices.len() });
        }
        Strategy::Exhaustive => {
            let start = grouped::best(problem, &groups(problem, devices), matching::least_maximum);
            search::polish(problem, exhaustive::optimum(problem, start))
        }
    })
}

fn memory_error(problem: &Problem<'_>, devices: &[Device], none: NoRoom) -> PlanError {
    let student = problem.student(&placement::smallest(problem), none.part);
    PlanError::Memory {
        part: none.part,
        arch: student.arch.clone(),
        needed_bytes: student.memory_bytes,
        device: devices[none.device].name.clone(),
        missing_bytes: none.missing_bytes,
    }
}

/// RoCoIn's groups with each promising choice of students, and the tightest packing: at least one of them has every part.
fn starts(problem: &Problem<'_>, devices: &[Device]) -> Vec<Assignment> {
    let groups = groups(problem, devices);
    let matched = |chosen: &Vec<usize>| grouped::matched(problem, &groups, chosen, matching::least_maximum);
    let mut starts: Vec<Assignment> = search::student_starts(problem).iter().map(matched).collect();
    starts.extend(placement::pack(problem, &placement::smallest(problem)));
    starts
}

/// RoCoIn's.
fn groups(problem: &Problem<'_>, devices: &[Device]) -> Vec<Vec<usize>> {
    let capabilities: Vec<_> = devices.iter().map(|device| &device.capability).collect();
    grouping::follow_the_leader(&capabilities, problem.parts(), problem.options.group_failure_max)
}
