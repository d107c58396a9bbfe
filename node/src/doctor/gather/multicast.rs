//! Asks by multicast on each interface, in both families, as a node does, and listens for who answers.
//!
//! Two questions go out: who is a libp2p node, and what else is there. The second one makes printers, phones and media players
//! answer, which tells a network that drops multicast from one without other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use socket2::{Domain, Protocol, Socket, Type};

use crate::doctor::facts::{Asked, Family, Heard, Interface, Multicast};

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT: u16 = 5353;
/// What libp2p's nodes answer to.
const NODES: &str = "_p2p._udp.local.";
/// What every speaker of DNS-SD answers to.
const SERVICES: &str = "_services._dns-sd._udp.local.";
/// How long answers are waited for. Nodes answer within milliseconds; radio stations that sleep hear multicast at every third
/// beacon, 0.3 s.
const LISTEN: Duration = Duration::from_millis(1_800);
/// The question is asked again after this long, since multicast over the air is not repeated by itself.
const ASK_AGAIN: Duration = Duration::from_millis(800);
/// Interfaces asked on, in each family.
const INTERFACES_MAX: usize = 8;
/// Nodes and other devices kept of those that answer on one interface.
const HEARD_MAX: usize = 64;
/// Packets read on one interface at most: a network full of chatter must not keep a core busy.
const PACKETS_MAX: usize = 4096;
/// Bytes of an mDNS packet at most; of a longer one the rest is lost.
const PACKET_BYTES_MAX: usize = 9000;

/// Asks on all interfaces that can be of use, side by side.
pub(super) async fn ask_all(interfaces: Vec<Interface>, own: Vec<IpAddr>) -> Vec<Multicast> {
    let usable = interfaces.into_iter().filter(|i| i.is_usable() && i.multicast).take(INTERFACES_MAX);
    let asked: Vec<_> = usable
        .flat_map(|interface| interface.usable_families().into_iter().map(move |family| (interface.clone(), family)))
        .map(|(interface, family)| {
            let own = own.clone();
            tokio::task::spawn_blocking(move || {
                let outcome = ask(&interface, family, &own);
                Multicast { interface: interface.name, family, outcome }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in asked {
        outcomes.extend(task.await);
    }
    outcomes
}

fn ask(interface: &Interface, family: Family, own: &[IpAddr]) -> Asked {
    let socket = match listening(family) {
        Ok(socket) => socket,
        Err(e) => return Asked::NoSocket { taken: e.kind() == ErrorKind::AddrInUse, why: e.to_string() },
    };
    let not_sent = |e: io::Error| Asked::NotSent { why: e.to_string() };
    if let Err(e) = confine(&socket, interface, family) {
        return not_sent(e);
    }
    let Some(question) = question() else { return Asked::NotSent { why: "no question can be put".to_owned() } };
    let group = match family {
        Family::V4 => SocketAddr::V4(SocketAddrV4::new(GROUP_V4, PORT)),
        Family::V6 => SocketAddr::V6(SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index)),
    };
    let socket = UdpSocket::from(socket);
    let mut ears = Ears { id: question.id, own, echo: false, peers: BTreeSet::new(), others: BTreeSet::new() };
    let start = Instant::now();
    for until in [start + ASK_AGAIN, start + LISTEN] {
        if let Err(e) = socket.send_to(&question.bytes, group) {
            return not_sent(e);
        }
        ears.listen(&socket, until);
    }
    let Ears { echo, peers, others, .. } = ears;
    Asked::Sent { echo, peers: peers.into_iter().collect(), others: others.into_iter().collect() }
}

/// Shares the port, as all well-behaved speakers of mDNS do.
fn listening(family: Family) -> io::Result<Socket> {
    let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    let any: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => {
            socket.set_only_v6(true)?;
            Ipv6Addr::UNSPECIFIED.into()
        }
    };
    socket.bind(&SocketAddr::new(any, PORT).into())?;
    Ok(socket)
}

/// Sends and hears on this interface alone.
fn confine(socket: &Socket, interface: &Interface, family: Family) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Err(e) = socket.bind_device(Some(interface.name.as_bytes())) {
        // An old kernel grants it to root alone; answers may then be counted on more than one interface.
        tracing::debug!(interface = interface.name, "cannot listen on one interface alone: {e}");
    }
    match family {
        Family::V4 => {
            let own = interface.addresses.iter().find_map(|a| if let IpAddr::V4(ip) = a.ip { Some(ip) } else { None });
            let own = own.unwrap_or(Ipv4Addr::UNSPECIFIED);
            socket.join_multicast_v4(&GROUP_V4, &own)?;
            socket.set_multicast_if_v4(&own)?;
            socket.set_multicast_loop_v4(true)?;
            socket.set_multicast_ttl_v4(255)
        }
        Family::V6 => {
            socket.join_multicast_v6(&GROUP_V6, interface.index)?;
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_loop_v6(true)?;
            socket.set_multicast_hops_v6(255)
        }
    }
}

struct Question {
    id: u16,
    bytes: Vec<u8>,
}

fn question() -> Option<Question> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).ok()?;
    let mut message = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
    for name in [NODES, SERVICES] {
        message.add_query(Query::query(Name::from_str(name).ok()?, RecordType::PTR));
    }
    Some(Question { id: message.metadata.id, bytes: message.to_vec().ok()? })
}

struct Ears<'a> {
    id: u16,
    own: &'a [IpAddr],
    echo: bool,
    peers: BTreeSet<Heard>,
    others: BTreeSet<IpAddr>,
}

impl Ears<'_> {
    fn listen(&mut self, socket: &UdpSocket, until: Instant) {
        let mut buffer = [0; PACKET_BYTES_MAX];
        for _ in 0..PACKETS_MAX {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
                return;
            }
            match socket.recv_from(&mut buffer) {
                Ok((bytes, from)) => self.hear(&buffer[..bytes], from.ip()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn hear(&mut self, packet: &[u8], from: IpAddr) {
        let Ok(message) = Message::from_vec(packet) else { return };
        let here = self.own.contains(&from);
        if !message.queries.is_empty() {
            if here && message.metadata.id == self.id {
                self.echo = true;
            } else if !here && self.others.len() < HEARD_MAX {
                self.others.insert(from);
            }
            return;
        }
        let told = told(&message);
        if told.is_empty() && !here && self.others.len() < HEARD_MAX {
            self.others.insert(from);
        }
        for (peer, addresses) in told {
            if self.peers.len() < HEARD_MAX {
                self.peers.insert(Heard { from, peer, addresses, here });
            }
        }
    }
}

/// The nodes that an answer tells of, with their addresses.
fn told(message: &Message) -> Vec<(String, Vec<String>)> {
    let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let records = message.answers.iter().chain(&message.additionals);
    for record in records {
        let RData::TXT(text) = &record.data else { continue };
        for entry in text.txt_data.iter() {
            let address = std::str::from_utf8(entry).ok().and_then(|text| text.strip_prefix("dnsaddr="));
            if let Some((address, peer)) = address.and_then(|address| address.rsplit_once("/p2p/")) {
                nodes.entry(peer.to_owned()).or_default().push(address.to_owned());
            }
        }
    }
    nodes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::TXT;

    use super::*;

    fn ears(own: &[IpAddr]) -> Ears<'_> {
        Ears { id: 7, own, echo: false, peers: BTreeSet::new(), others: BTreeSet::new() }
    }

    fn answer(texts: &[&str]) -> Vec<u8> {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        for text in texts {
            let data = RData::TXT(TXT::new(vec![(*text).to_owned()]));
            message.additionals.push(Record::from_rdata(Name::from_str("a.local.").unwrap(), 60, data));
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn the_own_question_a_node_and_a_printer_are_told_apart() {
        let own: [IpAddr; 1] = ["10.0.0.1".parse().unwrap()];
        let (other, printer) = ("10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap());
        let mut ears = ears(&own);
        let mut question = question().unwrap();
        question.bytes[..2].copy_from_slice(&7_u16.to_be_bytes());
        ears.hear(&question.bytes, own[0]);
        ears.hear(
            &answer(&["dnsaddr=/ip4/10.0.0.2/tcp/4470/p2p/12D3", "dnsaddr=/ip6/fd00::2/tcp/4470/p2p/12D3"]),
            other,
        );
        ears.hear(&answer(&["paper=a4"]), printer);
        ears.hear(&answer(&["dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/12D4"]), own[0]);
        ears.hear(b"junk", printer);
        assert!(ears.echo);
        let heard: Vec<_> = ears.peers.iter().map(|p| (p.peer.as_str(), p.addresses.len(), p.here)).collect();
        assert_eq!(heard, [("12D4", 1, true), ("12D3", 2, false)]);
        assert_eq!(ears.others, [printer].into());
    }

    #[test]
    fn another_question_of_this_device_is_no_echo() {
        let own: [IpAddr; 1] = ["10.0.0.1".parse().unwrap()];
        let mut ears = ears(&own);
        let mut question = question().unwrap();
        question.bytes[..2].copy_from_slice(&8_u16.to_be_bytes());
        ears.hear(&question.bytes, own[0]);
        assert!(!ears.echo && ears.others.is_empty());
    }
}
