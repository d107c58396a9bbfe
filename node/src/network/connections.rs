//! One connection a pair: which one stays when two cross, or when one of them is dead and does not know it.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

/// Who dialled the loser closes it; the other side helps after this long, should the dialler be gone.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Connection {
    id: ConnectionId,
    dialled_by: PeerId,
}

/// The connections to all peers.
#[derive(Debug)]
pub(super) struct Connections {
    me: PeerId,
    peers: BTreeMap<PeerId, Vec<Connection>>,
    doomed: Vec<(Instant, ConnectionId)>,
}

impl Connections {
    pub(super) fn new(me: PeerId) -> Self {
        Self { me, peers: BTreeMap::new(), doomed: Vec::new() }
    }

    /// A connection was made. All but one to that peer are doomed: the one that the smaller peer dialled stays, of several the
    /// newest, since who dials again has lost the older one. Both sides judge alike.
    pub(super) fn opened(&mut self, peer: PeerId, id: ConnectionId, dialled_by_me: bool, now: Instant) {
        let dialled_by = if dialled_by_me { self.me } else { peer };
        let connections = self.peers.entry(peer).or_default();
        connections.push(Connection { id, dialled_by });
        let smaller = self.me.min(peer);
        let preferred = connections.iter().rposition(|c| c.dialled_by == smaller).unwrap_or(connections.len() - 1);
        for (i, connection) in connections.iter().enumerate() {
            if i != preferred && !self.doomed.iter().any(|(_, doomed)| *doomed == connection.id) {
                let when = if connection.dialled_by == self.me { now } else { now + GRACE };
                self.doomed.push((when, connection.id));
            }
        }
    }

    /// A connection was closed; `true` if it was one of ours and the peer has none left. The last one that is left is not closed,
    /// even if it was doomed: the one that was preferred to it was dead, as after a change of address.
    pub(super) fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        self.doomed.retain(|(_, doomed)| *doomed != id);
        let Some(connections) = self.peers.get_mut(peer) else { return false };
        let before = connections.len();
        connections.retain(|c| c.id != id);
        if let [last] = connections[..] {
            self.doomed.retain(|(_, doomed)| *doomed != last.id);
        }
        if !connections.is_empty() || before == 0 {
            return false;
        }
        self.peers.remove(peer);
        true
    }

    pub(super) fn has(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// The connections to close now.
    pub(super) fn take_doomed(&mut self, now: Instant) -> Vec<ConnectionId> {
        let (due, later) = self.doomed.drain(..).partition(|(when, _)| *when <= now);
        self.doomed = later;
        let due: Vec<(Instant, ConnectionId)> = due;
        due.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn next_doom(&self) -> Option<Instant> {
        self.doomed.iter().map(|(when, _)| *when).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn ordered() -> (PeerId, PeerId) {
        let (a, b) = (Identity::generate().peer(), Identity::generate().peer());
        (a.min(b), a.max(b))
    }

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    #[test]
    fn when_two_cross_both_sides_keep_the_one_that_the_smaller_dialled() {
        let (small, great) = ordered();
        let now = Instant::now();
        for mine_first in [true, false] {
            let mut of_small = Connections::new(small);
            let mut of_great = Connections::new(great);
            let mut events = [(id(1), true), (id(2), false)];
            if !mine_first {
                events.reverse();
            }
            for (connection, dialled_by_small) in events {
                of_small.opened(great, connection, dialled_by_small, now);
                of_great.opened(small, connection, !dialled_by_small, now);
            }
            assert_eq!(of_great.take_doomed(now), [id(2)], "the dialler closes it at once");
            assert_eq!(of_small.take_doomed(now), [], "the other side waits");
            assert_eq!(of_small.take_doomed(now + GRACE), [id(2)]);
        }
    }

    #[test]
    fn of_two_by_the_same_dialler_the_newer_stays() {
        let (small, great) = ordered();
        let now = Instant::now();
        for dialled_by_me in [true, false] {
            let mut connections = Connections::new(small);
            connections.opened(great, id(1), dialled_by_me, now);
            connections.opened(great, id(2), dialled_by_me, now);
            assert_eq!(connections.take_doomed(now + GRACE), [id(1)]);
            assert!(!connections.closed(&great, id(1)));
            assert!(connections.closed(&great, id(2)), "the last one is gone");
        }
    }

    #[test]
    fn the_one_that_is_left_when_the_preferred_one_dies_is_kept() {
        let (small, great) = ordered();
        let now = Instant::now();
        let mut connections = Connections::new(small);
        connections.opened(great, id(1), true, now);
        // The greater one's address has changed; the older connection is dead and does not know it yet.
        connections.opened(great, id(2), false, now);
        assert!(!connections.closed(&great, id(1)));
        assert_eq!((connections.next_doom(), connections.take_doomed(now + GRACE)), (None, vec![]));
        assert!(connections.closed(&great, id(2)));
    }

    #[test]
    fn a_connection_that_was_turned_away_does_not_count() {
        let (small, great) = ordered();
        assert!(!Connections::new(small).closed(&great, id(1)));
    }
}
