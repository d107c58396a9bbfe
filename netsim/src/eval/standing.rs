//! What is left of a plan when devices fail, exactly: no re-planning, the first answers count.

use rocoin::planner::{AccuracyTable, Plan};

/// The most devices whose failures are gone through one by one.
pub const DEVICES_MAX: u32 = 16;

/// Devices, a bit each.
pub type DeviceSet = u64;

/// Who holds which part, and what the parts that are left are worth.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    table: &'a AccuracyTable,
    chosen: Vec<usize>,
    /// A set a part.
    holders: Vec<DeviceSet>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(plan: &Plan, table: &'a AccuracyTable) -> Self {
        let holders = plan.groups.iter().map(|group| {
            group
                .replicas
                .iter()
                .filter(|replica| replica.device < 64)
                .fold(0, |set, replica| set | 1 << replica.device)
        });
        Self { table, chosen: plan.groups.iter().map(|group| group.student).collect(), holders: holders.collect() }
    }

    /// Accuracy with these devices left; 0 where no part is.
    pub fn accuracy(&self, alive: DeviceSet) -> f64 {
        let here = |(k, holders): (usize, &DeviceSet)| usize::from(holders & alive != 0) << k;
        self.table.of_present(&self.chosen, self.holders.iter().enumerate().map(here).sum())
    }

    /// Mean and least accuracy over all ways in which `failed` of `devices` devices fail.
    ///
    /// # Panics
    /// If there are more than [`DEVICES_MAX`] devices.
    pub fn after_failures(&self, devices: u32, failed: u32) -> (f64, f64) {
        let found: Vec<f64> = survivors(devices, failed).map(|alive| self.accuracy(alive)).collect();
        #[expect(clippy::cast_precision_loss, reason = "at most 2^16 sets")]
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        (mean, found.into_iter().fold(f64::INFINITY, f64::min))
    }
}

/// All sets of devices that are left when `failed` of `devices` fail.
pub(super) fn survivors(devices: u32, failed: u32) -> impl Iterator<Item = DeviceSet> {
    assert!(devices <= DEVICES_MAX, "{devices} devices have too many sets");
    (0..1_u64 << devices).filter(move |alive| alive.count_ones() + failed == devices)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::contest;
    use super::super::{Rival, Setting};
    use super::*;

    #[test]
    fn devices_fail_in_as_many_ways_as_there_are_to_choose_them() {
        let counts: Vec<usize> = (0..=4).map(|failed| survivors(4, failed).count()).collect();
        assert_eq!(counts, [1, 4, 6, 4, 1]);
    }

    #[test]
    fn a_part_is_there_while_one_of_its_devices_is() {
        let (contest, fleet) = (contest(), Setting::PAPER.fleet(1, 0));
        let entry = contest.enter(Rival::Nonn, &fleet, None).unwrap();
        let standing = &entry.standing;
        let whole = standing.accuracy(u64::MAX);
        let first = entry.plan.groups[0].replicas[0].device;
        assert!((whole - entry.plan.accuracy.unwrap()).abs() < 1e-12);
        assert!(standing.accuracy(!(1 << first)) < whole);
        assert_eq!(standing.accuracy(0), 0.0);
        assert_eq!(standing.after_failures(8, 0), (whole, whole));
        let (mean, worst) = standing.after_failures(8, 1);
        assert!(worst < mean && mean < whole);
    }
}
