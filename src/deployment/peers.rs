//! The other members as deployment needs them: who holds what, who is avoided, who is ready.

use std::collections::BTreeMap;

use imbl::OrdMap;

use super::port::Peer;
use crate::id::{Digest, NodeId};
use crate::leadership::PlannedGroup;
use crate::time::{Duration, Instant};

/// A holder that was silent, or said that it has nothing, is avoided for so long. Ours; a little more than a record
/// needs to tell the fleet what its owner holds.
const ABSENT_AVOIDED: Duration = Duration::from_secs(5);
/// A holder that sent wrong bytes is avoided for so long. Ours.
const WRONG_AVOIDED: Duration = Duration::from_secs(60);
/// (Artifact, holder) pairs avoided. Beyond it the one that ends first is forgotten.
const AVOIDED_MAX: usize = 1024;

/// The other members, and whom not to ask for what until when.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: OrdMap<NodeId, Peer>,
    avoided: BTreeMap<(Digest, NodeId), Instant>,
}

impl Peers {
    pub(super) fn insert(&mut self, peer: Peer) {
        self.peers.insert(peer.id, peer);
    }

    /// Takes over the peers of another node, shared until either side changes one.
    pub(super) fn know_as(&mut self, other: &Self) {
        self.peers = other.peers.clone();
    }

    pub(super) fn remove(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
    }

    pub(super) fn link_down(&mut self, peer: NodeId) {
        if self.peers.get(&peer).is_some_and(|peer| peer.routable) {
            self.peers.get_mut(&peer).into_iter().for_each(|peer| peer.routable = false);
        }
    }

    /// Whether a holder can be asked, or asked on.
    pub(super) fn is_usable(&self, artifact: Digest, holder: NodeId) -> bool {
        self.peers.get(&holder).is_some_and(|p| p.routable) && !self.avoided.contains_key(&(artifact, holder))
    }

    pub(super) fn avoid_absent(&mut self, artifact: Digest, holder: NodeId, now: Instant) {
        self.avoid(artifact, holder, now + ABSENT_AVOIDED);
    }

    pub(super) fn avoid_wrong(&mut self, artifact: Digest, holder: NodeId, now: Instant) {
        self.avoid(artifact, holder, now + WRONG_AVOIDED);
    }

    fn avoid(&mut self, artifact: Digest, holder: NodeId, until: Instant) {
        self.avoided.insert((artifact, holder), until);
        if self.avoided.len() > AVOIDED_MAX
            && let Some(first) = self.avoided.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key)
        {
            self.avoided.remove(&first);
        }
    }

    /// Forgets whom not to avoid any more.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.avoided.retain(|_, until| *until > now);
    }

    /// When the next is not avoided any more.
    pub(super) fn forgive_due(&self) -> Option<Instant> {
        self.avoided.values().min().copied()
    }

    /// Whom to ask for an artifact of a bundle (perhaps its manifest): those who serve already, then sure holders, in another order for
    /// each who asks; one possible holder where there is nobody else. At most so many.
    pub(super) fn holders(
        &self,
        me: NodeId,
        (artifact, bundle): (Digest, Digest),
        serving: Vec<NodeId>,
        most: usize,
    ) -> Vec<NodeId> {
        let mut holders = serving;
        holders.retain(|holder| self.is_usable(artifact, *holder));
        if holders.len() < most {
            let usable = |p: &&Peer| self.is_usable(artifact, p.id) && !holders.contains(&p.id);
            let sure: Vec<_> = self.peers.values().filter(usable).filter(|p| holds(p, artifact, bundle)).collect();
            let possible = |p: &&Peer| p.record.bundles.iter().any(|h| h.bundle == bundle);
            let (candidates, more) = match sure.len() {
                0 => (self.peers.values().filter(usable).filter(possible).collect(), usize::from(holders.is_empty())),
                many => (sure, many),
            };
            let spread = me.0.iter().chain(&artifact.0).fold(0, |sum, byte| sum + usize::from(*byte));
            let first = spread.checked_rem(candidates.len()).unwrap_or(0);
            let others = candidates.iter().cycle().skip(first).take(more.min(candidates.len()));
            let others: Vec<_> = others.map(|p| p.id).collect();
            holders.extend(others);
        }
        holders.truncate(most);
        holders
    }

    /// Members outside a student's group that hold it for sure.
    pub(super) fn keepers(&self, student: Digest, bundle: Digest, group: Option<&PlannedGroup>) -> usize {
        let outside = |p: &&Peer| group.is_none_or(|g| !g.members.contains(&p.id));
        self.peers.values().filter(|p| p.routable && holds(p, student, bundle)).filter(outside).count()
    }

    /// Whether a group has a member here or elsewhere that can answer.
    pub(super) fn serve(&self, group: &PlannedGroup) -> bool {
        let ready = |p: &Peer| p.routable && p.record.ready.contains(&group.student);
        group.members.iter().filter_map(|member| self.peers.get(member)).any(ready)
    }
}

fn holds(peer: &Peer, artifact: Digest, bundle: Digest) -> bool {
    let keeps = |whole_only: bool| peer.record.bundles.iter().any(|h| h.bundle == bundle && (h.whole || !whole_only));
    keeps(artifact != bundle) || peer.record.ready.contains(&artifact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_are_avoided_and_the_one_that_ends_first_is_forgotten() {
        let mut peers = Peers::default();
        let holder = |n: u64| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            NodeId(id)
        };
        let artifact = Digest([1; 32]);
        let count = AVOIDED_MAX as u64;
        (0..=count).for_each(|n| peers.avoid(artifact, holder(n), Instant::from_nanos(100 + n)));
        assert_eq!(peers.avoided.len(), AVOIDED_MAX);
        let is_avoided = |n| peers.avoided.contains_key(&(artifact, holder(n)));
        assert!(!is_avoided(0) && is_avoided(1) && is_avoided(count));
    }
}
