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
        println!("join through one seed, N = {size}: {took:?}");
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
        println!(
            "silent death, N = {size}: suspected p50 {:?} max {:?}; down for all p50 {:?} max {:?}",
            suspected[last / 2], suspected[last], confirmed[last / 2], confirmed[last]
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
    println!("killed process, N = 8: down for all after {took:?}");
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
