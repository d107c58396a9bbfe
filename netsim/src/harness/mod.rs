//! The local multi-node harness: processes on loopback. Unlike the rest of the crate it lives in real time.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real processes live in real time; nothing here is part of a deterministic history"
)]

mod client;
mod error;
mod events;
mod load;
mod mesh;
mod options;
mod place;
mod process;
mod told;
pub mod victims;
mod wait;
mod whole;

pub use client::{Client, ClientError, Question, Reply};
pub use error::HarnessError;
pub use events::{EventLog, Moment, TimedEvent};
pub use load::{Answered, Images, Load, LoadOptions, Outcome};
pub use mesh::Mesh;
pub use options::NodeOptions;
pub use place::Place;
pub use process::{Announcement, NodeProcess};
pub use told::Told;
pub use wait::wait_until;
pub use whole::{is_redundant, is_whole};
