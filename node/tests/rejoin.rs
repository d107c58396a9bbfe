//! A node whose address or interface changes is back in the mesh, as itself. On hosts that are network namespaces; skipped, with the
//! reason printed, where there can be none.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocoin::membership::State;
use rocoin_netsim::harness::{Mesh, NodeOptions, wait_until};
use rocoin_netsim::lab::hosts::{Host, Hosts};

const BINARY: &str = env!("CARGO_BIN_EXE_rocoin");
/// Nothing here takes this long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two nodes, each on a host of its own, with addresses of one family.
struct Pair {
    // Dropped in this order: nodes end before their hosts go.
    mesh: Mesh,
    hosts: Hosts,
}

impl Pair {
    /// `None`, with the reason printed, where there can be no hosts. Without mDNS the second is told of the first.
    fn new(family: &str, mdns: bool) -> Option<Self> {
        if let Err(reason) = Hosts::available() {
            println!("skipped: {reason}");
            return None;
        }
        let hosts = Hosts::new(2).unwrap();
        for host in hosts.all() {
            host.ip(&[if family == "ip4" { "-6" } else { "-4" }, "addr", "flush", "dev", "eth0"]).unwrap();
        }
        let mut mesh = Mesh::new(Path::new(BINARY)).unwrap();
        for (i, host) in hosts.all().iter().enumerate() {
            let flags: Vec<String> = ["--flops-per-s", "1e9"].map(str::to_owned).to_vec();
            let place = Arc::clone(host.namespace());
            let name = format!("node-{i}");
            let options = NodeOptions { flags, mdns, seeded: !mdns, place: Some(place), ..NodeOptions::named(&name) };
            mesh.start(options).unwrap();
        }
        let pair = Self { mesh, hosts };
        pair.until("they meet", Self::meet);
        Some(pair)
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> Result<(), String>) {
        let start = Instant::now();
        wait_until(what, PATIENCE, || holds(self).map_err(|lacking| format!("{lacking}\n{}", self.logs()))).unwrap();
        println!("{what}: after {:.1} s", start.elapsed().as_secs_f64());
    }

    /// Each sees the other alive, and nobody else.
    fn meet(&self) -> Result<(), String> {
        for node in self.mesh.nodes() {
            let status = node.status().map_err(|e| e.to_string())?;
            let alive = status.members.iter().filter(|m| m.state == State::Alive && m.routable).count();
            if (alive, status.members.len()) != (2, 2) {
                return Err(format!("{} sees {alive} of {} alive", status.name, status.members.len()));
            }
        }
        Ok(())
    }

    /// They meet over this address of the second, and over no other.
    fn meet_at(&self, address: &str, others: &[&str]) -> Result<(), String> {
        self.meet()?;
        let connections = self.hosts.all()[0].command("ss").args(["-Htn", "state", "established"]).output();
        let connections = String::from_utf8(connections.map_err(|e| e.to_string())?.stdout).unwrap_or_default();
        let to = |ip: &str| connections.contains(&format!("{ip}:")) || connections.contains(&format!("[{ip}]:"));
        if !to(address) || others.iter().any(|other| to(other)) {
            return Err(format!("connected otherwise: {connections}"));
        }
        Ok(())
    }

    fn part(&self) -> Result<(), String> {
        match self.meet() {
            Err(_) => Ok(()),
            Ok(()) => Err("they still meet".to_owned()),
        }
    }

    fn second(&self) -> &Host {
        &self.hosts.all()[1]
    }

    fn ip(&self, arguments: &str) {
        self.second().ip(&arguments.split(' ').collect::<Vec<_>>()).unwrap();
    }

    fn change_address(&self) {
        self.ip("addr del 10.77.0.2/24 dev eth0");
        self.ip("addr add 10.77.0.22/24 dev eth0");
    }

    fn logs(&self) -> String {
        self.mesh.nodes().iter().map(|node| format!("{}\n", node.log_tail())).collect()
    }
}

#[test]
fn a_node_whose_address_changes_while_it_runs_is_back_by_multicast() {
    let Some(pair) = Pair::new("ip4", true) else { return };
    let id = pair.mesh.nodes()[1].status().unwrap().node;
    pair.change_address();
    pair.until("back at the new address", |pair| pair.meet_at("10.77.0.22", &["10.77.0.2"]));
    assert_eq!(pair.mesh.nodes()[1].status().unwrap().node, id);
}

#[test]
fn a_node_whose_address_changes_while_it_runs_is_back_without_multicast() {
    let Some(pair) = Pair::new("ip4", false) else { return };
    pair.change_address();
    pair.until("back at the new address", |pair| pair.meet_at("10.77.0.22", &["10.77.0.2"]));
}

#[test]
fn a_node_whose_address_changed_while_it_was_stopped_is_back_as_itself() {
    for mdns in [true, false] {
        let Some(mut pair) = Pair::new("ip4", mdns) else { return };
        let id = pair.mesh.nodes()[1].id().unwrap();
        let remembered = pair.mesh.node(1).state_dir().join("peers.json");
        pair.until("the first is remembered", |_| match std::fs::read_to_string(&remembered) {
            Ok(text) if text.contains("10.77.0.1") => Ok(()),
            other => Err(format!("{other:?}")),
        });
        pair.mesh.node(1).stop().unwrap();
        pair.change_address();
        pair.mesh.node(1).start(&[]).unwrap();
        pair.until("back at the new address", |pair| pair.meet_at("10.77.0.22", &["10.77.0.2"]));
        assert_eq!(pair.mesh.nodes()[1].id().unwrap(), id);
    }
}

#[test]
fn an_interface_that_goes_down_and_comes_back_is_used_again_in_ipv4() {
    let Some(pair) = Pair::new("ip4", true) else { return };
    pair.ip("link set eth0 down");
    pair.until("they part", Pair::part);
    pair.ip("link set eth0 up");
    pair.ip("route replace 224.0.0.0/4 dev eth0");
    pair.until("back", |pair| pair.meet_at("10.77.0.2", &[]));
}

#[test]
fn an_interface_that_goes_down_and_comes_back_is_used_again_in_ipv6() {
    let Some(pair) = Pair::new("ip6", true) else { return };
    // With the interface its addresses of IPv6 go, and the listeners on them.
    pair.ip("link set eth0 down");
    pair.until("they part", Pair::part);
    pair.ip("link set eth0 up");
    pair.ip("-6 addr add fd77::2/64 dev eth0 nodad");
    pair.until("back", |pair| pair.meet_at("fd77::2", &[]));
}
