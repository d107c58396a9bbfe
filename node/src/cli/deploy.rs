//! `rocoin deploy`: gives a bundle to a running mesh and waits until it is served.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rocoin::node::NodeSnapshot;
use rocoin_models::bundle_dir::BundleDir;
use rocoin_netsim::harness::wait_until;
use serde_json::json;

use super::target::Target;

/// Gives a bundle to a running mesh and waits until it is served
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The bundle: a folder with manifest.json, or a tar file of one
    bundle: PathBuf,
    #[command(flatten)]
    target: Target,
    /// How long to wait until every part is served
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// Print JSON (schema rocoin.deploy/1)
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the bundle is not valid, the node cannot be reached, or not every part is served in time; the mesh then goes on
/// trying, and what it served before is still served.
pub fn run(args: &DeployArgs) -> anyhow::Result<()> {
    let bundle = BundleDir::open(&args.bundle)?;
    let digest = bundle.digest();
    let client = args.target.client()?;
    let timeout = Duration::from_secs(args.timeout);
    client.deploy(&tar(&bundle)?, timeout)?;
    let manifest = bundle.manifest();
    let terminal = std::io::stderr().is_terminal();
    let what = format!("{} {} is served whole", manifest.name, manifest.version);
    let snapshot = wait_until(&what, timeout, || {
        let snapshot = client.status().map_err(|e| e.to_string())?;
        let served =
            if snapshot.bundle.as_ref().is_some_and(|b| b.digest == digest) { snapshot.parts_served } else { 0 };
        if terminal {
            eprint!("\r{served} of {} parts served ", manifest.parts.len());
        }
        if served == manifest.parts.len() {
            Ok(snapshot)
        } else {
            Err(lacking(&snapshot, served, manifest.parts.len()))
        }
    })?;
    if terminal {
        eprintln!();
    }
    let text = if args.json {
        json!({
            "schema": "rocoin.deploy/1",
            "bundle": digest,
            "name": manifest.name,
            "version": manifest.version,
            "parts": manifest.parts.len(),
            "epoch": snapshot.epoch,
        })
        .to_string()
    } else {
        let (name, version, parts) = (&manifest.name, &manifest.version, manifest.parts.len());
        format!("{name} {version}: all {parts} parts are served")
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

fn lacking(snapshot: &NodeSnapshot, served: usize, parts: usize) -> String {
    let leader = if snapshot.leader.is_some() { "" } else { ", and there is no leader yet" };
    format!("{served} of {parts} parts with {} members{leader}; `rocoin status` shows more", snapshot.members.len())
}

fn tar(bundle: &BundleDir) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).with_context(|| format!("cannot pack {name}"))
    };
    add("manifest.json", bundle.manifest_json())?;
    for card in bundle.manifest().parts.iter().flat_map(|part| &part.students) {
        add(&card.file, &bundle.student(card)?)?;
    }
    tar.into_inner().context("cannot pack the bundle")
}
