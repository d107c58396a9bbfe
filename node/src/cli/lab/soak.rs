//! `rocoin lab soak`: hurts a mesh at random, and writes what came of it.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use rocoin_netsim::lab::soak::{self, SoakOptions, SoakReport};
use rocoin_netsim::lab::{GroundKind, Site};
use serde_json::json;

use super::SiteArgs;
use crate::cli::provenance::with_provenance;
use crate::cli::text::{print, print_json};
use crate::interrupt::Interrupt;

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct SoakArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Nodes
    #[arg(long, value_name = "N", default_value_t = 8)]
    nodes: usize,
    /// For how long
    #[arg(long, value_name = "M", default_value_t = 30.0)]
    minutes: f64,
    /// From one fault to the next, on average, s
    #[arg(long, value_name = "S", default_value_t = 4.0)]
    every: f64,
    /// Write soak.json, soak.md and soak.svg into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print JSON (schema rocoin.soak/1)
    #[arg(long)]
    json: bool,
}

/// Runs the soak; the exit code says whether everything held that had to.
pub(super) fn run(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let mut options = args.site.options(args.nodes, &Interrupt::listen()?)?;
    options.small_disks = options.ground == GroundKind::Namespaces;
    let mut site = Site::start(options)?;
    let seconds = |s: f64| Duration::try_from_secs_f64(s).context("--minutes and --every are numbers above 0");
    let (time, every) = (seconds(args.minutes * 60.0)?, seconds(args.every)?);
    let report = soak::run(&mut site, SoakOptions { time, every, seed: args.site.seed })?;
    drop(site);
    let mut value = json!(report);
    value["seed"] = json!(args.site.seed);
    let value = with_provenance(value, NonZeroUsize::MIN, began.elapsed().as_secs_f64());
    if let Some(folder) = &args.report {
        write(folder, "soak.json", &(serde_json::to_string(&value)? + "\n"))?;
        write(folder, "soak.svg", &soak::chart(&report))?;
        write(folder, "soak.md", &markdown(&report, args, value["commit"].as_str()))?;
    }
    if args.json {
        print_json(&value)?;
    } else {
        print(&summary(&report))?;
    }
    Ok(if report.unmet.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn summary(report: &SoakReport) -> String {
    let requests = &report.requests;
    let mut text = format!(
        "{} faults; {} requests: {} complete, {} degraded, {} lost, {} tried twice.\n",
        report.faults.len(),
        report.asked,
        requests.complete,
        requests.degraded,
        requests.failed,
        requests.retried
    );
    for reason in &report.reasons {
        _ = writeln!(text, "lost: {reason}");
    }
    if report.unmet.is_empty() {
        text += "All held.\n";
    }
    for unmet in &report.unmet {
        _ = writeln!(text, "did not hold: {unmet}");
    }
    text
}

/// The report for people: outcomes, growth, and the log of faults.
fn markdown(report: &SoakReport, args: &SoakArgs, commit: Option<&str>) -> String {
    let mut text = format!(
        "# Soak\n\n{} nodes, {} min, seed {}, commit {}.\n\n{}\n![soak](soak.svg)\n\n",
        report.nodes,
        args.minutes,
        args.site.seed,
        commit.unwrap_or("unknown"),
        summary(report)
    );
    text += "| witness | memory, second quarter | memory, last quarter | descriptors, second | last |\n|---|---|---|---|---|\n";
    for witness in 0..soak::WITNESSES.min(report.nodes) {
        #[expect(clippy::cast_precision_loss, reason = "bytes of a process")]
        let memory = report.early_and_late(|s| s.resident_bytes[witness] as f64);
        #[expect(clippy::cast_precision_loss, reason = "descriptors of a process")]
        let descriptors = report.early_and_late(|s| s.descriptors[witness] as f64);
        if let Some(((early, late), (before, after))) = memory.zip(descriptors) {
            _ = writeln!(text, "| {witness} | {:.1} MB | {:.1} MB | {before} | {after} |", early / 1e6, late / 1e6);
        }
    }
    text += "\n| at, s | for, s | fault |\n|---|---|---|\n";
    for fault in &report.faults {
        _ = writeln!(text, "| {:.1} | {:.1} | {} |", fault.at_s, fault.lasts_s, fault.what);
    }
    text
}
