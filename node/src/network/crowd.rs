//! Handshakes under way from one host: one stranger must not take every place at the door.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, ListenFailure, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::addresses::ip_of;

/// Refuses a host that has too many handshakes under way.
#[derive(Debug)]
pub(super) struct Behaviour {
    max: usize,
    pending: BTreeMap<ConnectionId, IpAddr>,
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
#[error("{host} has {max} handshakes under way, which are the most from one host")]
struct Crowded {
    host: IpAddr,
    max: usize,
}

impl Behaviour {
    /// At most `max` from one host.
    pub(super) fn new(max: usize) -> Self {
        Self { max, pending: BTreeMap::new() }
    }

    fn enter(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), Crowded> {
        let Some(host) = ip_of(from).map(host_of) else { return Ok(()) };
        if self.pending.values().filter(|h| **h == host).count() >= self.max {
            return Err(Crowded { host, max: self.max });
        }
        self.pending.insert(connection, host);
        Ok(())
    }

    fn leave(&mut self, connection: ConnectionId) {
        self.pending.remove(&connection);
    }
}

/// A host has a whole /64 of IPv6 addresses.
fn host_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
            || {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            },
            IpAddr::V4,
        ),
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.enter(connection, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.leave(connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) = event {
            self.leave(connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> ConnectionId {
        ConnectionId::new_unchecked(n)
    }

    fn from(text: &str) -> Multiaddr {
        format!("{text}/tcp/5000").parse().unwrap()
    }

    #[test]
    fn one_host_has_a_share_and_another_is_not_held_up() {
        let mut crowd = Behaviour::new(2);
        let stranger = from("/ip4/10.0.0.66");
        assert!(crowd.enter(id(1), &stranger).is_ok() && crowd.enter(id(2), &stranger).is_ok());
        let refused = crowd.enter(id(3), &stranger).unwrap_err().to_string();
        assert!(refused.contains("10.0.0.66"), "{refused}");
        assert!(crowd.enter(id(4), &from("/ip4/10.0.0.7")).is_ok());
        crowd.leave(id(1));
        assert!(crowd.enter(id(5), &stranger).is_ok());
    }

    #[test]
    fn all_ipv6_addresses_of_a_host_count_as_one() {
        let mut crowd = Behaviour::new(1);
        assert!(crowd.enter(id(1), &from("/ip6/fd00::1")).is_ok());
        assert!(crowd.enter(id(2), &from("/ip6/fd00::2")).is_err());
        assert!(crowd.enter(id(3), &from("/ip6/fd00:0:0:1::1")).is_ok());
    }
}
