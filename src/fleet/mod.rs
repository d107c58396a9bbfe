//! Devices and what they can do, and the file that lists them.
//!
//! A fleet is what one plan is for. Nothing here looks at the network: a device is numbers that someone measured or wrote down.

mod capability;
mod file;

pub use capability::Capability;
pub use file::FleetError;

use crate::planner::PlanOptions;

/// One device of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Unique within the fleet.
    pub name: String,
    /// What it can do.
    pub capability: Capability,
}

/// The devices one plan is for, and what is asked of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// At least one; their order is their index in a plan.
    pub devices: Vec<Device>,
    /// The `[plan]` table.
    pub plan: PlanOptions,
}
