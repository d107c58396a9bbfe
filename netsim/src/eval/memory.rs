//! What a byte of memory buys: parts on some devices against one whole small model on all.

use serde::Serialize;

use super::contest::{Contest, Rival};
use super::each::each;
use super::setting::Setting;
use crate::picture::chart::{Axis, Chart, Line};

/// Of each device, bytes: from one of the smallest students to four of the larger.
const MEMORIES: [f64; 6] = [0.25e6, 0.5e6, 0.9e6, 1.8e6, 2.7e6, 3.6e6];

/// What a rival's plans take and give, mean over the fleets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bought {
    /// Whose plans.
    pub rival: Rival,
    /// Memory of each device, bytes.
    pub memory_bytes: f64,
    /// Memory taken on all devices together, bytes.
    pub taken_bytes: f64,
    /// With nobody failing, %.
    pub accuracy: f64,
    /// Over failures, no answer counting as wrong, %.
    pub expected_accuracy: f64,
    /// Fleets with a plan.
    pub plans: usize,
}

/// As accurate as each can be with so much memory a device, whatever the latency.
#[expect(clippy::cast_precision_loss, reason = "some fleets")]
pub fn bought(contest: &Contest, setting: &Setting, (fleets, seed, jobs): (usize, u64, usize)) -> Vec<Bought> {
    let rivals = contest.rivals().into_iter().filter(|rival| *rival != Rival::Teacher);
    let each_rival = rivals.flat_map(|rival| MEMORIES.map(|memory| (rival, memory)));
    let of = |(rival, memory_bytes): (Rival, f64)| {
        let set = Setting { memory_bytes: (memory_bytes, memory_bytes), ..setting.clone() };
        let found = each(fleets, jobs, |index| {
            let mut fleet = set.fleet(seed, index);
            // The most accurate plan: its latency is no reason against it.
            fleet.plan.latency_max_s = Some(f64::MAX);
            let entry = contest.enter(rival, &fleet, None)?;
            let students = contest.students(rival)?;
            let taken =
                entry.plan.groups.iter().enumerate().map(|(k, group)| {
                    students.parts[k][group.student].memory_bytes as f64 * group.replicas.len() as f64
                });
            Some((taken.sum::<f64>(), entry.plan.accuracy?, entry.plan.expected_accuracy?))
        });
        let found: Vec<_> = found.into_iter().flatten().collect();
        let mean =
            |value: fn(&(f64, f64, f64)) -> f64| found.iter().map(value).sum::<f64>() / found.len().max(1) as f64;
        Bought {
            rival,
            memory_bytes,
            taken_bytes: mean(|found| found.0),
            accuracy: 100.0 * mean(|found| found.1),
            expected_accuracy: 100.0 * mean(|found| found.2),
            plans: found.len(),
        }
    };
    each_rival.map(of).collect()
}

/// Expected accuracy over the memory that is taken, a line a rival.
pub fn chart(setting: &Setting, all: &[Bought]) -> Chart {
    let mut lines: Vec<Line> = Vec::new();
    for bought in all.iter().filter(|bought| bought.plans > 0) {
        let name = bought.rival.label();
        if lines.last().is_none_or(|line| line.name != name) {
            lines.push(Line { name: name.to_owned(), points: Vec::new() });
        }
        let point = (bought.memory_bytes / 1e6, bought.expected_accuracy);
        lines.last_mut().expect("one was pushed").points.push(point);
    }
    Chart {
        title: "What a byte buys: the most accurate plan".to_owned(),
        subtitle: setting.what.to_owned(),
        x: Axis::log("memory of each device, MB"),
        y: Axis::linear("expected accuracy, %"),
        lines,
        marks: true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::contest;
    use super::*;

    #[test]
    fn more_memory_is_never_less_accurate_and_nobody_takes_more_than_there_is() {
        let all = bought(&contest(), &Setting::PAPER, (2, 1, 2));
        assert!(all.iter().all(|bought| bought.taken_bytes <= 8.0 * bought.memory_bytes));
        let whole: Vec<_> = all.iter().filter(|bought| bought.rival == Rival::Replication).collect();
        assert!(whole.windows(2).all(|pair| pair[0].expected_accuracy <= pair[1].expected_accuracy + 1e-9));
        assert!(whole.last().unwrap().accuracy > whole[0].accuracy);
        assert!(all.iter().all(|bought| bought.rival != Rival::Teacher));
    }
}
