//! The local multi-node harness.
