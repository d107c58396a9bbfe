//! What one plan changes of the one before: how a re-plan travels. A failure moves few members, so that a change costs what it
//! changes, where a whole plan costs 32 bytes a member. Ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{EpochPlan, PlannedGroup};
use crate::bugs::{Bug, Bugs};
use crate::id::{Digest, Epoch, NodeId};

/// From the plan of one epoch to that of a later one, of the same bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanChange {
    /// Of the plan that comes out.
    pub epoch: Epoch,
    /// Of the plan that it is applied to.
    pub base: Epoch,
    /// Whether every constraint of the planner holds for what comes out.
    pub feasible: bool,
    /// One a group, in part order.
    pub groups: Vec<GroupChange>,
    /// Eight bytes of a SHA-256 of what comes out: two clones may have made two plans of one epoch.
    pub check: u64,
}

/// What changes of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// The student, if it is another.
    pub student: Option<Digest>,
    /// Places in the list before that fall away, ascending.
    pub gone: Vec<u32>,
    /// Who stands at which place of the list after, ascending.
    pub came: Vec<(u32, NodeId)>,
}

impl PlanChange {
    /// What makes `new` of `old`; `None` where they are of different bundles, or `new` is shorter than the change would be.
    pub(super) fn between(old: &EpochPlan, new: &EpochPlan) -> Option<Self> {
        if old.bundle != new.bundle || old.groups.len() != new.groups.len() {
            return None;
        }
        let groups: Vec<_> =
            old.groups.iter().zip(&new.groups).map(|(old, new)| GroupChange::between(old, new)).collect();
        let moved: usize = groups.iter().map(|group| group.gone.len() + group.came.len()).sum();
        let named: usize = new.groups.iter().map(|group| group.members.len()).sum();
        let (epoch, base, feasible) = (new.epoch, old.epoch, new.feasible);
        (moved <= named / 2).then(|| Self { epoch, base, feasible, groups, check: new.check() })
    }

    /// The plan that comes out; `None` if this is no change of that plan.
    pub(super) fn apply(&self, base: &EpochPlan, bugs: Bugs) -> Option<EpochPlan> {
        let any = bugs.has(Bug::ChangeAnyPlan);
        if (base.epoch != self.base && !any) || base.groups.len() != self.groups.len() {
            return None;
        }
        let groups = base.groups.iter().zip(&self.groups).map(|(group, change)| change.apply(group));
        let (epoch, bundle, feasible) = (self.epoch, base.bundle, self.feasible);
        let plan = EpochPlan { epoch, bundle, groups: groups.collect::<Option<_>>()?, feasible };
        (plan.check() == self.check || any).then_some(plan)
    }
}

impl GroupChange {
    fn between(old: &PlannedGroup, new: &PlannedGroup) -> Self {
        let student = (old.student != new.student).then_some(new.student);
        let place: BTreeMap<_, _> = old.members.iter().zip(0_u32..).map(|(member, place)| (*member, place)).collect();
        let places: Vec<_> = new.members.iter().map(|member| place.get(member).copied()).collect();
        let kept = longest_ascending(&places);
        let mut stays = kept.iter().filter_map(|at| places[*at]).peekable();
        let gone = (0..).take(old.members.len()).filter(|at| stays.next_if_eq(at).is_none()).collect();
        let mut kept = kept.into_iter().peekable();
        let came = new.members.iter().zip(0_u32..).enumerate();
        let came = came.filter(|(at, _)| kept.next_if_eq(at).is_none()).map(|(_, (member, place))| (place, *member));
        Self { student, gone, came: came.collect() }
    }

    fn apply(&self, group: &PlannedGroup) -> Option<PlannedGroup> {
        let mut gone = self.gone.iter().peekable();
        let mut kept = group.members.iter().zip(0_u32..).filter(|(_, at)| gone.next_if_eq(&at).is_none());
        let mut members = Vec::with_capacity(group.members.len());
        for (place, member) in &self.came {
            let place = usize::try_from(*place).ok()?;
            let before = place.checked_sub(members.len())?;
            members.extend(kept.by_ref().take(before).map(|(member, _)| *member));
            if members.len() != place {
                return None;
            }
            members.push(*member);
        }
        members.extend(kept.map(|(member, _)| *member));
        let student = self.student.unwrap_or(group.student);
        gone.next().is_none().then_some(PlannedGroup { part: group.part, student, members })
    }
}

/// The places of a longest ascending series, what is `None` left out (Schensted).
fn longest_ascending(numbers: &[Option<u32>]) -> Vec<usize> {
    // For each length the place where the best series of it ends, and for each place the one before it in its series.
    let (mut ends, mut before): (Vec<(u32, usize)>, Vec<Option<usize>>) = (Vec::new(), vec![None; numbers.len()]);
    for (at, number) in numbers.iter().enumerate() {
        let Some(number) = *number else { continue };
        let length = ends.partition_point(|(last, _)| *last < number);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter].1);
        if length == ends.len() {
            ends.push((number, at));
        } else {
            ends[length] = (number, at);
        }
    }
    let last = ends.last().map(|(_, at)| *at);
    let mut series: Vec<_> = std::iter::successors(last, |at| before[*at]).collect();
    series.reverse();
    series
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{PartId, Term};

    fn plan(sequence: u64, groups: &[Vec<u8>]) -> EpochPlan {
        let epoch = Epoch { term: Term(1), leader: NodeId([9; 32]), sequence };
        let group = |(k, members): (usize, &Vec<u8>)| PlannedGroup {
            part: PartId(u16::try_from(k).unwrap()),
            student: Digest([u8::try_from(k).unwrap(); 32]),
            members: members.iter().map(|m| NodeId([*m; 32])).collect(),
        };
        let groups = groups.iter().enumerate().map(group).collect();
        EpochPlan { epoch, bundle: Digest([7; 32]), groups, feasible: true }
    }

    fn members() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(|mut members| {
            let mut seen = std::collections::BTreeSet::new();
            members.retain(|member| seen.insert(*member));
            members
        })
    }

    proptest! {
        #[test]
        fn a_change_applied_to_what_it_was_made_from_gives_what_it_was_made_for(
            old in proptest::collection::vec(members(), 3),
            new in proptest::collection::vec(members(), 3),
        ) {
            let (old, new) = (plan(1, &old), plan(2, &new));
            let groups = old.groups.iter().zip(&new.groups).map(|(old, new)| GroupChange::between(old, new)).collect();
            let change = PlanChange { epoch: new.epoch, base: old.epoch, feasible: true, groups, check: new.check() };
            prop_assert_eq!(change.apply(&old, Bugs::default()), Some(new));
        }

        #[test]
        fn nonsense_gives_no_plan_and_no_panic(
            old in members(),
            gone in proptest::collection::vec(any::<u32>(), 0..5),
            came in proptest::collection::vec((any::<u32>(), any::<u8>()), 0..5),
        ) {
            let old = plan(1, &[old]);
            let came = came.into_iter().map(|(at, member)| (at, NodeId([member; 32]))).collect();
            let groups = vec![GroupChange { student: None, gone, came }];
            let change = PlanChange { epoch: old.epoch, base: old.epoch, feasible: true, groups, check: 1 };
            prop_assert_eq!(change.apply(&old, Bugs::default()), None);
        }
    }

    #[test]
    fn who_falls_away_costs_a_place_and_who_comes_a_name() {
        let (old, new) = (plan(1, &[vec![1, 2, 3, 4, 5, 6]]), plan(2, &[vec![1, 3, 7, 4, 5, 6]]));
        let change = PlanChange::between(&old, &new).unwrap();
        assert_eq!(change.groups, [GroupChange { student: None, gone: vec![1], came: vec![(2, NodeId([7; 32]))] }]);
        assert_eq!(change.apply(&old, Bugs::default()).as_ref(), Some(&new));
    }

    #[test]
    fn where_most_is_new_there_is_no_change_to_tell() {
        assert_eq!(PlanChange::between(&plan(1, &[vec![1, 2]]), &plan(2, &[vec![3, 4]])), None);
        let other = EpochPlan { bundle: Digest([8; 32]), ..plan(2, &[vec![1, 2]]) };
        assert_eq!(PlanChange::between(&plan(1, &[vec![1, 2]]), &other), None);
    }

    #[test]
    fn another_plan_of_the_same_epoch_is_not_changed() {
        let (old, new) = (plan(1, &[vec![1, 2, 3, 4]]), plan(2, &[vec![1, 2, 3]]));
        let change = PlanChange::between(&old, &new).unwrap();
        assert_eq!(change.apply(&plan(1, &[vec![5, 2, 3, 4]]), Bugs::default()), None);
        assert_eq!(change.apply(&plan(3, &[vec![1, 2, 3, 4]]), Bugs::default()), None);
    }
}
