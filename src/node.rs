//! `Node`: composes the machines; the only type a shell drives.

mod durable;
mod input;
mod output;

use crate::{deployment, inference, leadership, membership};
pub use durable::Durable;
pub use input::Input;
pub use output::{Lane, Output};

/// The shell's tag for a client's open request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// One run of one student on one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One write of the durable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(pub u64);

/// Something that people and metrics want to know.
#[derive(Debug, Clone)]
pub enum Event {
    /// From the failure detector.
    Membership(membership::Event),
    /// From the election and the plans.
    Leadership(leadership::Event),
    /// From fetching and loading.
    Deployment(deployment::Event),
    /// From requests.
    Inference(inference::Event),
}
