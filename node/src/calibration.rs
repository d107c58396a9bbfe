//! How fast this device is: a known network, run for a fifth of a second, like the students it will run.
//!
//! One thread, one image at a time, as a request is served. The result is kept in the state folder.

pub(crate) mod network;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rocoin_models::session::{Session, SessionError};
use serde::{Deserialize, Serialize};

use crate::files::{FileError, read_bounded, write_atomic};

/// Runs for at least this long. Ours: the spread between calibrations is then some per cent.
const MEASURE_FOR: Duration = Duration::from_millis(200);
/// And at least this often.
const RUNS_MIN: usize = 5;
/// Bytes of the kept result at most.
const FILE_BYTES_MAX: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Another version runs students otherwise, and measures anew.
    version: String,
    flops_per_s: f64,
}

/// The device's rate, FLOP/s: the kept one, or a new one, which is kept.
///
/// # Errors
/// If the network cannot be run at all; a result that cannot be kept is only logged.
pub(crate) fn flops_per_s(state: &Path) -> Result<f64, SessionError> {
    let path = kept_in(state);
    if let Some(kept) = load(&path) {
        return Ok(kept);
    }
    let rate = measure()?;
    if let Err(e) = save(&path, rate) {
        tracing::warn!("the calibration is not kept: {e}");
    }
    Ok(rate)
}

/// The kept rate, FLOP/s, if there is one of this version.
pub(crate) fn kept_flops_per_s(state: &Path) -> Option<f64> {
    load(&kept_in(state))
}

fn kept_in(state: &Path) -> PathBuf {
    state.join("calibration.json")
}

fn load(path: &Path) -> Option<f64> {
    let kept: Kept = serde_json::from_slice(&read_bounded(path, FILE_BYTES_MAX).ok()?).ok()?;
    let usable = kept.version == env!("CARGO_PKG_VERSION") && kept.flops_per_s.is_finite() && kept.flops_per_s > 0.0;
    usable.then_some(kept.flops_per_s)
}

fn save(path: &Path, flops_per_s: f64) -> Result<(), FileError> {
    let kept = Kept { version: env!("CARGO_PKG_VERSION").to_owned(), flops_per_s };
    let json =
        serde_json::to_vec(&kept).map_err(|e| FileError::Content { path: path.to_owned(), what: e.to_string() })?;
    write_atomic(path, &json)
}

/// The median of many runs: a burst of other work does not count.
fn measure() -> Result<f64, SessionError> {
    let session = Session::load(&network::onnx(), &network::SHAPE)?;
    let image = vec![0.5; session.input_len()];
    session.run(&image)?;
    let start = Instant::now();
    let mut runs = Vec::new();
    while runs.len() < RUNS_MIN || start.elapsed() < MEASURE_FOR {
        let run = Instant::now();
        session.run(&image)?;
        runs.push(run.elapsed());
    }
    runs.sort_unstable();
    Ok(network::FLOPS as f64 / runs[runs.len() / 2].as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_network_runs_and_gives_a_plausible_rate() {
        let rate = measure().unwrap();
        assert!((1e6..1e13).contains(&rate), "{rate} FLOP/s");
    }

    #[test]
    fn a_kept_rate_is_used_and_an_impossible_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calibration.json");
        save(&path, 5e9).unwrap();
        assert_eq!(load(&path), Some(5e9));
        assert_eq!(flops_per_s(dir.path()).unwrap(), 5e9);
        save(&path, -1.0).unwrap();
        assert_eq!(load(&path), None);
        std::fs::write(&path, b"{").unwrap();
        assert_eq!(load(&path), None);
    }
}
