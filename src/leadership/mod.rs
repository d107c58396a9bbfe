//! Who leads, and what its plan is: claims, terms and epochs. Requests never need a leader.

mod plan;

pub use plan::{EpochPlan, PlannedGroup};
