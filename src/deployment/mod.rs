//! Getting the planned students onto this node: which artifacts to fetch from whom, what to load, what is ready.
//!
//! Students are small and disks are not: a node with room keeps the whole bundle, so that a whole group can die and
//! its students live. Deliberately absent: reading and writing files (the shell's store does), and choosing who runs
//! what ([`crate::leadership`] does).

mod config;
mod desired;
mod fetch;
mod message;
mod port;
mod serve;
mod stock;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use message::{CHUNK_BYTES_MAX, Message};
pub use port::{Event, Input, Output, Peer};
pub use stock::{Counters, Held, Stock};
