//! `rocoin fleet`: what all devices of a fleet share, and what they are.

mod export;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::target::Target;
use super::text::{print, print_json};
use crate::fleet_key::{FleetKey, KeyFile};

/// The schema of `init --json`.
const INIT_SCHEMA: &str = "rocoin.fleet-init/1";
/// The schema of `rotate --json` and `retire --json`.
const KEYS_SCHEMA: &str = "rocoin.fleet-keys/1";

/// Makes what the devices of a fleet share, and writes down what they are
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
    /// Changes the fleet key while the fleet runs: writes a new key into the file, beside the one before it
    ///
    /// Until the time is over, both keys are accepted by whoever has the new file, so that devices can be given it one after the other.
    /// A running node takes up a changed file within a second or two, without a restart, and moves its connections to the new key. Then
    /// the old key is out, at the end of the time or with `rocoin fleet retire`: who has not been given the new file by then is out
    /// too, is named in the others' logs, and is back as soon as it has the file.
    #[command(after_help = ROTATE_EXAMPLE)]
    Rotate {
        /// The fleet's key file, which is replaced
        #[arg(long, value_name = "FILE", default_value = "fleet.key")]
        key_file: PathBuf,
        /// How long the key before it is accepted still, in hours
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=HOURS_MAX))]
        keep_hours: u32,
        /// Print JSON (schema rocoin.fleet-keys/1)
        #[arg(long)]
        json: bool,
    },
    /// Writes a fleet file from the members of a running mesh, to standard output
    ///
    /// Each member that the node would plan with, by what it says of itself and what the node observed of it: compute, memory, link,
    /// failure probability; and what the node asks of a plan. `rocoin plan --fleet` and `rocoin distill --fleet` read it.
    #[command(after_help = EXPORT_EXAMPLE)]
    Export {
        #[command(flatten)]
        target: Target,
    },
    /// Ends a change of the fleet key: takes the key before the current one out of the file
    Retire {
        /// The fleet's key file, which is replaced
        #[arg(long, value_name = "FILE", default_value = "fleet.key")]
        key_file: PathBuf,
        /// Print JSON (schema rocoin.fleet-keys/1)
        #[arg(long)]
        json: bool,
    },
}

/// A year: whoever wants the old key for longer does not want to be rid of it.
const HOURS_MAX: i64 = 8760;

const ROTATE_EXAMPLE: &str = "\
Example, with two devices:
  rocoin fleet rotate --key-file fleet.key
  scp -p fleet.key pi@192.168.1.7:      one device after the other, each within the 24 hours
  scp -p fleet.key pi@192.168.1.8:
  rocoin status --json                  network_links_on_previous_key is 0 on each when all have it";

const EXPORT_EXAMPLE: &str = "\
Example, for a bundle made for these devices:
  rocoin fleet export > fleet.toml
  rocoin plan --fleet fleet.toml";

const INIT_EXAMPLE: &str = "\
Example, with one more device:
  rocoin fleet init --key-file fleet.key
  scp -p fleet.key pi@192.168.1.7:
  rocoin node --fleet-key-file fleet.key";

/// Runs the command.
///
/// # Errors
/// If a key file exists already or cannot be read or written, or a node cannot be reached.
pub fn run(args: &FleetArgs) -> anyhow::Result<()> {
    match &args.command {
        FleetCommand::Init { key_file, json } => init(key_file, *json),
        FleetCommand::Rotate { key_file, keep_hours, json } => rotate(key_file, *keep_hours, *json),
        FleetCommand::Export { target } => export::run(target),
        FleetCommand::Retire { key_file, json } => retire(key_file, *json),
    }
}

fn init(key_file: &Path, json: bool) -> anyhow::Result<()> {
    let key = FleetKey::generate().context("the system gives no entropy")?;
    let path = key_file.display();
    KeyFile::of(key)
        .create(key_file)
        .with_context(|| format!("no key was made; if {path} is a fleet's key already, keep it"))?;
    if json {
        return print_json(&json!({
            "schema": INIT_SCHEMA,
            "key_file": path.to_string(),
            "fingerprint": key.to_string(),
        }));
    }
    print(&format!("Fleet key {key} written to {path}. Start each device with: rocoin node --fleet-key-file {path}\n"))
}

fn rotate(key_file: &Path, keep_hours: u32, json: bool) -> anyhow::Result<()> {
    let old = KeyFile::load(key_file)?;
    let now = SystemTime::now();
    if let Some(previous) = old.previous.filter(|previous| previous.until > now) {
        bail!(
            "the last change of this key is not over: {} is accepted for {} more. Give all devices this file and run `rocoin fleet \
             retire`, or wait; devices that have that key only would be out at once",
            previous.key,
            in_hours(previous.until, now)
        );
    }
    let new = FleetKey::generate().context("the system gives no entropy")?;
    let file = old.rotated(new, now + Duration::from_secs(3600 * u64::from(keep_hours)));
    file.replace(key_file)?;
    show(key_file, &file, json)
}

fn retire(key_file: &Path, json: bool) -> anyhow::Result<()> {
    let file = KeyFile::of(KeyFile::load(key_file)?.current);
    file.replace(key_file)?;
    show(key_file, &file, json)
}

fn show(key_file: &Path, file: &KeyFile, json: bool) -> anyhow::Result<()> {
    let path = key_file.display();
    let current = file.current;
    if json {
        let previous = file.previous.map(|previous| {
            let until = previous.until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            json!({ "fingerprint": previous.key.to_string(), "until_unix_s": until })
        });
        return print_json(&json!({
            "schema": KEYS_SCHEMA,
            "key_file": path.to_string(),
            "fingerprint": current.to_string(),
            "previous": previous,
        }));
    }
    let before = match file.previous {
        Some(previous) => format!(
            " The key before it, {}, is accepted for {} more; give each device this file until then.",
            previous.key,
            in_hours(previous.until, SystemTime::now())
        ),
        None => " No other is accepted by the devices that have this file.".to_owned(),
    };
    print(&format!("{path} holds the fleet key {current}.{before}\n"))
}

fn in_hours(until: SystemTime, now: SystemTime) -> String {
    format!("{:.1} hours", until.duration_since(now).unwrap_or_default().as_secs_f64() / 3600.0)
}
