//! One connection a pair: which one stays when two cross, when one of them is dead and does not know it, or when one has the fleet's
//! current key and the other the previous one.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

use crate::fleet_key::FleetKey;

/// Who dialled the loser closes it; the other side helps after this long, should the dialler be gone.
const GRACE: Duration = Duration::from_secs(1);
/// A connection under the previous key stands so much longer, so that what is under way arrives while the lanes move. Ours: well
/// above a lane's way to the other connection, which is one round trip.
const MOVE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
struct Connection {
    id: ConnectionId,
    dialled_by: PeerId,
    key: Option<FleetKey>,
    /// Its lanes were moved to one with another key: no lane can be opened on it any more.
    left: bool,
}

/// The connections to all peers.
#[derive(Debug)]
pub(super) struct Connections {
    me: PeerId,
    /// The fleet's current key.
    current: Option<FleetKey>,
    peers: BTreeMap<PeerId, Vec<Connection>>,
    doomed: Vec<(Instant, ConnectionId)>,
}

impl Connections {
    pub(super) fn new(me: PeerId, current: Option<FleetKey>) -> Self {
        Self { me, current, peers: BTreeMap::new(), doomed: Vec::new() }
    }

    /// A connection was made. All but one to that peer are doomed: of those with the current key, if there are any, the one that the
    /// smaller peer dialled stays, of several the newest, since who dials again has lost the older one. Both sides judge alike. Gives
    /// the connections that are doomed for their key: they stand a little longer, and their lanes are to be moved.
    pub(super) fn opened(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        dialled_by_me: bool,
        key: Option<FleetKey>,
        now: Instant,
    ) -> Vec<ConnectionId> {
        let dialled_by = if dialled_by_me { self.me } else { peer };
        let connections = self.peers.entry(peer).or_default();
        connections.push(Connection { id, dialled_by, key, left: false });
        let smaller = self.me.min(peer);
        let has_current = connections.iter().any(|c| c.key == self.current);
        let is_better = |c: &Connection| (!c.left, !has_current || c.key == self.current, c.dialled_by == smaller);
        let Some(preferred) = connections.iter().enumerate().max_by_key(|(i, c)| (is_better(c), *i)).map(|(i, _)| i)
        else {
            return Vec::new();
        };
        let (mut moved, key) = (Vec::new(), connections[preferred].key);
        for (i, connection) in connections.iter_mut().enumerate() {
            if i != preferred && !self.doomed.iter().any(|(_, doomed)| *doomed == connection.id) {
                let mut when = if connection.dialled_by == self.me { now } else { now + GRACE };
                if connection.key != key {
                    connection.left = true;
                    moved.push(connection.id);
                    when += MOVE;
                }
                self.doomed.push((when, connection.id));
            }
        }
        moved
    }

    /// The fleet has another key. Gives the connections whose key is not `accepted` any more.
    pub(super) fn rekeyed(&mut self, current: FleetKey, accepted: &[FleetKey]) -> Vec<(PeerId, ConnectionId)> {
        self.current = Some(current);
        let is_out = |c: &&Connection| c.key.is_none_or(|key| !accepted.contains(&key));
        let out = |(peer, connections): (&PeerId, &Vec<Connection>)| {
            let peer = *peer;
            connections.iter().filter(is_out).map(move |c| (peer, c.id)).collect::<Vec<_>>()
        };
        self.peers.iter().flat_map(out).collect()
    }

    /// The peers without a connection under the current key.
    pub(super) fn on_another_key(&self) -> Vec<PeerId> {
        let has_current = |connections: &[Connection]| connections.iter().any(|c| c.key == self.current);
        self.peers.iter().filter(|(_, connections)| !has_current(connections)).map(|(peer, _)| *peer).collect()
    }

    /// A connection was closed; `true` if it was one of ours and the peer has none left. The last one that is left is not closed,
    /// even if it was doomed: the one that was preferred to it was dead, as after a change of address. One that was left for its key
    /// is closed all the same, since it is of no use.
    pub(super) fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        self.doomed.retain(|(_, doomed)| *doomed != id);
        let Some(connections) = self.peers.get_mut(peer) else { return false };
        let before = connections.len();
        connections.retain(|c| c.id != id);
        if let [last] = connections[..]
            && !last.left
        {
            self.doomed.retain(|(_, doomed)| *doomed != last.id);
        }
        if !connections.is_empty() || before == 0 {
            return false;
        }
        self.peers.remove(peer);
        true
    }

    /// How many connections stand.
    pub(super) fn count(&self) -> usize {
        self.peers.values().map(Vec::len).sum()
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
            let mut of_small = Connections::new(small, None);
            let mut of_great = Connections::new(great, None);
            let mut events = [(id(1), true), (id(2), false)];
            if !mine_first {
                events.reverse();
            }
            for (connection, dialled_by_small) in events {
                of_small.opened(great, connection, dialled_by_small, None, now);
                of_great.opened(small, connection, !dialled_by_small, None, now);
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
            let mut connections = Connections::new(small, None);
            connections.opened(great, id(1), dialled_by_me, None, now);
            connections.opened(great, id(2), dialled_by_me, None, now);
            assert_eq!(connections.take_doomed(now + GRACE), [id(1)]);
            assert!(!connections.closed(&great, id(1)));
            assert!(connections.closed(&great, id(2)), "the last one is gone");
        }
    }

    #[test]
    fn the_one_that_is_left_when_the_preferred_one_dies_is_kept() {
        let (small, great) = ordered();
        let now = Instant::now();
        let mut connections = Connections::new(small, None);
        connections.opened(great, id(1), true, None, now);
        // The greater one's address has changed; the older connection is dead and does not know it yet.
        connections.opened(great, id(2), false, None, now);
        assert!(!connections.closed(&great, id(1)));
        assert_eq!((connections.next_doom(), connections.take_doomed(now + GRACE)), (None, vec![]));
        assert!(connections.closed(&great, id(2)));
    }

    #[test]
    fn a_connection_that_was_turned_away_does_not_count() {
        let (small, great) = ordered();
        assert!(!Connections::new(small, None).closed(&great, id(1)));
    }

    #[test]
    fn the_one_with_the_current_key_stays_whoever_dialled_it_and_the_other_ends_a_little_later() {
        let (small, great) = ordered();
        let [new, old] = [(); 2].map(|()| FleetKey::generate().unwrap());
        let now = Instant::now();
        for new_dialled_by_me in [true, false] {
            let mut connections = Connections::new(small, Some(new));
            assert_eq!(connections.opened(great, id(1), true, Some(old), now), []);
            assert_eq!(connections.on_another_key(), [great]);
            assert_eq!(connections.opened(great, id(2), new_dialled_by_me, Some(new), now), [id(1)]);
            assert_eq!(connections.on_another_key(), []);
            assert_eq!(connections.take_doomed(now + MOVE - Duration::from_millis(1)), []);
            assert_eq!(connections.take_doomed(now + MOVE), [id(1)]);
        }
    }

    #[test]
    fn one_that_was_left_for_its_key_ends_even_if_the_other_dies_first() {
        let (small, great) = ordered();
        let [new, old] = [(); 2].map(|()| FleetKey::generate().unwrap());
        let now = Instant::now();
        let mut connections = Connections::new(small, Some(new));
        connections.opened(great, id(1), true, Some(old), now);
        connections.opened(great, id(2), true, Some(new), now);
        assert!(!connections.closed(&great, id(2)));
        // Nor is it preferred to one that comes meanwhile.
        assert_eq!(connections.opened(great, id(3), false, Some(old), now), []);
        assert!(!connections.closed(&great, id(3)));
        assert_eq!(connections.take_doomed(now + MOVE), [id(1)]);
        assert!(connections.closed(&great, id(1)));
    }

    #[test]
    fn a_change_of_the_key_names_the_connections_that_are_out() {
        let (me, peer) = ordered();
        let [new, old] = [(); 2].map(|()| FleetKey::generate().unwrap());
        let now = Instant::now();
        let mut connections = Connections::new(me, Some(old));
        connections.opened(peer, id(1), true, Some(old), now);
        assert_eq!(connections.rekeyed(new, &[new, old]), []);
        assert_eq!(connections.on_another_key(), [peer]);
        assert_eq!(connections.rekeyed(new, &[new]), [(peer, id(1))]);
    }
}
