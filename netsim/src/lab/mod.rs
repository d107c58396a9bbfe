//! The lab: real nodes, on hosts of their own, on a network that can be made bad.
//!
//! [`hosts`] are network namespaces of this machine, joined by a switch that is a namespace too. Deliberately absent: any change to
//! the machine's own network; any rule of the protocol. Like the harness it lives in real time.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real processes live in real time; nothing here is part of a deterministic history"
)]

mod error;
pub mod hosts;

pub use error::LabError;
