//! Goes the way to each node that was asked about, step by step: name, route, connection, handshake, lane.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Aim, Key, http};
use crate::doctor::facts::{Connect, Greeting, Handshake, Met, Path, Reached, Target};
use crate::identity::node_of;
use crate::network::{Visit, visit};

/// For a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// For a connection. A neighbour that is off is reported by the system after 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_300);
/// For what a listener says unasked, and again for its answer to a question: it is connected already.
const GREETING_TIMEOUT: Duration = Duration::from_millis(400);
/// Nodes looked at; more are left out.
const TARGETS_MAX: usize = 8;
/// Addresses of one name that are tried.
const PATHS_MAX: usize = 4;
/// What a private libp2p network begins with: a nonce of so many bytes.
const NONCE_BYTES: usize = 24;
/// Bytes of a greeting that are shown.
const SHOWN_BYTES_MAX: usize = 40;

/// Looks at all of them side by side; in the order given.
pub(super) async fn try_all(aims: &[Aim], own: &[IpAddr], key: Key, token: Option<&str>) -> Vec<Target> {
    let looked = aims.iter().take(TARGETS_MAX).map(|aim| try_one(aim, own, key, token));
    futures::future::join_all(looked).await
}

async fn try_one(aim: &Aim, own: &[IpAddr], key: Key, token: Option<&str>) -> Target {
    match aim {
        Aim::Http { given, url } => {
            let (answer, _) = http::look(url.clone(), token.map(str::to_owned)).await;
            let outcome = Reached::Http { url: url.clone(), http: answer };
            Target { given: given.clone(), expected_peer: None, here: false, outcome }
        }
        Aim::Mesh { given, host, port, peer } => {
            let (here, outcome) = match resolve(host, *port).await {
                Err(why) => (false, Reached::Unresolved { why }),
                Ok(addresses) => {
                    let here = addresses.iter().any(|a| a.ip().is_loopback() || own.contains(&a.ip()));
                    let paths =
                        futures::future::join_all(addresses.into_iter().map(|address| path(address, key))).await;
                    (here, Reached::Mesh { paths })
                }
            };
            Target { given: given.clone(), expected_peer: peer.clone(), here, outcome }
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = found.map_err(|_| "no answer".to_owned())?.map_err(|e| e.to_string())?.collect();
    let mut distinct: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) && distinct.len() < PATHS_MAX {
            distinct.push(address);
        }
    }
    if distinct.is_empty() { Err("it has none".to_owned()) } else { Ok(distinct) }
}

async fn path(address: SocketAddr, key: Key) -> Path {
    let source = source(address);
    Path { address, source, connect: connect(address, source.is_some(), key).await }
}

/// The address that the system would send from. Nothing is sent.
fn source(to: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

async fn connect(address: SocketAddr, routed: bool, key: Key) -> Connect {
    let start = Instant::now();
    let mut stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Err(_) => return Connect::TimedOut,
        Ok(Err(e)) => return failed(&e, routed),
        Ok(Ok(stream)) => stream,
    };
    let round_trip_ms = milliseconds(start.elapsed());
    let greeting = greeting(&mut stream, address).await;
    drop(stream);
    let handshake = match &greeting {
        Greeting::Other { .. } | Greeting::NodesHttp | Greeting::OtherHttp => Handshake::NotTried,
        Greeting::Nonce | Greeting::Nothing | Greeting::Closed => handshake(address, key).await,
    };
    Connect::Connected { round_trip_ms, greeting, handshake }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the system has many more reasons, which go by their text")]
fn failed(error: &std::io::Error, routed: bool) -> Connect {
    match error.kind() {
        ErrorKind::ConnectionRefused => Connect::Refused,
        ErrorKind::TimedOut => Connect::TimedOut,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable if routed => Connect::Unreachable,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => Connect::NoRoute,
        _ => Connect::Failed { why: error.to_string() },
    }
}

/// Waits for what is said unasked; where nothing is, asks as a web client does.
async fn greeting(stream: &mut TcpStream, address: SocketAddr) -> Greeting {
    let said = hear(stream, NONCE_BYTES).await;
    match said {
        Some(bytes) if bytes.is_empty() => Greeting::Closed,
        Some(bytes) if bytes.len() == NONCE_BYTES && !is_text(&bytes) => Greeting::Nonce,
        Some(bytes) => Greeting::Other { text: shown(&bytes) },
        None => {
            let question = format!("GET /v2 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            if stream.write_all(question.as_bytes()).await.is_err() {
                return Greeting::Closed;
            }
            match hear(stream, 1024).await {
                Some(answer) if answer.starts_with(b"HTTP/") => {
                    let is_node = String::from_utf8_lossy(&answer).contains("\"rocoin\"");
                    if is_node { Greeting::NodesHttp } else { Greeting::OtherHttp }
                }
                Some(_) | None => Greeting::Nothing,
            }
        }
    }
}

/// Up to so many bytes of what comes; `None` if nothing does, and empty if the connection ends.
async fn hear(stream: &mut TcpStream, bytes_max: usize) -> Option<Vec<u8>> {
    let mut heard = Vec::new();
    let mut limited = stream.take(bytes_max as u64);
    let all = timeout(GREETING_TIMEOUT, limited.read_to_end(&mut heard)).await;
    let ended = all.is_ok();
    if heard.is_empty() && !ended { None } else { Some(heard) }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]);
    text.trim_end().chars().map(|c| if c.is_control() { '.' } else { c }).collect()
}

async fn handshake(address: SocketAddr, key: Key) -> Handshake {
    let fleet_keys = match key {
        Key::Lacking => return Handshake::NotTried,
        Key::Open => None,
        Key::Fleet(keys) => Some(keys),
    };
    match visit(address, fleet_keys).await {
        Err(why) => Handshake::Failed { why },
        Ok(Visit { peer, speaks, lane, turned_away }) => {
            let (protocol, agent) = speaks.unzip();
            let lane_ms = lane.map(milliseconds);
            Handshake::Done(Met { node: node_of(&peer), peer: peer.to_string(), protocol, agent, lane_ms, turned_away })
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Says these bytes to whoever comes, and keeps the connections open.
    async fn listener(says: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(says).await;
                kept.push(stream);
            }
        });
        address
    }

    async fn greeted(says: &'static [u8]) -> Greeting {
        let found = connect(listener(says).await, true, Key::Lacking).await;
        let Connect::Connected { greeting, .. } = found else { panic!("{found:?}") };
        greeting
    }

    #[tokio::test]
    async fn a_listener_is_known_by_what_it_says_first() {
        assert_eq!(greeted(&[0x80; NONCE_BYTES]).await, Greeting::Nonce);
        assert_eq!(greeted(b"").await, Greeting::Nothing);
        let Greeting::Other { text } = greeted(b"SSH-2.0-OpenSSH_9.2\r\n").await else { panic!("it is an SSH server") };
        assert!(text.starts_with("SSH-2.0"), "{text}");
    }

    #[tokio::test]
    async fn a_closed_port_is_refused() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(connect(gone, true, Key::Lacking).await, Connect::Refused);
    }

    #[test]
    fn the_systems_reasons_are_told_apart() {
        use nix::errno::Errno;
        for (errno, routed, expected) in [
            (Errno::ECONNREFUSED, true, Connect::Refused),
            (Errno::ETIMEDOUT, true, Connect::TimedOut),
            (Errno::EHOSTUNREACH, true, Connect::Unreachable),
            (Errno::EHOSTUNREACH, false, Connect::NoRoute),
            (Errno::ENETUNREACH, false, Connect::NoRoute),
            (Errno::EADDRNOTAVAIL, true, Connect::NoRoute),
        ] {
            assert_eq!(failed(&errno.into(), routed), expected, "{errno}");
        }
        assert!(matches!(failed(&Errno::EPERM.into(), true), Connect::Failed { .. }));
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver_and_a_name_without_address_is_told() {
        assert_eq!(resolve("fd00::7", 1).await.unwrap(), ["[fd00::7]:1".parse().unwrap()]);
        // Too long for a name, so that no resolver is asked.
        assert!(resolve(&"x".repeat(300), 1).await.is_err());
    }
}
