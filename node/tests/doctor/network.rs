//! Faults of a network, on hosts of their own.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;

use rocoin_netsim::harness::Mesh;
use rocoin_netsim::lab::hosts::{Host, Hosts};

use super::support::{BINARY, Said, address, examine, mesh, node, text, until};

/// A node on the first host; the doctor is on the second.
struct Ward {
    // Dropped in this order: nodes end before their hosts go.
    mesh: Mesh,
    hosts: Hosts,
}

impl Ward {
    /// `None`, with the reason printed, where there can be no hosts.
    fn new(flags: &[&str]) -> Option<Self> {
        if let Err(reason) = Hosts::available() {
            println!("skipped: {reason}");
            return None;
        }
        let hosts = Hosts::new(2).unwrap();
        let mut mesh = mesh();
        let listen = ["--listen", "/ip4/0.0.0.0/tcp/4470,/ip6/::/tcp/4470"];
        let place = Arc::clone(hosts.all()[0].namespace());
        mesh.start(node("away", &[&listen[..], flags].concat(), Some(place))).unwrap();
        Some(Self { mesh, hosts })
    }

    fn here(&self) -> &Host {
        &self.hosts.all()[1]
    }

    fn ip(&self, arguments: &str) {
        self.here().ip(&arguments.split(' ').collect::<Vec<_>>()).unwrap();
    }

    /// On the second host, with the fleet's key.
    fn doctor(&self, arguments: &[&str]) -> Said {
        let key = self.mesh.fleet_key();
        examine(self.here().command(BINARY), &[&["--fleet-key-file", text(&key)][..], arguments].concat())
    }

    fn at(&self, family: &str) -> String {
        address(&self.mesh, 0, &format!("/{family}/{}", if family == "ip4" { "10.77" } else { "fd77" }))
    }
}

#[test]
fn all_is_well_where_all_is_well() {
    let Some(ward) = Ward::new(&[]) else { return };
    let (v4, v6) = (ward.at("ip4"), ward.at("ip6"));
    let said = until(
        "all is well",
        || ward.doctor(&["--against", &v4, "--against", &v6]),
        |said| said.code == Some(0) && said.has("well", "multicast-heard"),
    );
    let heard = said.report["findings"].as_array().unwrap().iter().filter(|f| f["code"] == "multicast-heard").count();
    let met = said.report["findings"].as_array().unwrap().iter().filter(|f| f["code"] == "target-met").count();
    assert_eq!((heard, met), (2, 2), "in both families: {:#}", said.report);
}

#[test]
fn an_interface_without_multicast_or_a_link_is_told() {
    let Some(ward) = Ward::new(&[]) else { return };
    ward.ip("link set dev eth0 multicast off");
    let said = ward.doctor(&[]);
    assert_eq!((said.wrong(), said.code), (vec!["interface-without-multicast"], Some(1)));
    assert!(said.remedies("interface-without-multicast").contains("ip link set dev eth0 multicast on"));
    ward.ip("link set dev eth0 down");
    let said = ward.doctor(&[]);
    assert!(said.has("notice", "interface-down") && said.has("wrong", "no-interface"), "{said:?}");
}

#[test]
fn multicast_that_is_lost_between_two_that_reach_each_other_is_told() {
    let Some(ward) = Ward::new(&[]) else { return };
    let at = ward.at("ip4");
    // As an access point that keeps its stations' multicast to itself: the switch floods none into this host's port.
    let (prefix, _) = ward.here().namespace().name().rsplit_once('-').unwrap();
    let switch = format!("{prefix}-switch");
    let bridge = |flag: &str| {
        let arguments = ["netns", "exec", &switch, "bridge", "link", "set", "dev", "port1", "mcast_flood", flag];
        assert!(Command::new("ip").args(arguments).status().unwrap().success());
    };
    bridge("off");
    let said = until("the loss is seen", || ward.doctor(&["--against", &at]), |said| said.has("well", "target-met"));
    assert!(said.has("wrong", "multicast-not-passing") && said.code == Some(1), "{said:?}");
    assert!(said.remedies("multicast-not-passing").contains("--peer"));
    let alone = ward.doctor(&[]);
    assert!(alone.has("notice", "multicast-silent"), "without the node's address it cannot be told: {alone:?}");
    bridge("on");
    until("it is heard again", || ward.doctor(&["--against", &at]), |said| said.code == Some(0));
}

#[test]
fn a_program_that_keeps_the_mdns_port_to_itself_is_told() {
    let Some(ward) = Ward::new(&[]) else { return };
    let _kept = ward.here().namespace().within(|| UdpSocket::bind("0.0.0.0:5353").unwrap()).unwrap();
    let said = ward.doctor(&[]);
    assert!(said.has("wrong", "mdns-port-taken"), "{said:?}");
    assert!(said.remedies("mdns-port-taken").contains("ss -lunp"));
}

#[test]
fn silence_a_dead_address_and_a_missing_route_are_told_apart() {
    let Some(ward) = Ward::new(&[]) else { return };
    let at = ward.at("ip4");
    let said = ward.doctor(&["--against", "10.99.0.1:4470"]);
    assert!(said.has("wrong", "target-no-route"), "{said:?}");
    let said = ward.doctor(&["--against", "10.77.0.99:4470"]);
    assert!(said.has("wrong", "target-unreachable"), "{said:?}");
    // What the node's host answers is lost, as behind a firewall that drops.
    ward.hosts.all()[0].ip(&["route", "add", "blackhole", "10.77.0.2/32"]).unwrap();
    let said = ward.doctor(&["--against", &at]);
    assert!(said.has("wrong", "target-timed-out"), "{said:?}");
}

#[test]
fn an_address_of_a_family_that_this_device_lacks_is_told() {
    let Some(ward) = Ward::new(&[]) else { return };
    let (v4, v6) = (ward.at("ip4"), ward.at("ip6"));
    ward.ip("-6 addr del fd77::2/64 dev eth0");
    let said = until(
        "the other family is met",
        || ward.doctor(&["--against", &v6, "--against", &v4]),
        |said| said.has("well", "target-met"),
    );
    assert_eq!(said.wrong(), ["target-family-missing"]);
    assert!(said.remedies("target-family-missing").contains("IPv4"));
    ward.ip("-6 addr add fd77::2/64 dev eth0 nodad");
    ward.ip("-4 addr del 10.77.0.2/24 dev eth0");
    let said = until(
        "the other family is met",
        || ward.doctor(&["--against", &v6, "--against", &v4]),
        |said| said.has("well", "target-met"),
    );
    assert_eq!(said.wrong(), ["target-family-missing"]);
}

#[test]
fn a_device_with_link_local_addresses_alone_has_no_network() {
    let Some(ward) = Ward::new(&[]) else { return };
    ward.ip("-4 addr del 10.77.0.2/24 dev eth0");
    ward.ip("-6 addr del fd77::2/64 dev eth0");
    let said = ward.doctor(&["--against", "[fe80::1]:4470"]);
    assert!(said.has("notice", "interface-link-local-only") && said.has("wrong", "no-interface"), "{said:?}");
    assert!(said.has("wrong", "target-link-local"), "{said:?}");
}

#[test]
fn a_cloned_device_is_told() {
    let Some(mut ward) = Ward::new(&[]) else { return };
    let (at, original) = (ward.at("ip4"), ward.mesh.node(0).state_dir());
    let dir = tempfile::tempdir().unwrap();
    let clone = dir.path().join("state");
    fs::create_dir(&clone).unwrap();
    fs::copy(original.join("identity.key"), clone.join("identity.key")).unwrap();
    let said = until(
        "the clone is seen",
        || ward.doctor(&["--state-dir", text(&clone), "--against", &at]),
        |said| said.has("wrong", "target-same-identity"),
    );
    assert!(said.remedies("target-same-identity").contains(text(&clone)), "{said:?}");
}
