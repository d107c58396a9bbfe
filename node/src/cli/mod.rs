//! The commands of `rocoin`, one file each.

pub mod demo;
pub mod deploy;
pub mod distill;
pub mod doctor;
pub mod fleet;
pub mod infer;
pub mod node;
pub mod plan;
pub mod sim;
pub mod status;
mod target;
mod text;

use std::process::ExitCode;

use crate::config::ConfigError;

/// Prints what went wrong, cause by cause, and gives the exit code: 1 failed, 2 wrong usage.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    if error.downcast_ref::<ConfigError>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
