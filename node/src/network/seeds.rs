//! The addresses that a person gave: tried for as long as nobody known is there.

use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::book::backoff;
use super::hints::SeedTrouble;

#[derive(Debug)]
struct Seed {
    address: Multiaddr,
    state: State,
    failures: u32,
    told: Option<SeedTrouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting(Instant),
    Dialling(ConnectionId),
    Met(PeerId),
    Ignored,
}

/// All seeds.
#[derive(Debug)]
pub(super) struct Seeds(Vec<Seed>);

impl Seeds {
    pub(super) fn new(addresses: &[Multiaddr], now: Instant) -> Self {
        let seed = |address: &Multiaddr| Seed {
            address: address.clone(),
            state: State::Waiting(now),
            failures: 0,
            told: None,
        };
        Self(addresses.iter().map(seed).collect())
    }

    /// The addresses to try now, with their places and how often each failed before.
    pub(super) fn due(&self, now: Instant) -> Vec<(usize, Multiaddr, u32)> {
        let due = |seed: &Seed| matches!(seed.state, State::Waiting(due) if due <= now);
        self.0.iter().enumerate().filter(|(_, s)| due(s)).map(|(i, s)| (i, s.address.clone(), s.failures)).collect()
    }

    pub(super) fn dialling(&mut self, place: usize, connection: ConnectionId) {
        if let Some(seed) = self.0.get_mut(place) {
            seed.state = State::Dialling(connection);
        }
    }

    /// A connection was made; the seed's address, if it was made to one.
    pub(super) fn met(&mut self, connection: ConnectionId, peer: PeerId) {
        if let Some(seed) = self.dialled(connection) {
            seed.state = State::Met(peer);
            seed.failures = 0;
            seed.told = None;
        }
    }

    /// A dial came to nothing; a trouble not told yet is logged.
    pub(super) fn failed(&mut self, connection: ConnectionId, error: &DialError, now: Instant, random: u64) {
        let Some(seed) = self.dialled(connection) else { return };
        seed.failures += 1;
        seed.state = State::Waiting(now + backoff(seed.failures, random));
        let trouble = SeedTrouble::of(error);
        if trouble == Some(SeedTrouble::Myself) {
            seed.state = State::Ignored;
        }
        if let Some(trouble) = trouble
            && seed.told != Some(trouble)
        {
            seed.told = Some(trouble);
            tracing::warn!(seed = %seed.address, "{}", trouble.advice());
        }
    }

    /// The peer is out of reach. It is looked for by its name; its address is tried too, since another may be there by now.
    pub(super) fn lost(&mut self, peer: &PeerId, later: Instant) {
        for seed in self.0.iter_mut().filter(|s| s.state == State::Met(*peer)) {
            seed.state = State::Waiting(later);
        }
    }

    /// When to look again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |seed: &Seed| if let State::Waiting(due) = seed.state { Some(due) } else { None };
        self.0.iter().filter_map(due).min()
    }

    fn dialled(&mut self, connection: ConnectionId) -> Option<&mut Seed> {
        self.0.iter_mut().find(|s| s.state == State::Dialling(connection))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::Identity;

    #[test]
    fn a_seed_is_tried_until_it_is_met_and_again_when_it_is_lost() {
        let now = Instant::now();
        let address: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        let mut seeds = Seeds::new(std::slice::from_ref(&address), now);
        assert_eq!(seeds.due(now), [(0, address, 0)]);
        let connection = ConnectionId::new_unchecked(1);
        seeds.dialling(0, connection);
        assert_eq!(seeds.next_due(), None);
        seeds.failed(connection, &DialError::Aborted, now, 0);
        let again = seeds.next_due().unwrap();
        assert!(again > now);
        seeds.dialling(0, connection);
        let peer = Identity::generate().peer();
        seeds.met(connection, peer);
        assert_eq!(seeds.next_due(), None);
        seeds.lost(&peer, now + Duration::from_secs(2));
        assert_eq!(seeds.next_due(), Some(now + Duration::from_secs(2)));
    }

    #[test]
    fn a_seed_that_is_this_node_is_left_alone() {
        let now = Instant::now();
        let address: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().unwrap();
        let mut seeds = Seeds::new(std::slice::from_ref(&address), now);
        let connection = ConnectionId::new_unchecked(1);
        seeds.dialling(0, connection);
        seeds.failed(connection, &DialError::LocalPeerId { address }, now, 0);
        assert_eq!(seeds.next_due(), None);
    }
}
