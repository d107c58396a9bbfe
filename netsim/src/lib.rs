//! The nodes of the program, many at once: in a deterministic world of faults, and as real processes on this machine.
//!
//! [`world`] drives the very `rocoin::Node` of the devices in virtual time; [`harness`] starts, stops, kills, freezes, blocks and
//! observes processes, for the demo, the tests and the lab; the lab gives them hosts on a network that can be
//! made bad, and measures them.
//!
//! Deliberately absent: any rule of the protocol; a clock, outside the harness and the lab.

pub mod burst;
pub mod caught;
pub mod eval;
pub mod fact;
pub mod fault;
pub mod harness;
pub mod history;
pub mod invariant;
#[cfg(all(feature = "lab", target_os = "linux"))]
pub mod lab;
mod manifest;
pub mod model;
pub mod physics;
pub mod picture;
pub mod planned;
pub mod random;
pub mod run;
pub mod scale;
pub mod scenario;
pub mod starved;
pub mod swarm;
pub mod world;
