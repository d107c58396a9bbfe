//! Which bundle is to be served: the greatest deployment heard of.

use std::collections::BTreeSet;

use super::port::Event;
use crate::bundle::Manifest;
use crate::id::Digest;
use crate::membership::Deployment;

/// Conflicts reported once each. Beyond it new ones are not reported.
const CONFLICTS_MAX: usize = 64;

/// The greatest deployment heard of. The sequence is a Lamport counter: a deployment made where an older one is known
/// wins over it; of two that did not know each other the greater (version, digest) wins.
#[derive(Debug)]
pub(super) struct Desired {
    current: Option<Deployment>,
    conflicts: BTreeSet<Digest>,
}

impl Desired {
    pub(super) fn new(current: Option<Deployment>) -> Self {
        Self { current, conflicts: BTreeSet::new() }
    }

    pub(super) fn current(&self) -> Option<&Deployment> {
        self.current.as_ref()
    }

    /// A user's wish: wins over everything known.
    pub(super) fn deploy(&mut self, bundle: Digest, manifest: &Manifest) -> Vec<Event> {
        let sequence = self.current.as_ref().map_or(0, |d| d.sequence).saturating_add(1);
        self.hear(&Deployment { sequence, bundle, name: manifest.name.clone(), version: manifest.version.clone() })
    }

    /// Another member's wish: wins if it is greater.
    pub(super) fn hear(&mut self, other: &Deployment) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(current) = &self.current else {
            self.current = Some(other.clone());
            return vec![Event::Desired { deployment: other.clone() }];
        };
        let same = current.bundle == other.bundle;
        let wins = rank(other) > rank(current);
        let (served, loser) = if wins { (other, current) } else { (current, other) };
        let confusable = (&served.name, &served.version) == (&loser.name, &loser.version);
        if !same && confusable && self.conflicts.len() < CONFLICTS_MAX && self.conflicts.insert(loser.bundle) {
            events.push(Event::Conflict { served: served.clone(), other: loser.clone() });
        }
        if wins {
            self.current = Some(other.clone());
        }
        if wins && !same {
            events.push(Event::Desired { deployment: other.clone() });
        }
        events
    }
}

/// Orders deployments: by sequence, version, digest. The greatest is served.
pub fn rank(deployment: &Deployment) -> (u64, Vec<u64>, &str, Digest) {
    let numbers = deployment.version.split('.').map(|n| n.parse().unwrap_or(0)).collect();
    (deployment.sequence, numbers, &deployment.version, deployment.bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(sequence: u64, version: &str, bundle: u8) -> Deployment {
        Deployment { sequence, bundle: Digest([bundle; 32]), name: "clothes".to_owned(), version: version.to_owned() }
    }

    #[test]
    fn the_greater_sequence_then_version_then_digest_wins() {
        for (small, great) in [
            (deployment(1, "9", 9), deployment(2, "1", 1)),
            (deployment(1, "1.9", 9), deployment(1, "1.10", 1)),
            (deployment(1, "1", 1), deployment(1, "1", 2)),
        ] {
            for (first, second) in [(&small, &great), (&great, &small)] {
                let mut desired = Desired::new(Some(first.clone()));
                desired.hear(second);
                assert_eq!(desired.current(), Some(&great));
            }
        }
    }

    #[test]
    fn two_bundles_of_one_name_and_version_are_reported_once() {
        let mut desired = Desired::new(Some(deployment(1, "1", 1)));
        let (served, other) = (deployment(1, "1", 2), deployment(1, "1", 1));
        assert!(desired.hear(&served).contains(&Event::Conflict { served: served.clone(), other: other.clone() }));
        assert_eq!(desired.hear(&other), []);
    }

    #[test]
    fn the_same_bundle_deployed_anew_is_no_news() {
        let mut desired = Desired::new(Some(deployment(1, "1", 1)));
        assert_eq!(desired.hear(&deployment(5, "1", 1)), []);
        assert_eq!(desired.current().map(|d| d.sequence), Some(5));
    }

    #[test]
    fn no_more_than_so_many_conflicts_are_reported() {
        let mut desired = Desired::new(Some(deployment(1, "1", 255)));
        let reported = (0..2 * CONFLICTS_MAX).filter(|n| {
            let other = deployment(1, "1", u8::try_from(*n).unwrap());
            desired.hear(&other).iter().any(|event| matches!(event, Event::Conflict { .. }))
        });
        assert_eq!(reported.count(), CONFLICTS_MAX);
    }
}
