//! The commands of the program `rocoin`.

pub mod plan;
