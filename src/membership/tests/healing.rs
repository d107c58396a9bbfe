//! How those who were lost come back, and how those who go are let go.

use super::cluster::{Cluster, id, ms, record};
use crate::id::Generation;
use crate::membership::{Event, Input, State};

#[test]
fn a_paused_node_comes_back_with_its_first_words() {
    let mut cluster = Cluster::at_rest(8, 1);
    cluster.pause(3, ms(6_000));
    cluster.run(ms(5_900));
    assert!(cluster.all_hold(3, State::Down));
    assert_eq!(cluster.machine(3).counters().refutations, 0);
    cluster.run(ms(100));
    let took = cluster.run_until(ms(5_000), Cluster::is_complete);
    eprintln!("back after a pause of 6 s, N = 8: {took:?}");
    assert!(took <= ms(1_000), "{took:?}");
    assert!((0..8).all(|n| n == 3 || cluster.view(n, 3).unwrap().incarnation().0 > 0));
    let blame = |e: &&Event| matches!(e, Event::Suspected { .. } | Event::Down { .. });
    assert_eq!(cluster.events(3).filter(blame).count(), 0, "it blames nobody");
}

#[test]
fn a_short_pause_costs_no_more_than_a_suspicion() {
    let mut cluster = Cluster::at_rest(8, 2);
    cluster.pause(3, ms(900));
    cluster.run(ms(5_000));
    assert!(cluster.is_complete());
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0);
}

#[test]
fn a_healed_partition_becomes_one_view_and_costs_neither_side_a_member() {
    for (size, seed) in [(8, 1), (8, 2), (32, 3)] {
        let mut cluster = Cluster::at_rest(size, seed);
        let left = |n: usize| n < size / 2;
        cluster.partition(left);
        cluster.run(ms(20_000));
        for (a, b) in pairs(size) {
            let expected = if left(a) == left(b) { State::Alive } else { State::Down };
            assert_eq!(cluster.state(a, b), Some(expected), "{b} seen by {a}");
        }
        cluster.forget_events();
        cluster.heal();
        let took = cluster.run_until(ms(10_000), Cluster::is_complete);
        eprintln!("partition healed to one view, N = {size}: {took:?}");
        assert!(took <= ms(4_000), "{took:?}");
        for (a, b) in pairs(size).filter(|(a, b)| left(*a) == left(*b)) {
            let lost = |e: &&Event| matches!(e, Event::Unroutable { member, .. } if *member == id(b));
            assert_eq!(cluster.events(a).filter(lost).count(), 0, "{a} lost {b} while healing");
        }
    }
}

fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size).flat_map(move |a| (0..size).map(move |b| (a, b))).filter(|(a, b)| a != b)
}

#[test]
fn a_cut_without_closed_links_heals_as_well() {
    let mut cluster = Cluster::at_rest(8, 5);
    cluster.silence(2);
    cluster.run(ms(10_000));
    assert!(cluster.all_hold(2, State::Down));
    cluster.heal();
    let took = cluster.run_until(ms(10_000), Cluster::is_complete);
    eprintln!("silent cut healed, N = 8: {took:?}");
    assert!(took <= ms(4_000), "{took:?}");
}

#[test]
fn a_restarted_node_supersedes_what_was_known_of_it() {
    let mut cluster = Cluster::at_rest(8, 6);
    cluster.kill(4);
    cluster.run(ms(200));
    cluster.restart(4);
    cluster.connect(4, 1);
    let took = cluster.run_until(ms(5_000), |c| {
        c.is_complete() && c.running().all(|n| n == 4 || c.view(n, 4).unwrap().generation() == Generation(2))
    });
    eprintln!("restarted node known to all, N = 8: {took:?}");
    assert!(took <= ms(1_500), "{took:?}");
    let joined =
        |e: &Event| matches!(e, Event::Joined { member, stamp } if *member == id(4) && stamp.start.generation.0 == 2);
    assert_eq!(cluster.count(joined), 7);
    cluster.run(ms(20_000));
    assert!(cluster.is_complete());
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0);
}

#[test]
fn a_restart_after_the_verdict_is_no_refutation_but_a_new_start() {
    let mut cluster = Cluster::at_rest(3, 7);
    cluster.kill(2);
    cluster.run_until(ms(10_000), |c| c.all_hold(2, State::Down));
    cluster.restart(2);
    cluster.connect(2, 0);
    cluster.run_until(ms(3_000), Cluster::is_complete);
    assert_eq!(cluster.count(|e| matches!(e, Event::Alive { .. })), 0);
}

#[test]
fn who_leaves_is_not_mourned() {
    let mut cluster = Cluster::at_rest(8, 8);
    cluster.input(6, Input::Leave);
    cluster.run(ms(50));
    assert!((0..8).filter(|n| *n != 6).all(|n| cluster.view(n, 6).is_none()));
    cluster.kill(6);
    cluster.run(ms(20_000));
    assert_eq!(cluster.count(|e| matches!(e, Event::Suspected { .. } | Event::Down { .. })), 0);
    assert_eq!(cluster.count(|e| matches!(e, Event::Left { member } if *member == id(6))), 7);
    assert_eq!(cluster.machine(6).poll_timeout(), None);
}

#[test]
fn who_missed_the_farewell_hears_it_from_others() {
    let mut cluster = Cluster::at_rest(8, 9);
    cluster.cut(6, 0);
    cluster.input(6, Input::Leave);
    cluster.run(ms(50));
    cluster.kill(6);
    cluster.run(ms(5_000));
    assert!(cluster.view(0, 6).is_none_or(|m| m.state() != State::Alive));
    assert_eq!(cluster.count(|e| matches!(e, Event::Suspected { member, .. } if *member != id(6))), 0);
}

#[test]
fn who_left_returns_with_a_new_start() {
    let mut cluster = Cluster::at_rest(3, 10);
    cluster.input(1, Input::Leave);
    cluster.kill(1);
    cluster.run(ms(1_000));
    cluster.restart(1);
    cluster.connect(1, 0);
    cluster.run_until(ms(3_000), Cluster::is_complete);
}

#[test]
fn a_changed_record_reaches_all_and_no_more_than_once_a_second() {
    let mut cluster = Cluster::at_rest(8, 11);
    let version = cluster.machine(0).me().stamp.version;
    for n in 0..40 {
        let mut changed = record(0);
        changed.priority = n;
        cluster.input(0, Input::Record(changed));
        cluster.run(ms(50));
    }
    cluster.run(ms(1_500));
    assert!((1..8).all(|n| cluster.view(n, 0).unwrap().record().priority == 39));
    let told = cluster.machine(0).me().stamp.version - version;
    assert!((2..=4).contains(&told), "{told} versions in two seconds");
}

#[test]
fn a_small_change_of_the_capability_is_not_told() {
    let mut cluster = Cluster::at_rest(3, 12);
    let mut changed = record(0);
    changed.capability.link_delay_s *= 1.05;
    cluster.input(0, Input::Record(changed));
    assert_eq!(cluster.machine(0).me().stamp.version, 1);
}

#[test]
fn a_member_that_gossip_missed_is_found_by_comparing_views() {
    let mut cluster = Cluster::new(3, 13);
    cluster.connect(1, 0);
    cluster.run(ms(1_000));
    cluster.cut(1, 0);
    cluster.cut(0, 2);
    cluster.connect(2, 1);
    cluster.run(ms(900));
    assert!(cluster.view(0, 2).is_none() && cluster.view(1, 2).is_some());
    cluster.heal();
    cluster.cut(0, 2);
    let took = cluster.run_until(ms(4_000), |c| c.view(0, 2).is_some());
    eprintln!("a member that gossip missed is known after {took:?}");
}
