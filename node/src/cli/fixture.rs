//! A mesh as a node sees it, for tests of what commands make of it.

use rocoin::fleet::Capability;
use rocoin::id::{Generation, Incarnation, NodeId};
use rocoin::membership::State;
use rocoin::node::{MemberSnapshot, NodeSnapshot};

pub(super) fn id(n: u8) -> NodeId {
    NodeId([n; 32])
}

/// An alive member, `pi-n`.
pub(super) fn member(n: u8) -> MemberSnapshot {
    let capability = Capability {
        flops_per_s: 1e9,
        memory_bytes: 64 << 20,
        link_bits_per_s: 1e8,
        link_delay_s: 0.0,
        failure_probability: 0.01,
    };
    MemberSnapshot {
        node: id(n),
        name: format!("pi-{n}"),
        state: State::Alive,
        routable: true,
        generation: Generation(1),
        incarnation: Incarnation(0),
        capability,
        planned_with: Some(capability),
        http: Some(format!("192.168.1.{n}:8470")),
        epoch: None,
        ready: Vec::new(),
        bundles: Vec::new(),
        outvoted: 0,
        disputed: 0,
        distrusted: false,
    }
}

/// An alive member of that name, which was outvoted once.
pub(super) fn named(n: u8, name: &str) -> MemberSnapshot {
    MemberSnapshot { name: name.to_owned(), outvoted: 1, ..member(n) }
}

/// Five members as the first of them sees them, which leads; the last is down. Nothing is served.
pub(super) fn view() -> NodeSnapshot {
    let mut members: Vec<_> = (1..=5).map(member).collect();
    members[4].state = State::Down;
    members[4].planned_with = None;
    NodeSnapshot { leader: Some(id(1)), members, ..crate::actor::tests::snapshot() }
}
