//! The soak: a mesh under steady load, hurt at random for long, and what must be left of it.
//!
//! Hurt are at most [`hurt_max`] nodes at a time. Two nodes, the *witnesses*, are never killed, so that their memory and descriptors
//! can be watched for the whole time.

mod chart;
mod faults;
mod report;

use std::time::{Duration, Instant};

pub use self::chart::chart;
use self::faults::{Faults, Kind};
pub use self::report::{FaultEntry, Sample, SoakReport, Tally};
use super::{LabError, Site};
use crate::random::Random;

/// Between two samples of memory, descriptors and outcomes.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Nodes that are never killed.
pub const WITNESSES: usize = 2;
/// Before the first fault and after the last.
const CALM: Duration = Duration::from_secs(10);

/// A soak to be run.
#[derive(Debug, Clone, Copy)]
pub struct SoakOptions {
    /// For so long, without coming together and resting.
    pub time: Duration,
    /// From one fault to the next, on average.
    pub every: Duration,
    /// Of all chance.
    pub seed: u64,
}

/// So many nodes of `nodes` are hurt at a time at most: a quarter.
pub fn hurt_max(nodes: usize) -> usize {
    (nodes / 4).max(1)
}

/// Runs it.
///
/// # Errors
/// [`LabError`] if the mesh could not be set up, watched, or hurt. A mesh that does not hold is in the report.
pub fn run(site: &mut Site, options: SoakOptions) -> Result<SoakReport, LabError> {
    let mut random = Random::new(options.seed, "soak");
    let all: Vec<usize> = (0..site.nodes()).collect();
    let mut load = site.load(&all)?;
    let start = Instant::now();
    let mut report = SoakReport::new(site.nodes(), site.options().ground);
    let mut faults = Faults::default();
    let (mut next_fault, mut next_sample) = (start + CALM, start);
    let last_fault = start + options.time.saturating_sub(CALM);
    while start.elapsed() < options.time || !faults.is_empty() {
        site.check()?;
        let now = Instant::now();
        if faults.end_those_due(site, now)? {
            load.retarget(reachable(site)?);
        }
        if now >= next_fault && now < last_fault {
            next_fault = now + random.exponential(options.every).min(options.every * 4);
            let kind = Kind::draw(&mut random, site.options().ground);
            if let Some(entry) = faults.begin(site, kind, &mut random, start, now)? {
                site.say(&format!("{:7.1} s  {}", entry.at_s, entry.what));
                report.faults.push(entry);
                load.retarget(reachable(site)?);
            }
        }
        if now >= next_sample {
            next_sample = now + SAMPLE_EVERY;
            report.take(site, start, &load.take_outcomes());
        }
        site.pause(Duration::from_millis(50))?;
    }
    let restored = site.restore();
    report.final_trouble = match restored {
        Err(LabError::Unmeasured(trouble)) => Some(trouble),
        Err(other) => return Err(other),
        Ok(()) => None,
    };
    load.retarget(site.mesh().clients()?);
    site.pause(CALM)?;
    let outcomes = load.stop();
    report.take(site, start, &outcomes);
    report.asked = load.asked();
    report.finish(site);
    Ok(report)
}

/// Where a client would ask: nodes that run and are not frozen.
fn reachable(site: &Site) -> Result<Vec<crate::harness::Client>, LabError> {
    Ok(site.mesh().clients()?)
}
