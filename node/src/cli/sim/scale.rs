//! `rocoin sim scale` and `rocoin sim starved`: what a larger fleet costs, and whom the failure detector gives up wrongly.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use rocoin_netsim::scale::{self, Row, Spread};
use rocoin_netsim::starved::{self, Deaths, Detector};
use serde_json::json;

use crate::cli::provenance::with_provenance;
use crate::cli::text::{aligned, print, print_json};

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct ScaleArgs {
    /// Sizes of the fleet
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [8, 32, 100, 316, 1000])]
    nodes: Vec<usize>,
    /// Cold starts are measured up to this size: all nodes at once, by multicast
    #[arg(long, value_name = "N", default_value_t = 316)]
    cold: usize,
    /// Deaths watched at each size
    #[arg(long, value_name = "N", default_value_t = 5)]
    deaths: usize,
    /// Of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print JSON (schema rocoin.scale/1)
    #[arg(long)]
    json: bool,
    /// Draw the table into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct StarvedArgs {
    /// Sizes of the fleet
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [8, 32, 128])]
    nodes: Vec<usize>,
    /// Simulated time, s
    #[arg(long, value_name = "S", default_value_t = 3600)]
    seconds: u64,
    /// Of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print JSON (schema rocoin.starved/1)
    #[arg(long)]
    json: bool,
}

/// Measures each size of fleet.
///
/// # Errors
/// A fleet that does not find together; a file that cannot be written.
pub(super) fn scale(args: &ScaleArgs) -> anyhow::Result<ExitCode> {
    let (began, mut rows) = (Instant::now(), Vec::new());
    for nodes in &args.nodes {
        let mut row = formed(*nodes, scale::measure(*nodes, args.deaths, args.seed))?;
        row.formed_s =
            (*nodes <= args.cold).then(|| scale::forming(*nodes, args.seed)).flatten().map(|s| s.as_secs_f64());
        rows.push(row);
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, scale::chart(&rows)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        told(json!({ "schema": "rocoin.scale/1", "seed": args.seed, "rows": rows }), began)?;
    } else {
        print(&table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(result: serde_json::Value, began: Instant) -> anyhow::Result<()> {
    print_json(&with_provenance(result, NonZeroUsize::MIN, began.elapsed().as_secs_f64()))
}

fn formed<T>(nodes: usize, measured: Option<T>) -> anyhow::Result<T> {
    measured.with_context(|| format!("{nodes} nodes did not agree on a leader and a plan within 120 s"))
}

fn table(rows: &[Row]) -> String {
    let head =
        ["nodes", "messages/s", "bytes/s", "suspected", "known to all", "replanned", "bytes a death", "cold start"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        vec![
            row.nodes.to_string(),
            format!("{:.1}", row.idle_messages_per_s),
            format!("{:.0}", row.idle_bytes_per_s),
            spread(row.suspected_s),
            spread(row.known_s),
            spread(row.replanned_s),
            format!("{:.0}", row.death_bytes),
            row.formed_s.map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s")),
        ]
    }));
    aligned(&lines) + "Per node, sent and received; times as mean (largest) over the deaths.\n"
}

fn spread(Spread { mean, max, missed }: Spread) -> String {
    let missed = if missed > 0 { format!(", {missed} missed") } else { String::new() };
    format!("{mean:.2} s ({max:.2}{missed})")
}

/// Lets each fleet live, idle and starved, with each failure detector.
///
/// # Errors
/// A fleet that does not find together.
pub(super) fn starved(args: &StarvedArgs) -> anyhow::Result<ExitCode> {
    let span = Duration::from_secs(args.seconds);
    let (began, mut all) = (Instant::now(), Vec::new());
    for nodes in &args.nodes {
        for is_starved in [false, true] {
            for detector in Detector::ALL {
                all.push(formed(*nodes, starved::live(*nodes, detector, is_starved, span, args.seed))?);
            }
        }
    }
    if args.json {
        told(json!({ "schema": "rocoin.starved/1", "seed": args.seed, "seconds": args.seconds, "rows": all }), began)?;
    } else {
        print(&aligned(&std::iter::once(head()).chain(all.iter().map(line)).collect::<Vec<_>>()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn head() -> Vec<String> {
    ["nodes", "devices", "detector", "well given up", "starved given up", "verdicts"].map(str::to_owned).to_vec()
}

fn line(deaths: &Deaths) -> Vec<String> {
    let detector = match deaths.detector {
        Detector::LocalHealth => "with local health",
        Detector::WithoutIt => "without it",
        Detector::PlainTimeouts => "plain time-outs",
    };
    vec![
        deaths.nodes.to_string(),
        if deaths.starved { "a quarter starved" } else { "idle" }.to_owned(),
        detector.to_owned(),
        deaths.of_well.to_string(),
        deaths.of_starved.to_string(),
        deaths.verdicts.to_string(),
    ]
}
