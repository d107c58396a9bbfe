//! Tries to listen where a node would, for a moment.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use libp2p::Multiaddr;

use super::Key;
use crate::doctor::facts::{Bind, Holder, Port, StateFolder};
use crate::network::{socket_address, visit};

/// Addresses tried; a node is rarely told more than two.
const ADDRESSES_MAX: usize = 8;

/// Tries the addresses given, or the kept port of both families. `me` is the node of the state folder.
pub(super) async fn try_all(listen: &[Multiaddr], state: &StateFolder, me: Option<&str>, key: Key) -> Vec<Port> {
    let addresses: Vec<_> = addresses(listen, state.port).into_iter().take(ADDRESSES_MAX).collect();
    // One after the other, since on some systems an address of one family takes the other's port for a moment.
    let bound: Vec<_> = addresses.iter().map(bind).collect();
    let tried = addresses.iter().zip(bound).map(|(address, bound)| async move {
        let (port, bind) = match bound {
            Tried::Done { port, bind } => (port, bind),
            Tried::Taken(socket) => {
                (socket.port(), Bind::Taken { by: holder(socket, state.locked == Some(true), me, key).await })
            }
        };
        Port { address: address.to_string(), port, bind }
    });
    futures::future::join_all(tried).await
}

/// A port that nobody has chosen yet needs no look.
fn addresses(listen: &[Multiaddr], kept: Option<u16>) -> Vec<Multiaddr> {
    if !listen.is_empty() {
        return listen.to_vec();
    }
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let with = |port| any.map(|ip| Multiaddr::from(ip).with(libp2p::multiaddr::Protocol::Tcp(port))).to_vec();
    kept.map(with).unwrap_or_default()
}

enum Tried {
    Done {
        port: u16,
        bind: Bind,
    },
    /// Who has it is to be asked.
    Taken(SocketAddr),
}

fn bind(address: &Multiaddr) -> Tried {
    let Some(socket) = socket_address(address) else { return Tried::Done { port: 0, bind: Bind::NotTcp } };
    // Let go at once, before anybody is asked who has it.
    let bind = match TcpListener::bind(socket).map(drop) {
        Ok(()) => Bind::Free,
        Err(e) if e.kind() == ErrorKind::AddrInUse => return Tried::Taken(socket),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Bind::NotPermitted,
        Err(e) if e.kind() == ErrorKind::AddrNotAvailable => Bind::NotHere,
        Err(e) => Bind::Failed { why: e.to_string() },
    };
    Tried::Done { port: socket.port(), bind }
}

/// Asks who is there: by a handshake, as far as the key allows one.
async fn holder(socket: SocketAddr, runs: bool, me: Option<&str>, key: Key) -> Holder {
    let fleet_keys = match key {
        Key::Fleet(keys) => Some(keys),
        Key::Open => None,
        // The node that runs on this state folder is the likeliest; it is not known for sure.
        Key::Lacking if runs => return Holder::ThisNode,
        Key::Lacking => return Holder::Unknown,
    };
    let ip = match socket.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    match visit(SocketAddr::new(ip, socket.port()), fleet_keys).await {
        Ok(visit) if me == Some(visit.peer.to_string().as_str()) => Holder::ThisNode,
        Ok(visit) => Holder::Node { peer: visit.peer.to_string() },
        Err(_) => Holder::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(text: &str) -> Vec<Multiaddr> {
        vec![text.parse().unwrap()]
    }

    async fn bound(text: &str) -> Bind {
        try_all(&listen(text), &StateFolder::default(), None, Key::Lacking).await.remove(0).bind
    }

    #[tokio::test]
    async fn a_free_a_taken_and_a_foreign_address_are_told_apart() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let here = format!("/ip4/127.0.0.1/tcp/{port}");
        assert_eq!(bound(&here).await, Bind::Taken { by: Holder::Unknown });
        assert_eq!(bound("/ip4/127.0.0.1/tcp/0").await, Bind::Free);
        assert_eq!(bound("/ip4/240.0.0.1/tcp/0").await, Bind::NotHere);
        assert_eq!(bound("/ip4/127.0.0.1/udp/1").await, Bind::NotTcp);
    }

    #[test]
    fn without_addresses_the_kept_port_is_tried_in_both_families() {
        assert_eq!(addresses(&[], None), []);
        let both = addresses(&[], Some(4470));
        assert_eq!(both, [listen("/ip4/0.0.0.0/tcp/4470"), listen("/ip6/::/tcp/4470")].concat());
        assert_eq!(addresses(&listen("/ip4/10.0.0.1/tcp/1"), Some(4470)), listen("/ip4/10.0.0.1/tcp/1"));
    }
}
