//! Who is alive: SWIM with Lifeguard's local health, as one pure machine.
//!
//! What it does: keeps a view of the fleet (each member's state, record, round-trip time), says whom a request may be
//! sent to, detects crashes, hangs and cuts, and brings members back without a restart.
//! [`message::Kind`] is the manual of the protocol; `docs/membership.md` has the definitions and why it holds.
//!
//! What it deliberately does not do: open connections (it asks for them with [`Output::Dial`]), authenticate (the link
//! below names the sender truthfully), agree (two nodes may hold different views; each acts on its own), or elect.

mod config;
mod counters;
mod dissemination;
mod health;
mod machine;
mod member;
mod members;
pub mod message;
mod port;
mod probe;
pub mod record;
mod ring;
mod rtt;
mod suspicion;
mod tombstones;

#[cfg(test)]
pub(crate) mod tests;

pub use config::Config;
pub use counters::Counters;
pub use machine::{MEMBERS_MAX, Membership};
pub use member::{Acquaintance, Me, Member, State};
pub use message::{Message, Start};
pub use port::{Claimant, Event, Input, Output, Reason};
pub use record::{Deployment, Holding, NAME_BYTES_MAX, Record, RecordError, VERSION_BYTES_MAX};
