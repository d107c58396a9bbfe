//! `rocoin sim meta`: the same seed twice is the same run, to the byte.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use rocoin::id::Digest;
use rocoin_netsim::caught::NO_PANIC;
use rocoin_netsim::history::{self, Fingerprint};

use super::seeds::Seeds;
use super::world::Worlds;
use crate::cli::text::print;

/// Runs every seed twice.
pub(super) fn run(worlds: &Worlds, seeds: Seeds, jobs: NonZeroUsize) -> anyhow::Result<ExitCode> {
    let (mut different, mut panicked) = (Vec::new(), Vec::new());
    let twice = |seed| (fingerprint(worlds, seed), fingerprint(worlds, seed));
    seeds.each(jobs, twice, |seed, ((first, panic), (second, _))| {
        if first != second {
            different.push((seed, first, second));
        }
        panicked.extend(panic.map(|panic| (seed, panic)));
    });
    let mut text = String::new();
    for (seed, panic) in &panicked {
        _ = writeln!(text, "seed {seed}: {panic}");
    }
    for (seed, first, second) in &different {
        _ = writeln!(text, "seed {seed}: two runs differ: {first} and {second}");
        if let Some((line, a, b)) = first_difference(worlds, *seed) {
            _ = writeln!(text, "  first at line {line}:\n  {a}\n  {b}");
        }
    }
    let count = seeds.count();
    if !panicked.is_empty() {
        _ = writeln!(text, "{} of {count} seeds panicked: their histories end there.", panicked.len());
    }
    if different.is_empty() {
        _ = writeln!(text, "{count} seeds, each run twice: every history is the same to the byte.");
    } else {
        _ = writeln!(text, "{} of {count} seeds gave two different histories.", different.len());
    }
    print(&text)?;
    Ok(super::exit(different.is_empty() && panicked.is_empty()))
}

/// Of a run's history; and what it panicked with, if it did.
fn fingerprint(worlds: &Worlds, seed: u64) -> (Digest, Option<String>) {
    let mut fingerprint = Fingerprint::default();
    let report = super::play(worlds, seed, &mut |entry| fingerprint.add(&history::line(entry)));
    let panic = report.violation.filter(|violation| violation.invariant == NO_PANIC);
    (fingerprint.finish(), panic.map(|violation| violation.evidence))
}

/// The number of the first line in which two more runs differ, and both lines.
fn first_difference(worlds: &Worlds, seed: u64) -> Option<(usize, String, String)> {
    let lines = || {
        let mut lines = Vec::new();
        super::play(worlds, seed, &mut |entry| lines.push(history::line(entry)));
        lines
    };
    let (first, second) = (lines(), lines());
    let index = (0..first.len().max(second.len())).find(|i| first.get(*i) != second.get(*i))?;
    let line = |lines: &[String]| lines.get(index).map_or("(the end)".to_owned(), |line| line.trim_end().to_owned());
    Some((index + 1, line(&first), line(&second)))
}
