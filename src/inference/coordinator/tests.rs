//! Stories of a coordinator.
