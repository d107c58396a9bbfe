//! What a person gives to be looked at: a node's address in one of four forms.

use libp2p::multiaddr::{Multiaddr, Protocol};

/// One node to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Where nodes meet.
    Mesh {
        given: String,
        host: String,
        port: u16,
        /// Who has to be there.
        peer: Option<String>,
    },
    /// A node's HTTP interface, without a slash at the end.
    Http { given: String, url: String },
}

/// It is none of the forms.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address of a node: give HOST:PORT, /ip4/ADDRESS/tcp/PORT, or http://HOST:PORT for its HTTP interface; \
     an IPv6 address goes into brackets, as in [fd00::7]:4470"
)]
pub(crate) struct AimError(String);

impl std::str::FromStr for Aim {
    type Err = AimError;

    fn from_str(text: &str) -> Result<Self, AimError> {
        let aim = if text.starts_with("http://") {
            http(text)
        } else if text.starts_with('/') {
            multiaddr(text)
        } else {
            host_and_port(text)
        };
        aim.ok_or_else(|| AimError(text.to_owned()))
    }
}

fn http(text: &str) -> Option<Aim> {
    let url = text.trim_end_matches('/');
    let authority = url.strip_prefix("http://")?;
    let plausible = !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']);
    plausible.then(|| Aim::Http { given: text.to_owned(), url: url.to_owned() })
}

fn host_and_port(text: &str) -> Option<Aim> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plausible = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', ' ']),
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = bracketed.unwrap_or(host).to_owned();
    plausible.then(|| Aim::Mesh { given: text.to_owned(), host, port, peer: None })
}

fn multiaddr(text: &str) -> Option<Aim> {
    let address: Multiaddr = text.parse().ok()?;
    let mut parts = address.iter();
    let host = host(&parts.next()?)?;
    let Some(Protocol::Tcp(port)) = parts.next() else { return None };
    let rest = parts.next();
    let peer = if let Some(Protocol::P2p(peer)) = &rest { Some(peer.to_string()) } else { None };
    let ends = parts.next().is_none() && peer.is_some() == rest.is_some();
    (ends && port != 0).then(|| Aim::Mesh { given: text.to_owned(), host, port, peer })
}

fn host(part: &Protocol<'_>) -> Option<String> {
    if let Protocol::Ip4(ip) = part {
        return Some(ip.to_string());
    }
    if let Protocol::Ip6(ip) = part {
        return Some(ip.to_string());
    }
    if let Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) = part {
        Some(name.to_string())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(text: &str) -> (String, u16, bool) {
        match text.parse() {
            Ok(Aim::Mesh { host, port, peer, .. }) => (host, port, peer.is_some()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_node_can_be_given_in_each_form() {
        let peer = crate::identity::Identity::generate().peer();
        for (text, expected) in [
            ("192.168.1.7:4470", ("192.168.1.7", false)),
            ("pi-kitchen.local:4470", ("pi-kitchen.local", false)),
            ("[fd00::7]:4470", ("fd00::7", false)),
            ("/ip4/192.168.1.7/tcp/4470", ("192.168.1.7", false)),
            ("/ip6/fd00::7/tcp/4470", ("fd00::7", false)),
            ("/dns4/pi/tcp/4470", ("pi", false)),
            (&format!("/ip4/192.168.1.7/tcp/4470/p2p/{peer}"), ("192.168.1.7", true)),
        ] {
            assert_eq!(mesh(text), (expected.0.to_owned(), 4470, expected.1), "{text}");
        }
        let url = "http://pi:8470".to_owned();
        assert_eq!("http://pi:8470/".parse(), Ok(Aim::Http { given: "http://pi:8470/".to_owned(), url }));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_forms_that_are() {
        for text in [
            "",
            "pi",
            "pi:",
            ":4470",
            "pi:0",
            "pi:99999",
            "fd00::7:4470x",
            "fd00::7:4470",
            "[pi]:4470",
            "/ip4/10.0.0.1",
            "/ip4/10.0.0.1/udp/4470",
            "/ip4/10.0.0.1/tcp/0",
            "/ip4/10.0.0.1/tcp/1/ws",
            "http://",
            "http://a/b",
            "https://pi",
        ] {
            let error = text.parse::<Aim>().unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{text}: {error}");
        }
    }
}
