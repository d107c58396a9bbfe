//! Who can answer for each part now.
//!
//! A partial answer depends only on (student, input), so every reachable member with a loaded student of the part
//! counts, whatever its epoch: a re-plan or a healed partition never takes a ready replica away. All parts of one answer
//! come from one bundle; while a new bundle is being loaded, the old one answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bugs::{Bug, Bugs};
use crate::bundle::Manifest;
use crate::id::{Digest, Epoch, NodeId};
use crate::inference::{Route, Routing};

/// The routing last told to the coordinator.
#[derive(Debug)]
pub(super) struct Routes {
    routing: Option<Routing>,
    bugs: Bugs,
}

impl Routes {
    pub(super) fn new(bugs: Bugs) -> Self {
        Self { routing: None, bugs }
    }

    /// The bundle that answers.
    pub(super) fn bundle(&self) -> Option<Digest> {
        self.routing.as_ref().map(|routing| routing.bundle)
    }

    /// Per part, who can answer.
    pub(super) fn parts(&self) -> &[Vec<Route>] {
        self.routing.as_ref().map_or(&[], |routing| &routing.parts)
    }

    /// The new routing, if it differs from the last one. `ready`: each reachable member's loaded students.
    pub(super) fn update(
        &mut self,
        manifests: &BTreeMap<Digest, Arc<Manifest>>,
        planned: Option<Digest>,
        epoch: Option<Epoch>,
        ready: &[(NodeId, Vec<Digest>)],
    ) -> Option<Routing> {
        let candidate = |bundle: Digest| Some(routing(bundle, manifests.get(&bundle)?, epoch, ready));
        let planned = planned.and_then(candidate);
        let current = self.bundle().and_then(candidate);
        let next = match (planned, current) {
            (Some(planned), Some(current)) if served(&planned) < served(&current) => current,
            (Some(planned), _) => planned,
            (None, current) => current?,
        };
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
}

/// The share of a bundle's parts that have a replica, in parts per million, so that it can be ordered.
fn served(routing: &Routing) -> usize {
    let served = routing.parts.iter().filter(|routes| !routes.is_empty()).count();
    served * 1_000_000 / routing.parts.len().max(1)
}

fn routing(bundle: Digest, manifest: &Manifest, epoch: Option<Epoch>, ready: &[(NodeId, Vec<Digest>)]) -> Routing {
    let mut parts = vec![Vec::new(); manifest.parts.len()];
    for (part, routes) in manifest.parts.iter().zip(&mut parts) {
        let students: Vec<Digest> = part.students.iter().filter_map(|student| student.digest()).collect();
        for (replica, loaded) in ready {
            let held = loaded.iter().filter(|student| students.contains(student));
            routes.extend(held.map(|student| Route { replica: *replica, student: *student }));
        }
    }
    let input_elements = manifest.input.elements();
    Routing { bundle, epoch, input_elements, bias: manifest.merge.bias.clone(), parts }
}
