//! One seed, one history; one identity, one device.

use std::sync::Arc;

use super::cluster::{Cluster, id, ms, record};
use crate::id::Generation;
use crate::membership::message::{Claim, Kind, Message, Update};
use crate::membership::{Config, Event, Input, Membership, Output, State};
use crate::time::Instant;

fn story(seed: u64) -> u64 {
    let mut cluster = Cluster::at_rest(8, seed);
    cluster.loss = 0.02;
    cluster.kill(2);
    cluster.pause(4, ms(700));
    cluster.run(ms(3_000));
    cluster.restart(2);
    cluster.connect(2, 7);
    cluster.run(ms(3_000));
    cluster.history
}

#[test]
fn one_seed_gives_one_history() {
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

/// A device with the identity of node `n`, its state folder copied before it started for the `generation`th time.
fn clone_of(n: usize, generation: u64) -> Membership {
    let mut copy = record(n);
    copy.name = format!("copy-of-{n}");
    Membership::new(id(n), Generation(generation), copy, [77; 32], Config::default(), Instant::ZERO)
}

/// What the copy says when it meets node `peer`.
fn first_words(mut copy: Membership, peer: usize) -> Vec<Message> {
    copy.handle(Instant::ZERO, Input::LinkUp { peer: id(peer) });
    let mut words = Vec::new();
    while let Some(output) = copy.poll_output() {
        if let Output::Send { message, .. } = output {
            words.push(message);
        }
    }
    words
}

fn clashes(cluster: &Cluster, n: usize) -> Vec<(String, String)> {
    let names = |e: &Event| {
        let Event::IdentityClash { member, known, other } = e else { return None };
        (*member == id(2)).then_some((known.name.clone()?, other.name.clone()?))
    };
    cluster.events(n).filter_map(names).collect()
}

#[test]
fn two_devices_with_one_identity_are_noticed_and_named_by_a_third() {
    for generation in [1, 0] {
        let mut cluster = Cluster::at_rest(3, 1);
        for message in first_words(clone_of(2, generation), 0) {
            cluster.forge(2, 0, message);
        }
        assert_eq!(clashes(&cluster, 0), [("node-2".to_owned(), "copy-of-2".to_owned())], "generation {generation}");
    }
}

#[test]
fn a_device_notices_its_copy_from_gossip() {
    for generation in [1, 5] {
        let mut cluster = Cluster::at_rest(3, 2);
        let me = clone_of(2, generation);
        let claim = Claim::Alive { stamp: me.me().stamp, record: Some(Arc::new(me.me().record.clone())) };
        let stamp = cluster.machine(0).me().stamp;
        let updates = vec![Update { member: id(2), claim }];
        for _ in 0..5 {
            let message = Message { stamp, view: 0, kind: Kind::Gossip, updates: updates.clone() };
            cluster.forge(0, 2, message);
        }
        assert_eq!(clashes(&cluster, 2), [("node-2".to_owned(), "copy-of-2".to_owned())], "told once");
    }
}

#[test]
fn a_restart_is_no_clash() {
    let mut cluster = Cluster::at_rest(8, 3);
    for _ in 0..3 {
        cluster.kill(2);
        cluster.run(ms(10));
        cluster.restart(2);
        cluster.connect(2, 0);
        cluster.run(ms(2_000));
    }
    assert!(cluster.is_complete());
    assert_eq!(cluster.count(|e| matches!(e, Event::IdentityClash { .. })), 0);
}

#[test]
fn a_late_word_of_an_earlier_start_does_not_bring_back_a_member_that_is_down() {
    let mut cluster = Cluster::at_rest(4, 5);
    let words_of_the_first_start = first_words(clone_of(2, 1), 0);
    cluster.kill(2);
    cluster.restart(2);
    cluster.connect(2, 0);
    cluster.run(ms(2_000));
    cluster.kill(2);
    cluster.run(ms(10_000));
    assert_eq!(cluster.state(0, 2), Some(State::Down));
    for message in words_of_the_first_start {
        cluster.forge(2, 0, message);
    }
    assert_eq!(cluster.state(0, 2), Some(State::Down));
    assert_eq!(cluster.view(0, 2).unwrap().generation(), Generation(2));
}

#[test]
fn a_device_whose_state_was_restored_from_an_older_copy_is_let_back_in_over_a_link() {
    let mut cluster = Cluster::at_rest(4, 6);
    cluster.kill(2);
    cluster.run(ms(10_000));
    assert_eq!(cluster.state(0, 2), Some(State::Down));
    cluster.input(0, Input::LinkUp { peer: id(2) });
    for message in first_words(clone_of(2, 0), 0) {
        cluster.forge(2, 0, message);
    }
    assert_eq!(cluster.state(0, 2), Some(State::Alive));
    assert_eq!(cluster.view(0, 2).unwrap().generation(), Generation(0));
}
