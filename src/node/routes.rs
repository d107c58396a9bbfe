//! Who can answer for each part now.
//!
//! A partial answer depends only on (student, input), so every reachable member with a loaded student of the part
//! counts, whatever its epoch: a re-plan or a healed partition never takes a ready replica away. All parts of one answer
//! come from one bundle; while a new bundle is being loaded, the old one answers, and whichever is still loaded if the new one loses
//! its replicas.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::bugs::{Bug, Bugs};
use crate::bundle::{Manifest, StudentCard};
use crate::fleet::Capability;
use crate::id::{Digest, Epoch, NodeId};
use crate::inference::{Route, Routing};
use crate::membership::Record;
use crate::time::Duration;

/// Replicas of one student that a request may be sent to. Beyond it each node takes those that follow it in order of ids, so that
/// the load is spread; when one of them goes the next takes its place. Ours.
const ROUTES_MAX: usize = 32;

/// Who has what loaded, and the routing last told to the coordinator.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// The records of the reachable members that have anything loaded.
    loaded: OrdMap<NodeId, Arc<Record>>,
    /// Who has a student loaded.
    ready: BTreeMap<Digest, OrdSet<NodeId>>,
    /// What the last routing was made of, and whether anything of that has changed.
    made_of: Option<(Option<Digest>, Option<Epoch>, usize)>,
    routing: Option<Routing>,
    bugs: Bugs,
}

impl Routes {
    pub(super) fn new(bugs: Bugs) -> Self {
        Self { bugs, ..Self::default() }
    }

    /// Takes over what another node knows of the members, shared until either side changes it.
    pub(super) fn know_as(&mut self, other: &Self) {
        (self.loaded, self.ready) = (other.loaded.clone(), other.ready.clone());
        self.made_of = None;
    }

    /// The bundle that answers.
    pub(super) fn bundle(&self) -> Option<Digest> {
        self.routing.as_ref().map(|routing| routing.bundle)
    }

    /// Per part, whom requests are sent to.
    pub(super) fn parts(&self) -> &[Vec<Route>] {
        self.routing.as_ref().map_or(&[], |routing| &routing.parts)
    }

    /// All who have a student loaded and can be reached.
    pub(super) fn ready(&self, student: Digest) -> impl Iterator<Item = NodeId> {
        self.ready.get(&student).into_iter().flatten().copied()
    }

    /// What a member that can be reached has loaded.
    pub(super) fn loaded(&self, member: NodeId) -> &[Digest] {
        self.loaded.get(&member).map_or(&[], |record| &record.ready)
    }

    /// What a member tells of itself; nothing if it cannot be reached.
    pub(super) fn set(&mut self, member: NodeId, record: Option<&Arc<Record>>) {
        let loaded = record.map_or(&[][..], |record| &record.ready);
        if self.loaded(member) == loaded {
            return;
        }
        self.made_of = None;
        let before = self.loaded.remove(&member);
        for student in before.iter().flat_map(|record| &record.ready) {
            if let Some(ready) = self.ready.get_mut(student) {
                ready.remove(&member);
                if ready.is_empty() {
                    self.ready.remove(student);
                }
            }
        }
        for student in loaded {
            self.ready.entry(*student).or_default().insert(member);
        }
        if let Some(record) = record.filter(|record| !record.ready.is_empty()) {
            self.loaded.insert(member, Arc::clone(record));
        }
    }

    /// The new routing of the node `me`, if it differs from the last one.
    pub(super) fn update(
        &mut self,
        me: NodeId,
        manifests: &BTreeMap<Digest, Arc<Manifest>>,
        planned: Option<Digest>,
        epoch: Option<Epoch>,
    ) -> Option<Routing> {
        let made_of = (planned, epoch, manifests.len());
        if self.made_of.replace(made_of) == Some(made_of) {
            return None;
        }
        // Of those that serve most: the planned one, else the one that answered until now, else whatever is still loaded.
        let place = |bundle: &Digest| (Some(*bundle) == planned, Some(*bundle) == self.bundle());
        let is_looked_at =
            |bundle: &Digest| !self.bugs.has(Bug::ForgetThirdBundle) || place(bundle).0 || place(bundle).1;
        let candidates = manifests.iter().filter(|(bundle, _)| is_looked_at(bundle));
        let candidates = candidates.map(|(bundle, manifest)| self.routing(me, *bundle, manifest, epoch));
        let best = candidates.max_by_key(|routing| (served(routing), place(&routing.bundle)));
        let next =
            best.filter(|next| served(next) > 0 || planned == Some(next.bundle) || self.bundle() == Some(next.bundle))?;
        let told = self.routing.as_ref();
        if told == Some(&next) {
            return None;
        }
        if self.bugs.has(Bug::StaleRouting) && told.is_some_and(|told| told.epoch == next.epoch) {
            return None;
        }
        self.routing = Some(next.clone());
        Some(next)
    }

    fn routing(&self, me: NodeId, bundle: Digest, manifest: &Manifest, epoch: Option<Epoch>) -> Routing {
        let input_elements = manifest.input.elements();
        let (bytes_in, bytes_out) = (floats(input_elements), floats(manifest.classes));
        let routes = |card: &StudentCard| {
            let routed = self.routes(me, card.digest);
            let run_s = |c: &Capability| card.flops as f64 / c.flops_per_s;
            let way_s = |c: &Capability| c.transfer_s(bytes_in) + c.transfer_s(bytes_out) + 2.0 * c.link_delay_s;
            routed
                .map(|(replica, student)| {
                    let record = self.loaded.get(&replica).map(|record| record.capability);
                    let answer_s = record.map(|c| run_s(&c) + if replica == me { 0.0 } else { way_s(&c) });
                    Route { replica, student, expected: span(answer_s.unwrap_or_default()) }
                })
                .collect::<Vec<_>>()
        };
        let parts = manifest.parts.iter().map(|part| part.students.iter().flat_map(routes).collect()).collect();
        Routing { bundle, epoch, input_elements, bias: manifest.merge.bias.clone(), parts }
    }

    /// This node first, then those after it.
    fn routes(&self, me: NodeId, student: Digest) -> impl Iterator<Item = (NodeId, Digest)> {
        let ready = self.ready.get(&student).into_iter();
        let ring = ready.flat_map(move |ready| ready.range(me..).chain(ready.range(..me)));
        ring.take(ROUTES_MAX).map(move |replica| (*replica, student))
    }
}

/// Bytes of so many numbers.
fn floats(count: usize) -> u64 {
    (count as u64).saturating_mul(size_of::<f32>() as u64)
}

/// Seconds as a time; what a device says of itself may be nonsense.
fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 { Duration::MAX } else { Duration::ZERO })
}

/// The share of a bundle's parts that have a replica, in parts per million, so that it can be ordered.
fn served(routing: &Routing) -> usize {
    let served = routing.parts.iter().filter(|routes| !routes.is_empty()).count();
    served * 1_000_000 / routing.parts.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::tests::cluster::{id, record};

    #[test]
    fn of_many_replicas_each_node_takes_some_and_the_next_when_one_goes() {
        let student = Digest([7; 32]);
        let holder = Arc::new(Record { ready: vec![student], ..record(0) });
        let mut routes = Routes::default();
        (0..100).for_each(|n| routes.set(id(n), Some(&holder)));
        let taken =
            |routes: &Routes, me| routes.routes(id(me), student).map(|(replica, _)| replica).collect::<Vec<_>>();
        let before = taken(&routes, 3);
        assert_eq!((before.len(), before[0]), (ROUTES_MAX, id(3)));
        assert_ne!(before, taken(&routes, 4));
        routes.set(before[1], None);
        let after = taken(&routes, 3);
        assert_eq!((after.len(), after[1]), (ROUTES_MAX, before[2]));
        assert_eq!(routes.ready(student).count(), 99);
    }

    #[test]
    fn when_the_planned_bundle_loses_its_replicas_whatever_is_still_loaded_answers() {
        use crate::leadership::tests::fixture::bundle;
        let (old, new) = (bundle(2, 10, 1), bundle(2, 10, 2));
        let manifests = [&old, &new].map(|b| (b.digest, Arc::clone(&b.manifest))).into();
        let ready =
            |bundle: &crate::leadership::tests::fixture::Bundle| Record { ready: bundle.students(), ..record(0) };
        let mut routes = Routes::default();
        let answers = |routes: &mut Routes| {
            routes.update(id(0), &manifests, Some(new.digest), None);
            routes.bundle()
        };
        routes.set(id(0), Some(&Arc::new(ready(&old))));
        routes.set(id(1), Some(&Arc::new(ready(&new))));
        assert_eq!(answers(&mut routes), Some(new.digest));
        routes.set(id(1), None);
        assert_eq!(answers(&mut routes), Some(old.digest));
    }
}
