//! Devices lost one after another: what is left of the accuracy, before and after planning anew.

use rocoin::fleet::Fleet;
use rocoin::planner::replan;
use serde::Serialize;

use super::contest::{Contest, Entry, Rival};
use super::each::each;
use super::setting::Setting;
use super::standing::survivors;
use crate::picture::chart::{Axis, Chart, Line};

/// Planning anew for every set of survivors takes time: on the first fleets only.
const ANEW_FLEETS: usize = 8;

/// What the loss of any one device costs a rival, at once, before anybody plans anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OneLost {
    /// Whose plans.
    pub rival: Rival,
    /// Plans times devices.
    pub cases: usize,
    /// Cases in which the accuracy did not fall.
    pub unharmed: usize,
    /// Mean fall, points.
    pub mean_points: f64,
    /// Greatest fall, points.
    pub worst_points: f64,
}

/// Each rival with a plan, over `fleets` fleets.
#[expect(clippy::cast_precision_loss, reason = "some fleets")]
pub fn one_lost(contest: &Contest, setting: &Setting, (fleets, seed, jobs): (usize, u64, usize)) -> Vec<OneLost> {
    let devices = u32::try_from(setting.devices).unwrap_or(u32::MAX);
    let of = |rival: Rival| {
        let falls = each(fleets, jobs, |index| {
            let Some(Entry { standing, .. }) = contest.enter(rival, &setting.fleet(seed, index), None) else {
                return Vec::new();
            };
            let whole = standing.accuracy(u64::MAX);
            survivors(devices, 1).map(|alive| 100.0 * (whole - standing.accuracy(alive))).collect()
        });
        let falls: Vec<f64> = falls.into_iter().flatten().collect();
        OneLost {
            rival,
            cases: falls.len(),
            unharmed: falls.iter().filter(|fall| **fall <= 1e-9).count(),
            mean_points: falls.iter().sum::<f64>() / falls.len().max(1) as f64,
            worst_points: falls.iter().copied().fold(0.0, f64::max),
        }
    };
    contest.rivals().into_iter().map(of).collect()
}

/// Mean accuracy over all ways in which so many devices fail, a line a rival; and ours after planning anew for those left.
#[expect(clippy::cast_precision_loss, reason = "some fleets")]
pub fn chart(contest: &Contest, setting: &Setting, (fleets, seed, jobs): (usize, u64, usize)) -> Chart {
    let devices = u32::try_from(setting.devices).unwrap_or(u32::MAX);
    let mean = |found: Vec<f64>| 100.0 * found.iter().sum::<f64>() / found.len().max(1) as f64;
    let at_once = |rival: Rival| {
        let by_fleet = each(fleets, jobs, |index| {
            let entry = contest.enter(rival, &setting.fleet(seed, index), None);
            let after = |failed| entry.as_ref().map_or(0.0, |entry| entry.standing.after_failures(devices, failed).0);
            (0..=devices).map(after).collect::<Vec<f64>>()
        });
        let point = |failed: u32| (f64::from(failed), mean(by_fleet.iter().map(|row| row[failed as usize]).collect()));
        Line { name: rival.label().to_owned(), points: (0..=devices).map(point).collect() }
    };
    let mut lines: Vec<Line> = contest.rivals().into_iter().map(at_once).collect();
    let anew = each(fleets.min(ANEW_FLEETS), jobs, |index| {
        let fleet = setting.fleet(seed, index);
        (0..=devices).map(|failed| planned_anew(contest, &fleet, devices, failed)).collect::<Vec<f64>>()
    });
    let point = |failed: u32| (f64::from(failed), mean(anew.iter().map(|row| row[failed as usize]).collect()));
    lines.push(Line { name: "ours, planned anew".to_owned(), points: (0..=devices).map(point).collect() });
    Chart {
        title: "Accuracy left when devices fail".to_owned(),
        subtitle: setting.what.to_owned(),
        x: Axis::linear("devices that failed"),
        y: Axis::linear("%, mean over fleets and ways to fail"),
        lines,
        marks: true,
    }
}

/// Mean accuracy of what a running mesh makes of our plan with those left: what they hold stays, and where there is no room for every part,
/// it serves those it can.
#[expect(clippy::cast_precision_loss, reason = "a few sets")]
fn planned_anew(contest: &Contest, fleet: &Fleet, devices: u32, failed: u32) -> f64 {
    let Some(entry) = contest.enter(Rival::Ours, fleet, None) else { return 0.0 };
    let held = entry.plan.holdings(fleet.devices.len());
    let found: Vec<f64> = survivors(devices, failed)
        .map(|alive| {
            let left = fleet.devices.iter().zip(&held).enumerate().filter(|(n, _)| alive >> n & 1 == 1);
            let (devices, held): (Vec<_>, Vec<_>) =
                left.map(|(_, (device, held))| (device.clone(), held.clone())).unzip();
            let anew = replan(&devices, &contest.ours, &fleet.plan, &held).ok();
            anew.and_then(|anew| anew.plan.accuracy).unwrap_or(0.0)
        })
        .collect();
    found.iter().sum::<f64>() / found.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::fixture::contest;
    use super::*;

    #[test]
    fn what_is_held_twice_survives_the_loss_of_any_device_and_what_is_held_once_does_not() {
        let setting = Setting { memory_bytes: (1e6, 1e6), ..Setting::PAPER };
        let lost = one_lost(&contest(), &setting, (4, 1, 2));
        let of = |rival| *lost.iter().find(|lost| lost.rival == rival).unwrap();
        assert_eq!((of(Rival::Replication).cases, of(Rival::Replication).unharmed), (32, 32));
        assert_eq!(of(Rival::Nonn).unharmed, 16);
        assert!(of(Rival::Nonn).worst_points > 1.0);
    }

    #[test]
    fn planning_anew_never_leaves_less() {
        let setting = Setting { devices: 4, ..Setting::PAPER };
        let chart = chart(&contest(), &setting, (2, 1, 2));
        let of = |name: &str| &chart.lines.iter().find(|line| line.name == name).unwrap().points;
        for ((failed, at_once), (_, anew)) in of("ours").iter().zip(of("ours, planned anew")) {
            assert!(anew >= at_once, "{failed} devices: {anew} after {at_once}");
        }
        assert_eq!(of("ours")[4].1, 0.0);
    }
}
