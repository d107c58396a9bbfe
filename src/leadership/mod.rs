//! Who leads, and what its plan is: claims, terms and epochs. Requests never need a leader.
//!
//! The rules, the invariants and why they hold are in `docs/leadership.md`. In short: the best member of a view that
//! has been stable for a while claims a term above all it has seen; everybody follows the greatest claim whose leader
//! it sees; the leader plans, and an [`Epoch`](crate::id::Epoch) orders all plans of all leaders, so that a plan once
//! adopted is never replaced by a smaller one. Terms and plans are on disk before they are acted on.
//!
//! Deliberately absent: a quorum (each side of a partition goes on serving), a lease (a leader that is not needed for
//! requests need not be unique), the failure detector (the view comes from [`crate::membership`]), and artifacts
//! ([`crate::deployment`] sees to those).

mod change;
mod claims;
mod config;
mod counters;
mod gate;
mod machine;
mod message;
mod plan;
mod planning;
mod port;
mod spread;
#[cfg(test)]
pub(crate) mod tests;
mod view;

pub use change::{GroupChange, PlanChange};
pub use config::Config;
pub use counters::Counters;
pub use machine::Leadership;
pub use message::{Claim, Message};
pub use plan::{EpochPlan, PlannedGroup};
pub use planning::plan_for;
pub use port::{Event, Input, Output, Promise, ViewMember};
