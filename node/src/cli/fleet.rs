//! `rocoin fleet`: what all devices of a fleet share.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::fleet_key::FleetKey;

/// Makes what the devices of a fleet share
#[derive(Debug, Args)]
pub struct FleetArgs {
    #[command(subcommand)]
    command: FleetCommand,
}

#[derive(Debug, Subcommand)]
enum FleetCommand {
    /// Makes a fleet key: only devices that have this file can join. Copy it to each of them, and to nobody else
    Init {
        /// Where to write it; an existing file is never overwritten
        #[arg(long, value_name = "FILE", default_value = "fleet.key")]
        key_file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// If the file exists already or cannot be written.
pub fn run(args: &FleetArgs) -> anyhow::Result<()> {
    match &args.command {
        FleetCommand::Init { key_file } => {
            let key = FleetKey::generate().context("the system gives no entropy")?;
            key.create(key_file).with_context(|| {
                format!("no key was made; if {} is a fleet's key already, keep it", key_file.display())
            })?;
            writeln!(
                std::io::stdout(),
                "Fleet key {key} written to {}. Start each device with: rocoin node --fleet-key-file {}",
                key_file.display(),
                key_file.display()
            )?;
            Ok(())
        }
    }
}
