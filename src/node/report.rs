//! What a node shows of itself.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::snapshot::{BundleSnapshot, MemberSnapshot, NodeSnapshot, PartSnapshot, PlanningSnapshot};
use crate::bundle::Manifest;
use crate::fleet::Capability;
use crate::id::{Digest, Generation, Incarnation, NodeId, PartId};
use crate::inference::coordinator::Standing;
use crate::membership::{Member, Record, State};

/// The schema of [`NodeSnapshot`].
const SCHEMA: &str = "rocoin.status/1";

impl Node {
    /// This node's view of itself and of the mesh.
    pub fn snapshot(&self) -> NodeSnapshot {
        let me = self.membership.me();
        let serving = self.serving();
        let bundle = serving.map(|(digest, manifest)| BundleSnapshot {
            digest,
            name: manifest.name.clone(),
            version: manifest.version.clone(),
        });
        let parts = serving.map_or_else(Vec::new, |(digest, manifest)| self.parts(digest, manifest));
        let mut members: Vec<MemberSnapshot> = self.membership.members().map(|m| self.member(m)).collect();
        members.push(self.member_of_me());
        members.sort_by_key(|m| m.node);
        let planned: BTreeMap<NodeId, Capability> = self.leadership.plannable().collect();
        members.iter_mut().for_each(|m| m.planned_with = planned.get(&m.node).copied());
        let (options, min_members) = self.leadership.asks();
        NodeSnapshot {
            schema: SCHEMA.to_owned(),
            name: self.record.name.clone(),
            node: self.me,
            generation: me.stamp.start.generation,
            incarnation: me.stamp.incarnation,
            term: self.leadership.term(),
            leader: self.leadership.leader(),
            epoch: self.record.epoch.map(|e| e.to_string()),
            bundle,
            parts_served: parts.iter().filter(|p| !p.ready.is_empty()).count(),
            parts,
            members,
            planning: PlanningSnapshot { min_members, options: options.clone() },
            open_requests: self.coordinator.open_requests(),
            queued_jobs: self.replicas.waiting(),
            draining: self.draining_since.is_some(),
            counters: self.counters(),
        }
    }

    fn parts(&self, bundle: Digest, manifest: &Manifest) -> Vec<PartSnapshot> {
        let plan = self.leadership.plan().filter(|plan| plan.bundle == bundle);
        let groups = |part: PartId| plan.and_then(|plan| plan.groups.iter().find(|g| g.part == part));
        manifest
            .parts
            .iter()
            .map(|part| {
                let group = groups(part.part);
                let planned = group.and_then(|g| manifest.student(g.student)).map(|(_, card)| card);
                let students = part.students.iter().map(|student| student.digest);
                // While it changes its student, a node has two of one part.
                let ready: BTreeSet<_> = students.flat_map(|student| self.routes.ready(student)).collect();
                PartSnapshot {
                    part: part.part,
                    group: group.map(|g| g.members.clone()).unwrap_or_default(),
                    student: planned.map(|card| card.arch.clone()),
                    digest: planned.map(|card| card.digest),
                    ready: ready.into_iter().collect(),
                }
            })
            .collect()
    }

    fn member(&self, member: &Member) -> MemberSnapshot {
        let life = (member.generation(), member.incarnation());
        self.snapshot_of(member.id(), member.record(), life, (member.state(), member.is_routable()))
    }

    fn member_of_me(&self) -> MemberSnapshot {
        let stamp = self.membership.me().stamp;
        self.snapshot_of(self.me, &self.record, (stamp.start.generation, stamp.incarnation), (State::Alive, true))
    }

    fn snapshot_of(
        &self,
        node: NodeId,
        record: &Record,
        (generation, incarnation): (Generation, Incarnation),
        (state, routable): (State, bool),
    ) -> MemberSnapshot {
        let Standing { outvoted, disputed, distrusted } = self.coordinator.standing(node);
        MemberSnapshot {
            node,
            name: record.name.clone(),
            state,
            routable,
            generation,
            incarnation,
            capability: record.capability,
            planned_with: None, // [`Self::snapshot`] asks leadership once for all
            http: record.http_reachable(),
            epoch: record.epoch.map(|e| e.to_string()),
            ready: self.parts_of(&record.ready),
            bundles: record.bundles.clone(),
            outvoted,
            disputed,
            distrusted,
        }
    }

    /// The parts of the served bundle that these students hold.
    fn parts_of(&self, students: &[Digest]) -> Vec<PartId> {
        let Some((_, manifest)) = self.serving() else {
            return Vec::new();
        };
        let mut parts: Vec<_> = students.iter().filter_map(|s| manifest.student(*s)).map(|(part, _)| part).collect();
        parts.sort_unstable();
        parts.dedup();
        parts
    }
}
