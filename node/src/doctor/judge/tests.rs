//! What the judges' tests share, and that none of the findings is without one.

use rocoin::id::NodeId;

use crate::doctor::facts::{Address, Connect, Greeting, Handshake, Http, Interface, Met, Path, Reached, Target};
use crate::doctor::finding::{Code, Finding};
use crate::network::PROTOCOL;

pub(super) fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|f| f.code).collect()
}

pub(super) fn remedies(findings: &[Finding]) -> String {
    findings.iter().flat_map(|f| f.remedies.clone()).collect::<Vec<_>>().join("\n")
}

/// Up, with addresses of both families and a link-local one.
pub(super) fn ethernet() -> Interface {
    let address = |ip: &str, prefix_bits| Address { ip: ip.parse().unwrap(), prefix_bits };
    Interface {
        name: "eth0".to_owned(),
        index: 2,
        up: true,
        multicast: true,
        addresses: vec![address("192.168.1.7", 24), address("fd00::7", 64), address("fe80::7", 64)],
        ..Interface::default()
    }
}

pub(super) fn connected(greeting: Greeting, handshake: Handshake) -> Connect {
    Connect::Connected { round_trip_ms: 0.5, greeting, handshake }
}

/// A node with which all is well.
pub(super) fn met() -> Connect {
    let met = Met {
        peer: "12D3KooWabcdefgh".to_owned(),
        node: Some(NodeId([1; 32])),
        protocol: Some(PROTOCOL.to_owned()),
        agent: Some("rocoin/0.1.0".to_owned()),
        lane_ms: Some(0.7),
        turned_away: false,
    };
    connected(Greeting::Nonce, Handshake::Done(met))
}

pub(super) fn target(address: &str, connect: Connect) -> Target {
    let path = Path { address: address.parse().unwrap(), source: None, connect };
    Target { given: address.to_owned(), expected_peer: None, here: false, outcome: Reached::Mesh { paths: vec![path] } }
}

pub(super) fn http_node(ahead_s: Option<i64>) -> Target {
    let http = Http::Node { node: NodeId([2; 32]), name: "pi".to_owned(), alive: 1, others: 1, ahead_s };
    Target {
        given: "http://pi:8470".to_owned(),
        expected_peer: None,
        here: false,
        outcome: Reached::Http { url: "http://pi:8470".to_owned(), http },
    }
}

#[test]
fn every_finding_has_a_test() {
    let tests = [
        include_str!("clock.rs"),
        include_str!("device.rs"),
        include_str!("files.rs"),
        include_str!("firewall.rs"),
        include_str!("interfaces.rs"),
        include_str!("multicast.rs"),
        include_str!("ports.rs"),
        include_str!("running.rs"),
        include_str!("target.rs"),
    ]
    .map(|source| source.split_once("#[cfg(test)]").unwrap().1)
    .concat();
    for code in Code::ALL {
        let name = format!("Code::{code:?}");
        let named = tests
            .match_indices(&name)
            .any(|(at, _)| !tests[at + name.len()..].starts_with(|c: char| c.is_alphanumeric()));
        assert!(named, "no test expects {name}");
    }
}

#[test]
fn addresses_are_beside_each_other_by_their_network_alone() {
    let address = |ip: &str, prefix_bits| Address { ip: ip.parse().unwrap(), prefix_bits };
    for (own, other, expected) in [
        (address("192.168.1.7", 24), "192.168.1.200", true),
        (address("192.168.1.7", 24), "192.168.2.7", false),
        (address("10.0.0.1", 0), "11.0.0.1", true),
        (address("10.0.0.1", 32), "10.0.0.2", false),
        (address("fd00::1", 64), "fd00::ffff", true),
        (address("fd00::1", 64), "fd01::1", false),
        (address("10.0.0.1", 8), "fd00::1", false),
    ] {
        assert_eq!(own.is_beside(other.parse().unwrap()), expected, "{own:?} {other}");
    }
}
