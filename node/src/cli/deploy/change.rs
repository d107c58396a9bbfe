//! What deploying a bundle would change: the plan that the mesh would make for it, beside the one that holds.
//!
//! It is computed as the leader does, from one node's view: with the members that this node would plan with, what it observed of them, and
//! what it asks of a plan. Where another node leads, that one decides, by what it sees itself. Nothing is sent here.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use rocoin::bundle::{Manifest, StudentCard};
use rocoin::fleet::{Device, Fleet};
use rocoin::id::{Digest, NodeId, PartId};
use rocoin::leadership::{PlannedGroup, plan_for};
use rocoin::node::{MemberSnapshot, NodeSnapshot};
use rocoin::planner::Plan;

use crate::cli::members::Names;

/// What deploying a bundle would change.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// The devices planned with, under names that tell them apart, and what is asked of the plan.
    pub(super) fleet: Fleet,
    /// The plan that the mesh would make.
    pub(super) plan: Plan,
    /// What each device would have to do, in order of ids; only those that would do anything.
    pub(super) devices: Vec<DeviceChange<'a>>,
    /// Whether the bundle is what is served already.
    pub(super) is_deployed: bool,
}

/// What one device would have to do.
#[derive(Debug, PartialEq)]
pub(super) struct DeviceChange<'a> {
    pub(super) node: NodeId,
    pub(super) name: String,
    /// Students to load that it has not by the plan that holds.
    pub(super) loads: Vec<Load<'a>>,
    /// Students by the plan that holds, to be freed once the new plan is ready: part and architecture.
    pub(super) unloads: Vec<(PartId, String)>,
}

/// A student to be loaded.
#[derive(Debug, PartialEq)]
pub(super) struct Load<'a> {
    pub(super) part: PartId,
    pub(super) card: &'a StudentCard,
    /// Whether it has to come over the network first.
    pub(super) is_fetched: bool,
}

impl DeviceChange<'_> {
    /// How much would come over the network.
    pub(super) fn fetched_bytes(&self) -> u64 {
        self.loads.iter().filter(|load| load.is_fetched).map(|load| load.card.bytes).sum()
    }
}

impl<'a> Change<'a> {
    /// From a node's view, for a bundle.
    ///
    /// # Errors
    /// If the mesh would not plan: too few members, or a bundle that cannot be planned with.
    pub(super) fn of(snapshot: &NodeSnapshot, digest: Digest, manifest: &'a Manifest) -> anyhow::Result<Self> {
        let planned_with = snapshot.members.iter().filter_map(|m| Some((m.node, m.planned_with?)));
        let (ids, devices): (Vec<_>, Vec<_>) = planned_with
            .map(|(id, capability)| (id, Device { name: Names(&snapshot.members).of(id), capability }))
            .unzip();
        let (count, min) = (ids.len(), snapshot.planning.min_members);
        if count < min {
            bail!(
                "the mesh would not plan: {count} members are alive, and with fewer than {min} (--min-members of the nodes) \
                 nothing is planned; start more nodes"
            );
        }
        let is_deployed = snapshot.bundle.as_ref().is_some_and(|bundle| bundle.digest == digest);
        let incumbent = if is_deployed { groups(snapshot) } else { Vec::new() };
        let plan = plan_for(&ids, &devices, manifest, &snapshot.planning.options, &incumbent)
            .context("the mesh could not plan with this bundle")?;
        let devices_change =
            snapshot.members.iter().map(|member| DeviceChange::of(snapshot, member, (&ids, &plan), (digest, manifest)));
        let devices_change = devices_change.filter(|change| !change.loads.is_empty() || !change.unloads.is_empty());
        Ok(Self {
            devices: devices_change.collect(),
            fleet: Fleet { devices, plan: snapshot.planning.options.clone() },
            plan,
            is_deployed,
        })
    }
}

impl<'a> DeviceChange<'a> {
    fn of(
        snapshot: &NodeSnapshot,
        member: &MemberSnapshot,
        (ids, plan): (&[NodeId], &Plan),
        (digest, manifest): (Digest, &'a Manifest),
    ) -> Self {
        let holds_now: Vec<_> = snapshot.parts.iter().filter(|part| part.group.contains(&member.node)).collect();
        let held: BTreeSet<Digest> = holds_now.iter().filter_map(|part| part.digest).collect();
        let is_mine = |replica: &rocoin::planner::Replica| ids[replica.device] == member.node;
        let planned: Vec<_> = plan
            .groups
            .iter()
            .filter(|group| group.replicas.iter().any(is_mine))
            .filter_map(|group| Some((group.part, manifest.parts.get(usize::from(group.part.0))?, group.student)))
            .filter_map(|(part, of_bundle, student)| Some((part, of_bundle.students.get(student)?)))
            .collect();
        // The node that is asked would be given all of the bundle by `rocoin deploy` itself.
        let has_all = member.node == snapshot.node || member.bundles.iter().any(|h| h.bundle == digest && h.whole);
        let loads = planned.iter().filter(|(_, card)| !held.contains(&card.digest));
        let is_kept =
            |student: &Option<Digest>| planned.iter().any(|(_, card)| student.is_some_and(|s| s == card.digest));
        let unloads = holds_now.iter().filter(|part| !is_kept(&part.digest));
        Self {
            node: member.node,
            name: Names(&snapshot.members).of(member.node),
            loads: loads.map(|(part, card)| Load { part: *part, card, is_fetched: !has_all }).collect(),
            unloads: unloads.map(|part| (part.part, part.student.clone().unwrap_or_default())).collect(),
        }
    }
}

/// The groups of the plan that holds.
fn groups(snapshot: &NodeSnapshot) -> Vec<PlannedGroup> {
    let parts = snapshot.parts.iter();
    parts
        .filter_map(|part| Some(PlannedGroup { part: part.part, student: part.digest?, members: part.group.clone() }))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use rocoin::membership::Holding;
    use rocoin::node::{BundleSnapshot, PartSnapshot};

    use super::*;
    use crate::cli::fixture::{id, view};

    pub(in crate::cli::deploy) const BUNDLE: Digest = Digest([7; 32]);
    const OTHER: Digest = Digest([8; 32]);

    pub(in crate::cli::deploy) fn manifest() -> Manifest {
        Manifest::parse(include_bytes!("../../../../models/bundles/fashion-mnist/manifest.json")).unwrap()
    }

    /// The members of [`view`], with the bundle served by a plan.
    pub(in crate::cli::deploy) fn serving(bundle: Digest, manifest: &Manifest, change: &Change<'_>) -> NodeSnapshot {
        let mut view = view();
        view.bundle = Some(BundleSnapshot { digest: bundle, name: "m".to_owned(), version: "1".to_owned() });
        let ids: Vec<_> = (1..=4).map(id).collect();
        let part = |group: &rocoin::planner::Group| PartSnapshot {
            part: group.part,
            group: group.replicas.iter().map(|replica| ids[replica.device]).collect(),
            student: Some(group.arch.clone()),
            digest: Some(manifest.parts[usize::from(group.part.0)].students[group.student].digest),
            ready: Vec::new(),
        };
        view.parts = change.plan.groups.iter().map(part).collect();
        view
    }

    #[test]
    fn where_nothing_is_served_each_device_fetches_what_it_is_to_hold_but_the_one_that_is_given_the_bundle() {
        let manifest = manifest();
        let mut view = view();
        view.members[1].bundles.push(Holding { bundle: BUNDLE, whole: true });
        view.members[2].bundles.push(Holding { bundle: BUNDLE, whole: false });
        let change = Change::of(&view, BUNDLE, &manifest).unwrap();
        assert!(change.plan.feasible && !change.is_deployed, "{:?}", change.plan.reasons);
        assert_eq!(change.fleet.devices.len(), 4, "the one that is down is not planned with");
        assert_eq!(change.plan.groups.len(), 4);
        let replicas: usize = change.plan.groups.iter().map(|group| group.replicas.len()).sum();
        assert_eq!(change.devices.iter().map(|device| device.loads.len()).sum::<usize>(), replicas);
        for device in &change.devices {
            let bytes: u64 = device.loads.iter().map(|load| load.card.bytes).sum();
            let has_it = device.node == id(1) || device.node == id(2);
            assert_eq!(device.fetched_bytes(), if has_it { 0 } else { bytes }, "{device:?}");
            assert!(device.unloads.is_empty() && device.node != id(5));
        }
    }

    #[test]
    fn a_bundle_that_is_served_already_moves_nothing() {
        let manifest = manifest();
        let first = Change::of(&view(), BUNDLE, &manifest).unwrap();
        let view = serving(BUNDLE, &manifest, &first);
        let again = Change::of(&view, BUNDLE, &manifest).unwrap();
        assert!(again.is_deployed);
        assert_eq!(again.devices, []);
        assert_eq!(again.plan.groups, first.plan.groups);
    }

    #[test]
    fn what_another_bundle_had_loaded_is_unloaded_and_a_student_of_both_is_kept() {
        let manifest = manifest();
        let first = Change::of(&view(), OTHER, &manifest).unwrap();
        let mut view = serving(OTHER, &manifest, &first);
        let kept = Change::of(&view, BUNDLE, &manifest).unwrap();
        assert!(!kept.is_deployed);
        assert_eq!(kept.devices, [], "the same students by another name");
        for part in &mut view.parts {
            part.digest = Some(Digest([part.part.0.to_le_bytes()[0]; 32]));
        }
        let change = Change::of(&view, BUNDLE, &manifest).unwrap();
        for device in &change.devices {
            let before = view.parts.iter().filter(|part| part.group.contains(&device.node)).map(|part| part.part);
            assert_eq!(device.unloads.iter().map(|(part, _)| *part).collect::<Vec<_>>(), before.collect::<Vec<_>>());
            assert!(device.unloads.iter().all(|(_, arch)| arch.starts_with("wrn-")));
        }
        assert!(change.devices.iter().any(|device| !device.unloads.is_empty()));
    }

    #[test]
    fn with_fewer_members_than_the_mesh_plans_with_it_says_so() {
        let mut view = view();
        view.planning.min_members = 5;
        let manifest = manifest();
        let error = Change::of(&view, BUNDLE, &manifest).unwrap_err().to_string();
        assert!(error.contains("4 members are alive") && error.contains("--min-members"), "{error}");
    }
}
