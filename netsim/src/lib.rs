//! Meshes of real nodes on this machine, for the demo, the tests and the lab.
//!
//! Deliberately absent: any rule of the protocol. The nodes are processes of the program itself; this crate starts, stops,
//! kills, freezes, blocks and observes them.

pub mod harness;
