//! `rocoin demo`: see the mesh at work on this machine.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::demo::{self, DemoOptions, Report};

/// Where a checkout has the ready-made bundle.
const BUNDLE: &str = "models/bundles/fashion-mnist";

/// Runs eight nodes on this machine, asks them about real images, and kills nodes as it goes
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The bundle, a folder with test images in its folder `test` [default: the checkout's]
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Print the summary alone, as JSON (schema rocoin.demo/1)
    #[arg(long)]
    json: bool,
}

/// Runs the demo; the exit code says whether everything held that had to.
///
/// # Errors
/// If the mesh cannot be started, or on Ctrl-C.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let bundle = match &args.bundle {
        Some(bundle) => bundle.clone(),
        None => ready_made()?,
    };
    let report = demo::run(&DemoOptions { bundle, table: !args.json })?;
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { summary(&report) };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if report.unmet.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bundle that a checkout has.
pub(super) fn ready_made() -> anyhow::Result<PathBuf> {
    let here = PathBuf::from(BUNDLE);
    let checkout = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../")).join(BUNDLE);
    for bundle in [here, checkout] {
        if bundle.join("manifest.json").exists() {
            return Ok(bundle);
        }
    }
    bail!("there is no {BUNDLE} here; run this in a checkout, or name a bundle with --bundle")
}

fn summary(report: &Report) -> String {
    let requests: usize = report.steps.iter().map(|step| step.requests).sum();
    let degraded: usize = report.steps.iter().map(|step| step.degraded).sum();
    let counts = format!(
        "{requests} requests, {} failed, {degraded} degraded; teacher {:.2} %",
        report.failed_total,
        report.teacher_accuracy * 100.0
    );
    if report.unmet.is_empty() {
        format!("\nAll held: {counts}.")
    } else {
        format!("\nDid not hold: {}. {counts}.", report.unmet.join("; "))
    }
}
