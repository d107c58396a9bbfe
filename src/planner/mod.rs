//! Who holds which part with which student: from devices and students to a plan.
//!
//! A plan here speaks of devices by their index in the fleet; [`crate::leadership`] gives it an epoch and node ids.

mod plan;

pub use plan::{Group, Objective, Plan, PlanOptions, Replica, Strategy};
