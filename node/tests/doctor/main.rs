//! `rocoin doctor` with each fault made on purpose: on loopback where that is enough, on hosts that are network namespaces where it
//! is not. Those are skipped, with the reason printed, where there can be no namespaces.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod local;
mod network;
mod support;
