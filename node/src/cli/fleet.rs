//! `rocoin fleet`: what all devices of a fleet share.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::text::{print, print_json};
use crate::fleet_key::FleetKey;

/// The schema of `init --json`.
const SCHEMA: &str = "rocoin.fleet-init/1";

/// Makes what the devices of a fleet share
#[derive(Debug, Args)]
pub struct FleetArgs {
    #[command(subcommand)]
    command: FleetCommand,
}

#[derive(Debug, Subcommand)]
enum FleetCommand {
    /// Makes a fleet key: only devices that have this file can join
    ///
    /// The file has mode 0600 and the form of libp2p's key files. Copy it to each device, and to nobody else, and start them with `rocoin
    /// node --fleet-key-file FILE`; a file that others can read is refused there. What is printed is the key's fingerprint, which tells keys
    /// apart and gives nothing away.
    #[command(after_help = INIT_EXAMPLE)]
    Init {
        /// Where to write it; an existing file is never overwritten
        #[arg(long, value_name = "FILE", default_value = "fleet.key")]
        key_file: PathBuf,
        /// Print JSON (schema rocoin.fleet-init/1)
        #[arg(long)]
        json: bool,
    },
}

const INIT_EXAMPLE: &str = "\
Example, with one more device:
  rocoin fleet init --key-file fleet.key
  scp -p fleet.key pi@192.168.1.7:
  rocoin node --fleet-key-file fleet.key";

/// Runs the command.
///
/// # Errors
/// If the file exists already or cannot be written.
pub fn run(args: &FleetArgs) -> anyhow::Result<()> {
    match &args.command {
        FleetCommand::Init { key_file, json } => init(key_file, *json),
    }
}

fn init(key_file: &Path, json: bool) -> anyhow::Result<()> {
    let key = FleetKey::generate().context("the system gives no entropy")?;
    let path = key_file.display();
    key.create(key_file).with_context(|| format!("no key was made; if {path} is a fleet's key already, keep it"))?;
    if json {
        return print_json(&json!({
            "schema": SCHEMA,
            "key_file": path.to_string(),
            "fingerprint": key.to_string(),
        }));
    }
    print(&format!("Fleet key {key} written to {path}. Start each device with: rocoin node --fleet-key-file {path}\n"))
}
