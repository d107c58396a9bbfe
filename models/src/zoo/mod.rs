//! The student zoo: wide residual networks of a few sizes, for images `[C, H, W]` and series `[C, L]`.
//!
//! [`Wrn`] is the topology, written once; [`Weights`] are plain numbers. Three things walk the topology: training (with the
//! batch's statistics, differentiable), inference (with running statistics) and [`export`] (with batch norms folded).
//! Nothing here trains: see [`crate::train`].

pub mod export;
mod forward;
mod head;
pub(crate) mod ops;
pub(crate) mod random;
mod student;
mod weights;
mod wrn;

pub(crate) use forward::Training;
pub use head::PartialHead;
pub use rocoin::planner::zoo::Architecture;
pub use student::{Student, StudentError};
pub use weights::Weights;
pub use wrn::{Conv, Wrn, extent};
