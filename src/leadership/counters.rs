//! What happened so far, for metrics and tests.

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Claims that this node made.
    pub claims_made: u64,
    /// Plans that this node made.
    pub plans_made: u64,
    /// Messages and records refused because their term jumps too far.
    pub term_jumps_refused: u64,
    /// Claims heard that are smaller than the one followed.
    pub claims_stale: u64,
    /// Plans heard that are not greater than this node's own.
    pub plans_stale: u64,
    /// Plans refused because they make no sense.
    pub plans_malformed: u64,
    /// Changes refused because the plan that they change is another here, though of the same epoch: two devices have one identity.
    pub changes_refused: u64,
    /// Writes that failed.
    pub persist_failures: u64,
}
