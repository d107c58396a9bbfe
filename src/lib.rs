//! The method and the protocol of rocoin, pure.

pub mod blob;
pub mod bundle;
pub mod deployment;
pub mod fleet;
pub mod id;
pub mod inference;
pub mod leadership;
pub mod membership;
pub mod node;
pub mod planner;
pub mod time;
pub mod wire;
