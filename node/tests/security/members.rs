//! Members that break the protocol.

use std::sync::Arc;

use rocoin::id::{Digest, Epoch, Generation, Incarnation, NodeId, Term};
use rocoin::leadership::{self, EpochPlan};
use rocoin::membership;
use rocoin::membership::message::{Entry, Kind, Stamp};
use rocoin::wire::Message;
use rocoin_netsim::harness::{Mesh, wait_until};

use super::fleet::{Load, PATIENCE, all_routable, binary, counter, logged, options, serving};
use super::hostile::{Hostile, framed};

const STAMP: Stamp =
    Stamp { start: membership::Start { generation: Generation(1), nonce: 7 }, incarnation: Incarnation(0), version: 1 };

fn membership(kind: Kind) -> Vec<u8> {
    framed(&Message::Membership(membership::Message { stamp: STAMP, view: 0, kind, updates: Vec::new() }))
}

/// An impossible message of the right form: the members of a window are in order.
fn disordered() -> Vec<u8> {
    let entry = |n| Entry { member: NodeId([n; 32]), stamp: STAMP };
    membership(Kind::Digest { first: NodeId([0; 32]), last: NodeId([9; 32]), entries: vec![entry(5), entry(4)] })
}

/// The plan of a leader long gone.
fn stale() -> Vec<u8> {
    let epoch = Epoch { term: Term(0), leader: NodeId([1; 32]), sequence: 1 };
    let plan = EpochPlan { epoch, bundle: Digest([2; 32]), groups: Vec::new(), feasible: true };
    framed(&Message::Leadership(leadership::Message::Plan(Arc::new(plan))))
}

#[test]
fn members_that_break_the_protocol_are_cut_off_and_named_and_the_others_go_on_answering() {
    let mesh = serving(Mesh::new(binary()).unwrap(), ["a", "b", "c"].map(options).to_vec());
    let victim = &mesh.nodes()[1];
    let address = victim.announcement().unwrap().addresses[0].clone();
    let load = Load::start(&mesh, &[0, 1, 2]);
    load.answer(5);

    type Frames = Box<dyn Iterator<Item = Vec<u8>>>;
    let offences: [(&str, Frames, &str); 5] = [
        ("malformed", Box::new([[&4_u32.to_le_bytes()[..], b"\x01ab\0"].concat()].into_iter()), "the bytes end after"),
        ("oversized", Box::new([u32::MAX.to_le_bytes().to_vec()].into_iter()), "a frame of 4294967295 bytes"),
        ("too-many", Box::new((0..).map(|seq| membership(Kind::Nack { seq }))), "too many frames in the Control lane"),
        ("impossible", Box::new((0..).map(|_| disordered())), "membership messages that make no sense"),
        ("stale", Box::new((0..).map(|_| stale())), "stale claims and plans"),
    ];
    for (count, (name, frames, what)) in offences.into_iter().enumerate() {
        let hostile = Hostile::connect(&mesh.fleet_key(), &address).expect("it has the key");
        let introduction = hostile.introduction(name);
        hostile.send([introduction].into_iter().chain(frames));
        assert!(hostile.is_cut_off(), "{name}");
        let line = logged(victim, &["cut off for 60 s", what, &hostile.id.to_string()]);
        assert!(line.contains("WARN") && line.contains(&format!("{name} (")), "by its name: {line}");
        assert_eq!(counter(victim, "network_offences"), count as u64 + 1);
    }
    assert!(counter(victim, "conduct_cut_off") >= 2, "two were judged by the node, the others by the lane's rules");

    load.answer(5);
    let (answered, failed) = load.stop();
    assert!(failed.is_empty() && answered >= 10, "{failed:?}");
    all_routable(&mesh, 3);
    for other in [0, 2] {
        assert_eq!(counter(&mesh.nodes()[other], "network_offences"), 0, "nobody else was cut off");
    }
}

#[test]
fn a_member_that_only_keeps_silent_or_speaks_another_version_is_no_offender() {
    let mesh = serving(Mesh::new(binary()).unwrap(), ["a", "b"].map(options).to_vec());
    let victim = &mesh.nodes()[0];
    let address = victim.announcement().unwrap().addresses[0].clone();
    let silent = Hostile::connect(&mesh.fleet_key(), &address).expect("it has the key");
    wait_until("the silent one is linked", PATIENCE, || {
        let sent = victim.status().unwrap().members.len();
        if sent >= 2 { Ok(()) } else { Err(sent.to_string()) }
    })
    .unwrap();
    let load = Load::start(&mesh, &[0, 1]);
    load.answer(20);
    assert!(load.stop().1.is_empty());
    assert!(!silent.is_cut_off());
    assert_eq!(counter(victim, "network_offences"), 0);
}
