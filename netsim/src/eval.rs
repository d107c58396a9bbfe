//! The figures: the method against its rivals, with a real bundle's students (`rocoin eval`).
//!
//! All of it is arithmetic on the accuracies of a bundle's combinations: failures are gone through exactly, no model is run. One seed gives
//! one result, whatever the number of threads.

mod contest;
pub mod dropout;
pub mod duels;
mod each;
#[cfg(test)]
mod fixture;
pub mod gap;
pub mod losses;
pub mod memory;
mod setting;
mod standing;
pub mod sweep;

pub use contest::{Contest, Entry, Rival};
pub use setting::{Setting, Span};
pub use standing::{DEVICES_MAX, DeviceSet, Standing};
