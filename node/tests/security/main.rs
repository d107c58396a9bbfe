//! A mesh of real processes, and who means it harm: strangers without the fleet's key, members that break the protocol, devices that
//! missed a change of the key. What is asked each time: are they kept out and named, and do the others go on answering.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests against real processes, which report figures")]

mod fleet;
mod hostile;
mod keys;
mod members;
mod state;
mod strangers;
