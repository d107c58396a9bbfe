//! A change of the fleet's key while the node runs: both keys are accepted, the connections move to the new one, and when the old one
//! is not accepted any more those that still have it are closed.

use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionClosed, ConnectionId, FromSwarm, NetworkBehaviour as _};
use libp2p::{Multiaddr, PeerId};
use tokio::time::Instant;

use super::Actor;
use crate::fleet_key::{FleetKey, Keyring};
use crate::identity::node_of;
use crate::network::door::marked;

/// Peers whose connections have another key than the current one are dialled again so often: they may have been given it by now. Ours.
const MOVE_EVERY: Duration = Duration::from_secs(2);
/// So many of them in one round.
const MOVES_AT_ONCE: usize = 32;
/// From this round on the greater of two peers dials as well; before, the smaller one does, so that they do not cross.
const COURTESY_ROUNDS: usize = 3;

impl Actor {
    /// These keys from now on.
    pub(super) fn change_keys(&mut self, keys: Keyring) {
        if self.door.keys().is_none_or(|old| old == keys) {
            return;
        }
        match keys.previous {
            Some(previous) => {
                tracing::info!(current = %keys.current, %previous, "the fleet has a new key; both are accepted")
            }
            None => tracing::info!(current = %keys.current, "one fleet key is accepted"),
        }
        self.door.change(keys);
        let accepted: Vec<FleetKey> = keys.accepted().collect();
        let out = self.connections.rekeyed(keys.current, &accepted);
        let stale: Vec<PeerId> =
            self.connections.on_another_key().into_iter().filter(|peer| out.iter().any(|(p, _)| p == peer)).collect();
        for peer in stale {
            let text = "out: its fleet key is not accepted any more, and it was not given the new one. Copy the key file to that \
                        device: it takes it up by itself";
            self.warn(&[peer], text.to_owned());
        }
        for (_, connection) in out {
            self.swarm.close_connection(connection);
        }
        self.move_rounds = 0;
        self.move_at = Some(Instant::now());
    }

    /// Dials those anew whose connections have not the current key.
    pub(super) fn move_connections(&mut self, now: Instant) {
        self.move_at = None;
        let Some(Keyring { current, previous: Some(_), .. }) = self.door.keys() else {
            self.shared.counters.set_on_previous_key(0);
            return;
        };
        let peers = self.connections.on_another_key();
        self.shared.counters.set_on_previous_key(peers.len());
        let skipped = if peers.is_empty() { 0 } else { self.move_rounds * MOVES_AT_ONCE % peers.len() };
        let me = *self.swarm.local_peer_id();
        for peer in peers.into_iter().skip(skipped).take(MOVES_AT_ONCE) {
            let is_ours = me < peer || self.move_rounds >= COURTESY_ROUNDS;
            let is_open = node_of(&peer).is_some_and(|node| self.shared.gate.lets_connect(node));
            if is_ours && is_open {
                self.dial_with(peer, current);
            }
        }
        self.move_rounds += 1;
        self.move_at = Some(now + MOVE_EVERY);
    }

    fn dial_with(&mut self, peer: PeerId, key: FleetKey) {
        let addresses = self.book.addresses(&peer).into_iter().map(|address| marked(address, Some(key))).collect();
        let options =
            DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).allocate_new_port().build();
        if let Err(e) = self.swarm.dial(options) {
            tracing::trace!(%peer, "not dialled with the new key: {e}");
        }
    }

    /// These connections to the peer are to end: no lane is opened on them any more, and those that are open move.
    pub(super) fn leave_connections(&mut self, peer: PeerId, left: &[ConnectionId]) {
        for connection in left {
            // The streams' behaviour takes any connection to the peer that it knows of, so it must know of this one no more.
            let nowhere = Multiaddr::empty;
            let endpoint = ConnectedPoint::Listener { local_addr: nowhere(), send_back_addr: nowhere() };
            let streams = &mut self.swarm.behaviour_mut().streams;
            streams.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id: peer,
                connection_id: *connection,
                endpoint: &endpoint,
                cause: None,
                remaining_established: 1,
            }));
        }
        if let Some(link) = self.links.get(&peer)
            && !left.is_empty()
        {
            link.change_connection();
        }
    }
}
