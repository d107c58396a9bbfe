//! Getting the planned students onto this node: which artifacts to fetch from whom, what to load, what is ready.
//!
//! Students are small and disks are not: a node with room keeps the whole bundle, so that a whole group can die and
//! its students live; a node without keeps its own students, and what room is left goes to those that too few others
//! keep. Deliberately absent: reading and writing files (the shell's store does), choosing who runs what
//! ([`crate::leadership`] does), and deleting anything from disk (a person does).

mod config;
mod desired;
mod helpers;
mod loads;
mod message;
mod peers;
mod port;
mod serve;
mod stock;
#[cfg(test)]
mod tests;
mod transfer;
mod window;

pub use config::Config;
pub use desired::rank;
pub use message::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Message};
pub use port::{ChunkError, Event, Input, Kept, Output, Peer};
pub use stock::{Counters, Stock};
