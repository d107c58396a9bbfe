//! `rocoin sim burst`: many nodes of a large fleet fall silent at once.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use rocoin_netsim::burst::{Burst, burst};
use serde_json::json;

use crate::cli::provenance::with_provenance;
use crate::cli::text::{aligned, print, print_json};

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct BurstArgs {
    /// Nodes of the fleet, which begins in the middle: everybody knows everybody, and one plan is served
    #[arg(long, value_name = "N", default_value_t = 1000)]
    nodes: usize,
    /// Nodes that fall silent in one instant; the leader is none of them
    #[arg(long, value_name = "N", default_value_t = 10)]
    failures: usize,
    /// Of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print JSON (schema rocoin.burst/1)
    #[arg(long)]
    json: bool,
}

/// Plays it; the exit code says whether everybody learnt of all failures and holds a plan without them, and nobody well was given up.
///
/// # Errors
/// A fleet that does not find together.
pub(super) fn run(args: &BurstArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let outcome = burst(args.nodes, args.failures, args.seed).with_context(|| {
        format!("{} nodes did not agree on a leader and a plan within 120 s; two are the least", args.nodes)
    })?;
    let (wall_s, peak_bytes) = (began.elapsed().as_secs_f64(), peak_resident_bytes());
    if args.json {
        let result = json!({ "schema": "rocoin.burst/1", "seed": args.seed, "burst": outcome, "peak_resident_bytes": peak_bytes });
        print_json(&with_provenance(result, NonZeroUsize::MIN, wall_s))?;
    } else {
        print(&told(&outcome, wall_s, peak_bytes))?;
    }
    let is_over = outcome.known_s.is_some() && outcome.replanned_s.is_some();
    Ok(super::exit(is_over && outcome.wrongly_given_up == 0))
}

fn told(burst: &Burst, wall_s: f64, peak_bytes: Option<u64>) -> String {
    let seconds = |at: Option<f64>| at.map_or_else(|| "not within 120 s".to_owned(), |s| format!("{s:.2} s"));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 bytes")]
    let peak = peak_bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.2} GB", bytes as f64 / 1e9));
    let row = |what: &str, value: String| vec![what.to_owned(), value];
    aligned(&[
        row("nodes, of which fell silent", format!("{}, {}", burst.nodes, burst.failures)),
        row("each suspected by somebody after", seconds(burst.suspected_s)),
        row("half given up by everybody after", seconds(burst.half_known_s)),
        row("all given up by everybody after", seconds(burst.known_s)),
        row("everybody has a plan without them after", seconds(burst.replanned_s)),
        row("plans made meanwhile", burst.plans.to_string()),
        row("well nodes given up", burst.wrongly_given_up.to_string()),
        row("control messages a node in 10 s", format!("{:.0} (busiest {})", burst.messages, burst.busiest_messages)),
        row("control bytes a node in 10 s", format!("{:.0}", burst.bytes)),
        row("simulated, wall, memory at the peak", format!("{:.0} s, {wall_s:.0} s, {peak}", burst.simulated_s)),
    ])
}

/// The most memory this process ever had, where the system tells it.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}
