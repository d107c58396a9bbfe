//! Numbers of many trials, and what they may be at most.

use serde::Serialize;
use serde_json::{Value, json};

/// Which number of a series is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// The median.
    P50,
    /// 95 of 100 are not greater.
    P95,
    /// 99 of 100 are not greater.
    P99,
    /// The greatest.
    Max,
}

impl Statistic {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }
}

/// A limit of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// Of which number.
    pub of: Statistic,
    /// It is met up to this.
    pub most: f64,
    /// A quick check on a noisy machine lets pass up to this; `None`: everything.
    pub quick_most: Option<f64>,
}

/// Numbers of many trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Of what.
    pub name: String,
    /// In which unit.
    pub unit: &'static str,
    /// One a trial.
    pub values: Vec<f64>,
    /// Trials in which it did not come about at all. Each is a miss, whatever the limits.
    pub missing: usize,
    /// What has to hold.
    pub limits: Vec<Limit>,
}

impl Series {
    /// Without a limit.
    pub fn new(name: &str, unit: &'static str) -> Self {
        Self { name: name.to_owned(), unit, values: Vec::new(), missing: 0, limits: Vec::new() }
    }

    /// With a limit that a quick check does not look at.
    #[must_use]
    pub fn at_most(mut self, of: Statistic, most: f64) -> Self {
        self.limits.push(Limit { of, most, quick_most: None });
        self
    }

    /// With a limit that a quick check takes three times as large: noise does not reach that far.
    #[must_use]
    pub fn at_most_and_quick(mut self, of: Statistic, most: f64) -> Self {
        self.limits.push(Limit { of, most, quick_most: Some(3.0 * most) });
        self
    }

    /// A trial's number, if there was one.
    pub fn push(&mut self, value: Option<f64>) {
        match value {
            Some(value) => self.values.push(value),
            None => self.missing += 1,
        }
    }

    /// A number of the series; `None` without any.
    pub fn statistic(&self, of: Statistic) -> Option<f64> {
        let share = match of {
            Statistic::P50 => 0.5,
            Statistic::P95 => 0.95,
            Statistic::P99 => 0.99,
            Statistic::Max => 1.0,
        };
        quantile(&self.values, share)
    }

    /// What does not hold, for people.
    pub fn misses(&self, quick: bool) -> Vec<String> {
        let (name, unit) = (&self.name, self.unit);
        let mut misses = Vec::new();
        if self.missing > 0 {
            misses.push(format!("{name}: did not come about in {} of {} trials", self.missing, self.trials()));
        }
        for Limit { of, most, quick_most } in &self.limits {
            let most = if quick { *quick_most } else { Some(*most) };
            let Some((most, value)) = most.zip(self.statistic(*of)) else { continue };
            if value > most {
                misses.push(format!("{name}: {} is {value:.3} {unit}, above {most:.3} {unit}", of.name()));
            }
        }
        misses
    }

    /// How many trials there were.
    pub fn trials(&self) -> usize {
        self.values.len() + self.missing
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit,
            "trials": self.trials(),
            "missing": self.missing,
            "p50": self.statistic(Statistic::P50),
            "p99": self.statistic(Statistic::P99),
            "max": self.statistic(Statistic::Max),
            "limits": self.limits,
            "values": self.values,
        })
    }
}

/// Nearest rank; `None` without values.
pub(in crate::lab) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into what is in memory"
    )]
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let mut series =
            Series::new("noticed", "s").at_most_and_quick(Statistic::Max, 1.5).at_most(Statistic::P50, 0.5);
        values.iter().for_each(|value| series.push(Some(*value)));
        series
    }

    #[test]
    fn a_series_within_its_limits_misses_nothing() {
        assert!(series(&[0.1, 0.5, 1.5]).misses(false).is_empty());
    }

    #[test]
    fn a_quick_check_lets_noise_pass_and_no_more() {
        assert_eq!(series(&[0.1, 0.2, 1.6]).misses(false).len(), 1);
        assert!(series(&[0.9, 0.9, 4.5]).misses(true).is_empty());
        assert_eq!(series(&[0.1, 0.2, 4.6]).misses(true).len(), 1);
    }

    #[test]
    fn what_did_not_come_about_is_a_miss_whatever_the_limits() {
        let mut series = Series::new("noticed", "s");
        series.push(None);
        assert_eq!(series.misses(true).len(), 1);
        assert_eq!(series.trials(), 1);
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(
            (quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)),
            (Some(100.0), Some(198.0), Some(200.0))
        );
        assert_eq!(quantile(&[], 0.5), None);
    }
}
