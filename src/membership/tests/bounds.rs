//! What it costs, and that nothing a peer says makes it cost more or panic.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cluster::{Cluster, id, ms, record};
use crate::id::{Generation, Incarnation, NodeId};
use crate::membership::message::{Claim, ENTRIES_MAX, Entry, Kind, MESSAGE_BYTES_MAX, Message, Stamp, Start, Update};
use crate::membership::{Config, Event, Input, MEMBERS_MAX, Membership, Output};
use crate::time::Instant;

#[test]
fn idle_traffic_is_small_and_does_not_grow_with_the_fleet() {
    let mut rates = Vec::new();
    for size in [8, 16, 32, 64] {
        let mut cluster = Cluster::at_rest(size, 1);
        cluster.run(ms(10_000));
        let (messages, bytes) = cluster.traffic(ms(20_000));
        eprintln!("idle, busiest node, sent + received, N = {size}: {messages:.1} messages/s, {bytes:.0} bytes/s");
        assert!(messages <= 20.0 && bytes <= 4096.0, "N = {size}");
        rates.push(bytes);
    }
    assert!(rates[3] <= 1.2 * rates[0], "{rates:?}");
}

#[test]
fn no_message_is_longer_than_the_bound() {
    let mut cluster = Cluster::new(64, 2);
    for n in 0..64 {
        let mut large = record(n);
        large.addresses = vec!["a".repeat(128); 8];
        large.ready = (0..64).map(|i| crate::id::Digest([i; 32])).collect();
        cluster.input(n, Input::Record(large));
    }
    cluster.join_through_seed();
    let took = cluster.run_until(ms(20_000), Cluster::is_complete);
    eprintln!(
        "64 nodes with the largest records joined through one seed: {took:?}, longest message {} bytes",
        cluster.largest_message
    );
    assert!(cluster.largest_message <= MESSAGE_BYTES_MAX);
}

fn machine() -> Membership {
    Membership::new(id(0), Generation(1), record(0), [1; 32], Config::default(), Instant::ZERO)
}

fn stamp(generation: u64, incarnation: u32, version: u32) -> Stamp {
    let start = Start { generation: Generation(generation), nonce: generation };
    Stamp { start, incarnation: Incarnation(incarnation), version }
}

fn outputs(machine: &mut Membership) -> Vec<Output> {
    std::iter::from_fn(|| machine.poll_output()).collect()
}

#[test]
fn a_message_with_too_many_entries_is_refused() {
    let mut machine = machine();
    let entries = (0..=ENTRIES_MAX).map(|n| Entry { member: id(n), stamp: stamp(1, 0, 1) }).collect();
    let kind = Kind::Digest { first: NodeId([0; 32]), last: NodeId([255; 32]), entries };
    let message = Message { stamp: stamp(1, 0, 1), view: 0, kind, updates: Vec::new() };
    machine.handle(Instant::ZERO, Input::Message { from: id(1), message });
    assert_eq!(machine.counters().messages_refused, 1);
    assert_eq!(outputs(&mut machine), []);
}

#[test]
fn a_large_view_is_compared_window_by_window_in_bounded_messages() {
    let mut machine = machine();
    for n in 1..=1000 {
        let claim = Claim::Alive { stamp: stamp(u64::MAX, 0, u32::MAX), record: Some(Arc::new(record(n))) };
        let updates = vec![Update { member: id(n), claim }];
        let message = Message { stamp: stamp(1, 0, 1), view: 0, kind: Kind::State, updates };
        machine.handle(Instant::ZERO, Input::Message { from: id(n), message });
    }
    outputs(&mut machine);
    machine.handle(Instant::ZERO, Input::LinkUp { peer: id(1) });
    let sent: Vec<_> = outputs(&mut machine)
        .into_iter()
        .filter_map(|o| if let Output::Send { message, .. } = o { Some(message) } else { None })
        .collect();
    assert!(sent.iter().any(|m| matches!(&m.kind, Kind::Digest { entries, .. } if entries.len() == ENTRIES_MAX)));
    for message in sent {
        let bytes = bincode::serde::encode_to_vec(&message, bincode::config::standard()).unwrap();
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "{}", bytes.len());
    }
}

#[test]
fn a_full_view_lets_the_longest_dead_go_and_refuses_more_living() {
    let mut machine = machine();
    for n in 1..=MEMBERS_MAX + 3 {
        let claim = Claim::Alive { stamp: stamp(1, 0, 1), record: Some(Arc::new(record(n))) };
        let updates = vec![Update { member: id(n), claim }];
        let message = Message { stamp: stamp(1, 0, 1), view: 0, kind: Kind::Gossip, updates };
        machine.handle(Instant::ZERO, Input::Message { from: id(n), message });
        outputs(&mut machine);
    }
    assert_eq!(machine.members().count(), MEMBERS_MAX);
    assert_eq!(machine.counters().members_refused, 3);
}

fn any_id() -> impl Strategy<Value = NodeId> {
    prop_oneof![(0_usize..5).prop_map(id), any::<u8>().prop_map(|b| NodeId([b; 32]))]
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let number = prop_oneof![0_u64..4, Just(u64::MAX), any::<u64>()];
    let small = prop_oneof![0_u32..4, Just(u32::MAX), any::<u32>()];
    (number, 0_u64..3, small.clone(), small).prop_map(|(generation, nonce, incarnation, version)| Stamp {
        start: Start { generation: Generation(generation), nonce },
        incarnation: Incarnation(incarnation),
        version,
    })
}

fn any_update() -> impl Strategy<Value = Update> {
    (any_id(), any_id(), any_stamp(), 0..5, any::<u8>(), any::<f64>()).prop_map(|(member, by, stamp, kind, n, x)| {
        let (generation, incarnation) = (stamp.start.generation, stamp.incarnation);
        let mut odd = record(n.into());
        odd.capability.flops_per_s = x;
        odd.addresses = vec!["a".repeat(n.into()); usize::from(n) / 20];
        let claim = match kind {
            0 => Claim::Alive { stamp, record: None },
            1 => Claim::Alive { stamp, record: Some(Arc::new(odd)) },
            2 => Claim::Left { generation },
            3 => Claim::Suspect { generation, incarnation, by },
            _ => Claim::Down { generation, incarnation, by },
        };
        Update { member, claim }
    })
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let entry = (any_id(), any_stamp()).prop_map(|(member, stamp)| Entry { member, stamp });
    let seq = || prop_oneof![0_u64..20, any::<u64>()];
    prop_oneof![
        (seq(), any::<u32>()).prop_map(|(seq, round)| Kind::Ping { seq, round }),
        seq().prop_map(|seq| Kind::Ack { seq }),
        (seq(), any_id()).prop_map(|(seq, target)| Kind::PingRequest { seq, target }),
        (seq(), any_stamp()).prop_map(|(seq, stamp)| Kind::Reached { seq, stamp }),
        seq().prop_map(|seq| Kind::Nack { seq }),
        Just(Kind::Gossip),
        Just(Kind::State),
        (any_id(), any_id(), vec(entry, 0..6), any::<bool>()).prop_map(|(first, last, mut entries, sorted)| {
            if sorted {
                entries.sort_by_key(|e| e.member);
                entries.dedup_by_key(|e| e.member);
            }
            let (first, last) = if sorted { (NodeId([0; 32]), NodeId([255; 32])) } else { (first, last) };
            Kind::Digest { first, last, entries }
        }),
        vec(any_id(), 0..6).prop_map(|members| Kind::Want { members }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let message = (any_stamp(), any::<u64>(), any_kind(), vec(any_update(), 0..6))
        .prop_map(|(stamp, view, kind, updates)| Message { stamp, view, kind, updates });
    prop_oneof![
        8 => (any_id(), message).prop_map(|(from, message)| Input::Message { from, message }),
        1 => any_id().prop_map(|peer| Input::LinkUp { peer }),
        1 => any_id().prop_map(|peer| Input::LinkDown { peer }),
        1 => any_id().prop_map(|peer| Input::RequestFailed { peer }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_that_a_peer_says_makes_it_panic_or_run_in_circles(steps in vec((any_input(), 0_u64..800), 1..60)) {
        let mut machine = machine();
        let mut now = Instant::ZERO;
        for (input, millis) in steps {
            machine.handle(now, input);
            let end = now + ms(millis);
            let mut timeouts = 0;
            while let Some((at, why)) = machine.poll_timeout().filter(|(at, _)| *at <= end) {
                now = now.max(at);
                machine.handle_timeout(now);
                timeouts += 1;
                prop_assert!(timeouts < 2_000, "{why}");
            }
            now = end;
            let outputs = outputs(&mut machine);
            let of_me = |o: &Output| matches!(o, Output::Event(Event::Down { member, .. }) if *member == id(0));
            prop_assert!(!outputs.iter().any(of_me));
            prop_assert!(machine.member(id(0)).is_none());
        }
    }
}
