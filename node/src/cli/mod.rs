//! The commands of `rocoin`, one file each.

pub mod completions;
pub mod demo;
pub mod deploy;
pub mod distill;
pub mod doctor;
pub mod eval;
#[cfg(test)]
mod fixture;
pub mod fleet;
pub mod infer;
#[cfg(all(feature = "lab", target_os = "linux"))]
pub mod lab;
pub mod man;
mod members;
pub mod node;
pub mod plan;
mod provenance;
pub mod quantize;
pub mod sim;
pub mod status;
mod target;
mod text;
pub mod top;

use std::process::ExitCode;

use crate::config::ConfigError;

/// Prints what went wrong, cause by cause, and gives the exit code: 1 failed, 2 wrong usage.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    if error.downcast_ref::<ConfigError>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
