//! When to plan, and how members and digests become a planner's devices and back.

use std::collections::BTreeSet;

use super::config::Config;
use super::plan::{EpochPlan, PlannedGroup};
use crate::bugs::Bug;
use crate::bundle::Manifest;
use crate::fleet::{Capability, Device};
use crate::id::{Digest, NodeId, PartId};
use crate::planner::{self, Holding, Plan, PlanError, PlanOptions, Students};
use crate::time::{Duration, Instant};

/// A view that changes all the time does not keep the plan waiting longer than this. Ours.
const SETTLE_MAX: Duration = Duration::from_secs(1);
/// A capability that moved by no more than this share is no reason to plan. Ours: what the planner moves nothing for.
const MATERIAL_SHARE: f64 = 0.1;

/// A member and what it can do.
type Planned = (NodeId, Capability);

/// When to plan next, and with whom.
#[derive(Debug)]
pub(super) struct Schedule {
    settle: Duration,
    members: Vec<Planned>,
    /// When to plan, and no later than when whatever else changes.
    due: Option<(Instant, Instant)>,
    /// Why the last plan failed.
    failure: Option<String>,
}

impl Schedule {
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, members: Vec::new(), due: None, failure: None }
    }

    /// Plans as soon as the members have settled, if they are others than before or can do something else.
    pub(super) fn watch(&mut self, now: Instant, members: impl Iterator<Item = Planned>) {
        let members: Vec<_> = members.collect();
        let same = |(a, b): (&Planned, &Planned)| a.0 == b.0 && !differs(&a.1, &b.1);
        if members.len() == self.members.len() && members.iter().zip(&self.members).all(same) {
            return;
        }
        self.members = members;
        let latest = self.due.map_or(now + SETTLE_MAX, |(_, latest)| latest);
        self.due = Some(((now + self.settle).min(latest), latest));
    }

    /// Plans now, whoever the members are.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.due = Some((now, now));
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due.map(|(due, _)| due)
    }

    /// Whom to plan with; not due again until something changes.
    pub(super) fn take(&mut self) -> &[Planned] {
        self.due = None;
        &self.members
    }

    /// Whether a failure is another than the last, or there was a success in between.
    pub(super) fn is_news(&mut self, outcome: Result<(), &str>) -> bool {
        let failure = outcome.err().map(str::to_owned);
        let news = failure.is_some() && failure != self.failure;
        self.failure = failure;
        news
    }
}

/// Whether a plan made for one may be wrong for the other.
fn differs(a: &Capability, b: &Capability) -> bool {
    let moved = |a: f64, b: f64| (a - b).abs() > MATERIAL_SHARE * a.abs().max(b.abs());
    a.memory_bytes != b.memory_bytes
        || moved(a.flops_per_s, b.flops_per_s)
        || moved(a.link_bits_per_s, b.link_bits_per_s)
        || moved(a.link_delay_s, b.link_delay_s)
        || moved(a.failure_probability, b.failure_probability)
}

/// The plan that a leader makes for these members (`devices` has one for each of `ids`, which are in order), staying close to
/// `incumbent`: the groups of the plan before, if that is of the same bundle. Public for whoever wants to know it beforehand.
///
/// # Errors
/// As of [`Students::from_manifest`] and [`planner::replan`]. A plan that is not feasible is no error.
pub fn plan_for(
    ids: &[NodeId],
    devices: &[Device],
    manifest: &Manifest,
    options: &PlanOptions,
    incumbent: &[PlannedGroup],
) -> Result<Plan, PlanError> {
    let students = Students::from_manifest(manifest)?;
    let held: Vec<_> = ids.iter().map(|id| holdings(*id, manifest, incumbent)).collect();
    Ok(planner::replan(devices, &students, options, &held)?.plan)
}

/// A plan without an epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) groups: Vec<PlannedGroup>,
    pub(super) feasible: bool,
    pub(super) reasons: Vec<String>,
}

impl Draft {
    /// Plans for `members`, staying close to `incumbent`, a plan of the same bundle. The error is for people.
    pub(super) fn make(
        members: &[Planned],
        manifest: &Manifest,
        config: &Config,
        incumbent: Option<&EpochPlan>,
    ) -> Result<Self, String> {
        let device = |(id, capability): &Planned| {
            let mut capability = *capability;
            if config.bugs.has(Bug::IgnoreMemory) {
                capability.memory_bytes = u64::MAX;
            }
            Device { name: id.short(), capability }
        };
        let ids: Vec<_> = members.iter().map(|(id, _)| *id).collect();
        let devices: Vec<_> = members.iter().map(device).collect();
        let incumbent = incumbent.map_or(&[][..], |plan| &plan.groups);
        let plan = plan_for(&ids, &devices, manifest, &config.plan, incumbent).map_err(|e| e.to_string())?;
        let group = |group: &planner::Group| {
            let card = manifest.parts.get(usize::from(group.part.0))?.students.get(group.student)?;
            let members = group.replicas.iter().filter_map(|r| Some(members.get(r.device)?.0)).collect();
            Some(PlannedGroup { part: group.part, student: card.digest, members })
        };
        let groups: Option<Vec<_>> = plan.groups.iter().map(group).collect();
        let groups = groups.ok_or("the plan names a student that the bundle has not")?;
        Ok(Self { groups, feasible: plan.feasible, reasons: plan.reasons })
    }

    /// Whether it differs from a plan at most in the order of a group's members.
    pub(super) fn says_the_same_as(&self, plan: &EpochPlan) -> bool {
        self.feasible == plan.feasible && held(&self.groups) == held(&plan.groups)
    }

    /// How many (member, student) pairs it has that `before` has not.
    pub(super) fn moved_from(&self, before: Option<&EpochPlan>) -> usize {
        let before = before.map(|p| held(&p.groups)).unwrap_or_default();
        held(&self.groups).difference(&before).count()
    }
}

fn held(groups: &[PlannedGroup]) -> BTreeSet<(PartId, Digest, NodeId)> {
    groups.iter().flat_map(|g| g.members.iter().map(|m| (g.part, g.student, *m))).collect()
}

/// What a plan's groups give a member, as the planner names students.
fn holdings(member: NodeId, manifest: &Manifest, groups: &[PlannedGroup]) -> BTreeSet<Holding> {
    let own = groups.iter().filter(|group| group.members.contains(&member));
    own.filter_map(|group| {
        let candidates = &manifest.parts.get(usize::from(group.part.0))?.students;
        let student = candidates.iter().position(|card| card.digest == group.student)?;
        Some(Holding { part: group.part, student })
    })
    .collect()
}
