//! The wire, byte by byte.

mod durable;
mod examples;
mod frames;
mod golden;
