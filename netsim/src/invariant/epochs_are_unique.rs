//! No two plans share an epoch.

use std::collections::BTreeMap;

use rocoin::id::Epoch;
use rocoin::leadership::EpochPlan;

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// No two plans share an epoch.
#[derive(Debug, Default)]
pub(super) struct EpochsAreUnique {
    plans: BTreeMap<Epoch, EpochPlan>,
}

impl Invariant for EpochsAreUnique {
    fn name(&self) -> &'static str {
        "epochs-are-unique"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let Fact::Adopted { host, plan, .. } = &entry.fact else { return Ok(()) };
        if physics.was_cloned(plan.epoch.leader) {
            return Ok(());
        }
        let known = self.plans.entry(plan.epoch).or_insert_with(|| (**plan).clone());
        if *known == **plan {
            return Ok(());
        }
        Err(format!("{host} adopts another plan of epoch {} than others: {:?}, not {:?}", plan.epoch, plan, known))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn the_same_plan_may_be_adopted_by_many_but_another_of_its_epoch_by_none() {
        let one = || plan(epoch(1, 0, 1), digest(1), vec![(digest(2), vec![node(0)])]);
        let other = plan(epoch(1, 0, 1), digest(1), vec![(digest(2), vec![node(1)])]);
        let same = vec![(1.0, adopted(0, one())), (2.0, adopted(1, one()))];
        assert_eq!(judge(&mut EpochsAreUnique::default(), same), Ok(()));
        let differ = vec![(1.0, adopted(0, one())), (2.0, adopted(1, other))];
        assert!(judge(&mut EpochsAreUnique::default(), differ).unwrap_err().contains("another plan"));
    }
}
