//! Devices and what they can do.

mod capability;

pub use capability::Capability;

/// One device of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Unique within the fleet.
    pub name: String,
    /// What it can do.
    pub capability: Capability,
}
