//! What the words of others can do, and cannot.

use std::sync::Arc;

use super::cluster::{Cluster, id, ms};
use crate::id::{Generation, Incarnation};
use crate::membership::message::{Claim, Kind, Message, Update};
use crate::membership::{Event, Input, State};

/// A message of node `from` with these claims about node `of`.
fn says(cluster: &Cluster, from: usize, of: usize, claims: Vec<Claim>) -> Message {
    let updates = claims.into_iter().map(|claim| Update { member: id(of), claim }).collect();
    Message { stamp: cluster.machine(from).me().stamp, view: 0, kind: Kind::Gossip, updates }
}

fn down(by: usize, incarnation: u32) -> Claim {
    Claim::Down { generation: Generation(1), incarnation: Incarnation(incarnation), by: id(by) }
}

fn suspect(by: usize, incarnation: u32) -> Claim {
    Claim::Suspect { generation: Generation(1), incarnation: Incarnation(incarnation), by: id(by) }
}

#[test]
fn the_lies_of_one_kill_nobody() {
    let mut cluster = Cluster::at_rest(8, 1);
    for round in 0..100 {
        let lies = (2..8).flat_map(|by| [suspect(by, round), down(by, round)]).collect();
        let message = says(&cluster, 1, 3, lies);
        cluster.forge(1, 0, message);
        cluster.run(ms(100));
    }
    cluster.run(ms(5_000));
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0);
    assert!(cluster.is_complete());
}

#[test]
fn a_verdict_of_others_is_checked_before_anything_is_believed() {
    let mut cluster = Cluster::at_rest(8, 2);
    let message = says(&cluster, 1, 3, vec![down(1, 0)]);
    cluster.forge(1, 0, message);
    assert!(cluster.machine(0).is_routable(id(3)));
    cluster.run(ms(3_000));
    assert_eq!(cluster.count(|e| matches!(e, Event::Suspected { .. } | Event::Unroutable { .. })), 0);
    assert!(cluster.view(0, 3).unwrap().incarnation() > Incarnation(0), "it was told, and refuted");
}

#[test]
fn a_suspicion_of_others_is_refuted_within_a_round_trip() {
    let mut cluster = Cluster::at_rest(8, 3);
    let message = says(&cluster, 1, 3, vec![suspect(1, 0)]);
    cluster.forge(1, 0, message);
    assert!(!cluster.machine(0).is_routable(id(3)));
    cluster.run(ms(5));
    assert!(cluster.machine(0).is_routable(id(3)));
}

#[test]
fn a_false_farewell_is_not_believed() {
    let mut cluster = Cluster::at_rest(8, 4);
    let message = says(&cluster, 1, 3, vec![Claim::Left { generation: Generation(1) }]);
    cluster.forge(1, 0, message);
    cluster.run(ms(5_000));
    assert!(cluster.is_complete());
    assert_eq!(cluster.count(|e| matches!(e, Event::Left { .. })), 0);
}

#[test]
fn counters_that_jump_are_refused() {
    let mut cluster = Cluster::at_rest(3, 5);
    let mut stamp = cluster.machine(2).me().stamp;
    stamp.incarnation = Incarnation(u32::MAX);
    let message = says(&cluster, 1, 2, vec![Claim::Alive { stamp, record: None }, suspect(1, u32::MAX)]);
    cluster.forge(1, 0, message);
    assert_eq!(cluster.machine(0).counters().updates_refused, 2);
    assert_eq!(cluster.view(0, 2).unwrap().incarnation(), Incarnation(0));
}

#[test]
fn a_record_beyond_the_bounds_is_refused_and_the_old_one_stays() {
    let mut cluster = Cluster::at_rest(3, 6);
    let mut stamp = cluster.machine(2).me().stamp;
    stamp.version += 1;
    let mut record = cluster.machine(2).me().record.clone();
    record.name = "x".repeat(65);
    let message = says(&cluster, 1, 2, vec![Claim::Alive { stamp, record: Some(Arc::new(record)) }]);
    cluster.forge(1, 0, message);
    assert_eq!(cluster.machine(0).counters().records_refused, 1);
    assert_eq!(cluster.view(0, 2).unwrap().record().name, "node-2");
}

#[test]
fn a_peer_that_hears_us_but_that_we_cannot_hear_is_alive_and_not_routable() {
    let mut cluster = Cluster::at_rest(8, 7);
    cluster.cut(3, 0);
    cluster.input(0, Input::RequestFailed { peer: id(3) });
    cluster.run(ms(500));
    for _ in 0..40 {
        cluster.run(ms(500));
        assert_ne!(cluster.state(0, 3), Some(State::Down));
        assert!(!cluster.machine(0).is_routable(id(3)));
        assert!((1..8).filter(|n| *n != 3).all(|n| cluster.machine(n).is_routable(id(3))));
    }
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0);
    cluster.heal();
    let took = cluster.run_until(ms(10_000), Cluster::is_complete);
    eprintln!("one-way cut healed, N = 8: {took:?}");
}

#[test]
fn a_peer_that_we_hear_but_that_cannot_hear_us_is_alive_and_not_routable() {
    let mut cluster = Cluster::at_rest(8, 8);
    cluster.cut(0, 3);
    cluster.run(ms(10_000));
    assert!(!cluster.machine(0).is_routable(id(3)));
    assert_eq!(cluster.state(0, 3), Some(State::Alive));
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0);
}
