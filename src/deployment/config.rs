//! How much a node may keep.

use crate::bugs::Bugs;

/// How much a node may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Bytes of artifacts on disk. The students that the plan gives this node are fetched in any case; what else the
    /// bundle holds only as far as this reaches.
    pub storage_bytes_max: u64,
    /// Bytes of RAM for loaded students. Where the students of the old and the new plan do not fit together, those of
    /// the old one go first.
    pub memory_bytes_max: u64,
    /// Known bugs that are switched on.
    pub bugs: Bugs,
}

impl Default for Config {
    fn default() -> Self {
        Self { storage_bytes_max: u64::MAX, memory_bytes_max: u64::MAX, bugs: Bugs::default() }
    }
}
