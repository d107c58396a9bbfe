//! What part dropout gains: the same students under a head that has seen parts missing, and under one that has not.

use rocoin::planner::Students;
use serde::Serialize;

/// Accuracy with some parts missing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Missing {
    /// How many parts.
    pub missing: u32,
    /// Mean over the sets of parts, %.
    pub mean: f64,
    /// The worst set of parts, %.
    pub worst: f64,
}

/// Of the largest students, for 0 to K − 1 missing parts. Empty without accuracies.
#[expect(clippy::cast_precision_loss, reason = "a few sets")]
pub fn missing(students: &Students) -> Vec<Missing> {
    let Some(table) = &students.accuracy else { return Vec::new() };
    let largest = |candidates: &Vec<rocoin::planner::Student>| {
        (0..candidates.len()).max_by_key(|&s| candidates[s].flops).unwrap_or_default()
    };
    let chosen: Vec<usize> = students.parts.iter().map(largest).collect();
    let parts = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    let of = |missing: u32| {
        let sets = (1..1_usize << parts).filter(|set| set.count_ones() + missing == parts);
        let found: Vec<f64> = sets.map(|set| 100.0 * table.of_present(&chosen, set)).collect();
        Missing {
            missing,
            mean: found.iter().sum::<f64>() / found.len() as f64,
            worst: found.iter().copied().fold(f64::INFINITY, f64::min),
        }
    };
    (0..parts).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::contest;
    use super::*;

    #[test]
    fn each_missing_part_costs_what_the_table_says() {
        let missing = missing(&contest().ours);
        let worst: Vec<_> = missing.iter().map(|missing| (missing.missing, (missing.worst * 10.0).round())).collect();
        assert_eq!(worst, [(0, 930.0), (1, 927.0), (2, 924.0), (3, 921.0)]);
        assert!(missing.iter().all(|missing| (missing.mean - missing.worst).abs() < 1e-9));
    }
}
