//! How full a node's queues are.

use serde::Serialize;

/// One queue of a node, or of one of its machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// What waits in it.
    pub name: &'static str,
    /// How much does.
    pub length: usize,
    /// How much may.
    pub bound: usize,
}

impl Queue {
    pub(crate) const fn new(name: &'static str, length: usize, bound: usize) -> Self {
        Self { name, length, bound }
    }
}
