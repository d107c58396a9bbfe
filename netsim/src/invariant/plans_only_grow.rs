//! No node adopts a plan that is not greater than its own.

use std::collections::BTreeMap;

use rocoin::id::{Epoch, NodeId};

use super::Invariant;
use crate::fact::{Entry, Fact, HostId};
use crate::physics::Physics;

/// No node adopts a plan that is not greater than its own.
#[derive(Debug, Default)]
pub(super) struct PlansOnlyGrow {
    adopted: BTreeMap<(HostId, NodeId), Epoch>,
}

impl Invariant for PlansOnlyGrow {
    fn name(&self) -> &'static str {
        "plans-only-grow"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let Fact::Adopted { host, node, kept, plan, .. } = &entry.fact else { return Ok(()) };
        let before = self.adopted.insert((*host, *node), plan.epoch);
        let grows = before.is_none_or(|before| plan.epoch > before || (*kept && plan.epoch == before));
        if grows || physics.was_cloned(*node) {
            return Ok(());
        }
        Err(format!("{host} adopts {}, which is not greater than its own {before:?}", plan.epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn a_greater_plan_passes_and_one_that_is_not_is_a_violation() {
        let at = |term, sequence| adopted(0, plan(epoch(term, 0, sequence), digest(1), Vec::new()));
        let rising = vec![(1.0, at(1, 1)), (2.0, at(1, 2)), (3.0, at(2, 1))];
        assert_eq!(judge(&mut PlansOnlyGrow::default(), rising), Ok(()));
        for bad in [at(1, 1), at(1, 2)] {
            let facts = vec![(1.0, at(1, 2)), (2.0, bad)];
            assert!(judge(&mut PlansOnlyGrow::default(), facts).unwrap_err().contains("not greater"));
        }
    }
}
