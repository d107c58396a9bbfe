//! How soon deaths are found, and that lives are not.

use super::cluster::{Cluster, id, ms};
use crate::membership::{Event, Input, State};

const TRIALS: u64 = 50;

#[test]
fn nodes_that_know_one_seed_come_to_know_all() {
    for size in [2, 3, 8, 32] {
        let mut cluster = Cluster::new(size, 1);
        cluster.join_through_seed();
        let took = cluster.run_until(ms(5_000), Cluster::is_complete);
        eprintln!("join through one seed, N = {size}: {took:?}");
        assert!(took <= ms(1_000), "N = {size}: {took:?}");
        cluster.run(ms(60_000));
        assert_eq!(cluster.count(|e| matches!(e, Event::Suspected { .. })), 0, "N = {size}");
    }
}

#[test]
fn a_silent_death_is_suspected_and_confirmed_within_the_targets() {
    for size in [3, 8, 32] {
        let mut suspected = Vec::new();
        let mut confirmed = Vec::new();
        for seed in 0..TRIALS {
            let mut cluster = Cluster::at_rest(size, seed);
            let victim = usize::try_from(seed).unwrap() % size;
            cluster.silence(victim);
            let start = cluster.now;
            let others: Vec<_> = (0..size).filter(|n| *n != victim).collect();
            let holds = |c: &Cluster, n: usize, s| c.state(n, victim) == Some(s);
            cluster.run_until(ms(20_000), |c| others.iter().any(|n| holds(c, *n, State::Suspect)));
            suspected.push(cluster.now.since(start));
            cluster.run_until(ms(20_000), |c| others.iter().all(|n| holds(c, *n, State::Down)));
            confirmed.push(cluster.now.since(start));
        }
        suspected.sort();
        confirmed.sort();
        let last = suspected.len() - 1;
        eprintln!(
            "silent death, N = {size}: suspected p50 {:?} max {:?}; down for all p50 {:?} max {:?}",
            suspected[last / 2],
            suspected[last],
            confirmed[last / 2],
            confirmed[last]
        );
        assert!(suspected[last] <= ms(1_500), "N = {size}: {:?}", suspected[last]);
        assert!(confirmed[last] <= ms(4_000), "N = {size}: {:?}", confirmed[last]);
    }
}

#[test]
fn a_killed_process_is_routed_around_at_once() {
    let mut cluster = Cluster::at_rest(8, 3);
    cluster.kill(5);
    cluster.run(ms(5));
    assert!(cluster.running().all(|n| !cluster.machine(n).is_routable(id(5))));
    let took = cluster.run_until(ms(10_000), |c| c.all_hold(5, State::Down));
    eprintln!("killed process, N = 8: down for all after {took:?}");
    assert!(took < ms(2_500));
}

#[test]
fn a_failed_request_stops_routing_until_the_next_answer() {
    let mut cluster = Cluster::at_rest(3, 4);
    cluster.input(0, Input::RequestFailed { peer: id(1) });
    assert!(!cluster.machine(0).is_routable(id(1)));
    cluster.run(ms(10));
    assert!(cluster.machine(0).is_routable(id(1)));
    assert_eq!(cluster.count(|e| matches!(e, Event::Suspected { .. })), 0);
}

#[test]
fn a_whole_group_that_dies_at_once_is_found_as_soon_and_costs_bounded_traffic() {
    let mut cluster = Cluster::at_rest(32, 5);
    let dead = |n: usize| n.is_multiple_of(4);
    (0..32).filter(|n| dead(*n)).for_each(|n| cluster.silence(n));
    let (messages, bytes) = cluster.traffic(ms(4_000));
    eprintln!("8 of 32 die silently: the busiest node has {messages:.0} messages/s, {bytes:.0} bytes/s for 4 s");
    assert!(messages < 400.0 && bytes < 100_000.0);
    let living = |c: &Cluster, state| {
        (0..32).filter(|n| !dead(*n)).all(|a| (0..32).filter(|n| *n != a).all(|b| !dead(b) || c.state(a, b) == state))
    };
    let more = cluster.run_until(ms(4_000), |c| living(c, Some(State::Down)));
    eprintln!("8 of 32 die silently: down for all after {:?}", ms(4_000) + more);
    let unjust = |a: usize| {
        let down =
            |e: &&Event| matches!(e, Event::Down { member, .. } if (0..32).any(|n| id(n) == *member && !dead(n)));
        cluster.events(a).filter(down).count()
    };
    assert_eq!((0..32).filter(|n| !dead(*n)).map(unjust).sum::<usize>(), 0);
}

#[test]
fn nodes_come_together_though_one_message_in_ten_is_lost() {
    let mut cluster = Cluster::new(32, 6);
    cluster.loss = 0.1;
    cluster.join_through_seed();
    let all_known = |c: &Cluster| c.running().all(|n| c.machine(n).members().count() == 31);
    let took = cluster.run_until(ms(20_000), all_known);
    eprintln!("join with a tenth of the messages lost, N = 32: {took:?}");
    cluster.loss = 0.0;
    cluster.run_until(ms(10_000), Cluster::is_complete);
}
