//! Addresses: which are worth telling others, and the gossip topic that spreads them.

use std::net::IpAddr;

use libp2p::gossipsub::IdentTopic;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Addresses of one node that are told, taken or kept; more are left out.
pub(super) const ADDRESSES_MAX: usize = 8;
/// Bytes of a node's announcement at most; a longer one is rejected.
const ANNOUNCEMENT_BYTES_MAX: usize = 2048;

/// Where every member publishes its own addresses, one a line, signed.
pub(super) fn topic() -> IdentTopic {
    IdentTopic::new("rocoin/addresses/1")
}

/// This node's announcement.
pub(super) fn announcement(addresses: &[Multiaddr]) -> Vec<u8> {
    let lines: Vec<_> = addresses.iter().take(ADDRESSES_MAX).map(Multiaddr::to_string).collect();
    lines.join("\n").into_bytes()
}

/// The addresses of an announcement; `None` if it is none.
pub(crate) fn parse_announcement(bytes: &[u8]) -> Option<Vec<Multiaddr>> {
    if bytes.len() > ANNOUNCEMENT_BYTES_MAX {
        return None;
    }
    let lines = std::str::from_utf8(bytes).ok()?.lines();
    let addresses: Vec<Multiaddr> = lines.map(str::parse).collect::<Result<_, _>>().ok()?;
    (addresses.len() <= ADDRESSES_MAX).then_some(addresses)
}

/// Those of a node's addresses that are worth a try: TCP with a port, no link-local ones (they need a scope), and loopback only if
/// there is nothing else, since it means another machine to everybody else.
pub(super) fn dialable(addresses: impl IntoIterator<Item = Multiaddr>) -> Vec<Multiaddr> {
    let plain: Vec<_> = addresses.into_iter().map(without_peer).filter(is_dialable).collect();
    let (loopback, mut others): (Vec<_>, Vec<_>) = plain.into_iter().partition(is_loopback);
    if others.is_empty() {
        others = loopback;
    }
    others.truncate(ADDRESSES_MAX);
    others
}

/// The address without the name of who is there, and without the mark of the key that it was dialled with.
pub(super) fn without_peer(address: Multiaddr) -> Multiaddr {
    super::door::unmarked(address.into_iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect())
}

/// Who is said to be at an address.
pub(super) fn peer_in(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None })
}

pub(super) fn is_loopback(address: &Multiaddr) -> bool {
    ip_of(address).is_some_and(|ip| ip.is_loopback())
}

/// The address's host, which comes first.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    let first = address.iter().next()?;
    if let Protocol::Ip4(ip) = first {
        return Some(ip.into());
    }
    if let Protocol::Ip6(ip) = first { Some(ip.into()) } else { None }
}

fn is_dialable(address: &Multiaddr) -> bool {
    let host = ip_of(address).is_some_and(|ip| {
        let link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        !ip.is_unspecified() && !ip.is_multicast() && !link_local
    });
    let mut rest = address.iter().skip(1);
    host && matches!(rest.next(), Some(Protocol::Tcp(port)) if port != 0) && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn only_addresses_that_others_can_use_are_told() {
        let all = addresses(&[
            "/ip4/127.0.0.1/tcp/4001",
            "/ip4/10.0.0.7/tcp/4001",
            "/ip6/fe80::1/tcp/4001",
            "/ip6/fd00::1/tcp/4001",
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/10.0.0.7/tcp/0",
            "/ip4/10.0.0.7/udp/4001",
        ]);
        assert_eq!(dialable(all), addresses(&["/ip4/10.0.0.7/tcp/4001", "/ip6/fd00::1/tcp/4001"]));
    }

    #[test]
    fn a_node_on_loopback_alone_tells_that() {
        let loopback = addresses(&["/ip4/127.0.0.1/tcp/4001"]);
        assert_eq!(dialable(loopback.clone()), loopback);
    }

    #[test]
    fn an_announcement_is_read_back() {
        let some = addresses(&["/ip4/10.0.0.7/tcp/4001", "/ip6/fd00::1/tcp/4001"]);
        assert_eq!(parse_announcement(&announcement(&some)), Some(some));
    }

    #[test]
    fn junk_is_no_announcement() {
        let many = "/ip4/10.0.0.7/tcp/4001\n".repeat(ADDRESSES_MAX + 1);
        for junk in [&b"\xff"[..], b"nonsense", many.as_bytes(), &[b' '; ANNOUNCEMENT_BYTES_MAX + 1]] {
            assert_eq!(parse_announcement(junk), None);
        }
    }
}
