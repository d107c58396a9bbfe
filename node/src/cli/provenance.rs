//! What made a result: the command, the program, the machine, and how long it took.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

/// A result with what made it.
pub(super) fn with_provenance(mut result: Value, jobs: NonZeroUsize, wall_s: f64) -> Value {
    result["command"] = json!(std::env::args().collect::<Vec<_>>().join(" "));
    result["commit"] = json!(option_env!("ROCOIN_COMMIT"));
    result["version"] = json!(env!("CARGO_PKG_VERSION"));
    result["machine"] = machine(jobs);
    result["wall_s"] = json!(wall_s);
    result
}

/// What it ran on.
fn machine(jobs: NonZeroUsize) -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().ok().map(NonZeroUsize::get);
    json!({"cores": cores, "cpu": cpu, "jobs": jobs.get()})
}
