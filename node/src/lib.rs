//! The actor that runs a device, and the command `rocoin`.

pub mod cli;
