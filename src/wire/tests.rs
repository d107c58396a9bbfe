//! The wire, byte by byte.
