//! Getting the planned students onto this node: which artifacts to fetch from whom, what to load, what is ready.

mod message;

pub use message::Message;
