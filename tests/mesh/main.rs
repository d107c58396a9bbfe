//! A mesh of real processes on loopback, and what is done to it: killed, frozen, cut in two, fed with damaged files.
//!
//! Each test has its own mesh, key, folders and ports. Nothing is awaited by time: only by what the nodes say of themselves.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests against real processes, which live in real time; some report figures"
)]

mod answers;
mod artifacts;
mod failures;
mod identity;
mod leaving;
mod modes;
mod namespaces;
mod partitions;
mod requests;
mod support;
