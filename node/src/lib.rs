//! The actor that runs a device, and the command `rocoin`.
//!
//! One tokio task or thread each: the network ([`network`], libp2p's swarm), the node ([`actor`], the core's loop), the workers
//! (students), the store ([`store`], the disk), HTTP ([`http`]). They talk through bounded mailboxes.
//!
//! Deliberately absent: decisions. Who is alive, who leads, who holds what is all decided in the core crate, from inputs.

pub mod actor;
mod calibration;
pub mod cli;
mod clock;
pub mod config;
pub mod decoders;
pub mod demo;
pub mod device;
mod doctor;
mod events;
pub mod files;
pub mod fleet_key;
pub mod http;
pub mod identity;
mod interrupt;
mod key_watch;
pub mod network;
mod observe;
mod refused;
pub mod store;
pub mod telemetry;
mod workers;
