//! A node that is itself unwell does not bury the others, and is not buried.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use super::cluster::{Cluster, id, ms};
use crate::id::NodeId;
use crate::membership::{Config, Event, State};

/// Starves a quarter of 16 nodes for a minute: again and again each stands still for up to `longest` and then runs for
/// at most 100 ms. How often a node gives up another that is well, and one that is starved; all of them live.
fn false_deaths(config: &Config, seed: u64, longest: u64) -> (usize, usize) {
    let mut cluster = Cluster::at_rest_with(16, seed, config.clone());
    cluster.forget_events();
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut next = [cluster.now; 4];
    let end = cluster.now + ms(60_000);
    while cluster.now < end {
        let now = cluster.now;
        for (starved, next) in next.iter_mut().enumerate().filter(|(_, next)| **next <= now) {
            let still = ms(chance.next_u64() % longest);
            cluster.pause(starved, still);
            *next = cluster.now + still + ms(chance.next_u64() % 100);
        }
        cluster.run(ms(10));
    }
    let down = |starved: bool| {
        let of = |member: NodeId| (0..4).any(|n| id(n) == member) == starved;
        cluster.count(|e| matches!(e, Event::Down { member, .. } if of(*member)))
    };
    (down(false), down(true))
}

fn plain_time_outs() -> Config {
    Config { health_max: 1, ..Config::default() }
}

#[test]
fn nobody_is_buried_alive_while_a_quarter_of_the_nodes_is_starved() {
    for longest in [1_000, 2_000] {
        let of = |config: &Config| {
            (0..3).map(|seed| false_deaths(config, seed, longest)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
        };
        let (with, without) = (of(&Config::default()), of(&plain_time_outs()));
        eprintln!(
            "false deaths of (well, starved) in 3 x 60 s, standstills up to {longest} ms: {with:?}, plain {without:?}"
        );
        assert_eq!(with.0, 0, "of nodes that are well");
        assert!(with.1 <= without.1);
        assert!(longest > 1_000 || with.1 == 0);
    }
}

/// How often a node whose mail lags blames others, who are all well.
fn false_suspicions(config: Config, seed: u64) -> usize {
    let mut cluster = Cluster::at_rest_with(8, seed, config);
    cluster.lag(0, ms(900));
    cluster.run(ms(60_000));
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { member, .. } if *member != id(0))), 0);
    let blame = |e: &&Event| matches!(e, Event::Suspected { member, by, .. } if *member != id(0) && *by == id(0));
    cluster.events(0).filter(blame).count()
}

#[test]
fn a_node_whose_mail_lags_learns_not_to_blame_the_others() {
    let (with, without) = (0..5).fold((0, 0), |(with, without), seed| {
        (with + false_suspicions(Config::default(), seed), without + false_suspicions(plain_time_outs(), seed))
    });
    eprintln!(
        "false suspicions by a node whose mail lags up to 0.9 s, 5 x 60 s: {with}, with plain time-outs {without}"
    );
    assert!(with * 3 < without * 2, "{with} {without}");
}

#[test]
fn lost_messages_alone_kill_nobody() {
    for (loss, seed) in [(0.02, 1), (0.1, 2)] {
        let mut cluster = Cluster::at_rest(16, seed);
        cluster.loss = loss;
        cluster.run(ms(60_000));
        assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0, "loss {loss}");
        cluster.loss = 0.0;
        cluster.run_until(ms(5_000), Cluster::is_complete);
    }
}

#[test]
fn slow_links_raise_no_suspicion() {
    let mut cluster = Cluster::at_rest(8, 3);
    cluster.delay = ms(90);
    cluster.run(ms(60_000));
    assert_eq!(cluster.count(|e| matches!(e, Event::Down { .. })), 0);
    cluster.forget_events();
    cluster.run(ms(20_000));
    assert_eq!(cluster.count(|e| matches!(e, Event::Suspected { .. })), 0, "the waits have adapted");
    assert!(cluster.is_complete());
    assert!((ms(170)..ms(320)).contains(&cluster.view(0, 1).unwrap().rtt().unwrap()));
}

#[test]
fn a_node_cut_off_alone_finds_itself_unwell() {
    let mut cluster = Cluster::at_rest(8, 4);
    cluster.silence(0);
    cluster.run(ms(1_000));
    assert!(cluster.machine(0).health_multiplier() > 1);
    assert!((1..8).all(|n| cluster.machine(n).health_multiplier() < 4));
}

#[test]
fn a_node_that_wakes_reads_its_mail_before_it_judges() {
    let mut cluster = Cluster::at_rest(8, 5);
    cluster.silence(1);
    cluster.run_until(ms(3_000), |c| c.all_hold(1, State::Suspect));
    cluster.run(ms(1_000));
    cluster.heal();
    cluster.pause(0, ms(3_000));
    cluster.run(ms(4_000));
    assert!(cluster.is_complete());
    assert_eq!(cluster.events(0).filter(|e| matches!(e, Event::Down { .. })).count(), 0);
    assert!(cluster.machine(0).counters().stalls > 0);
}
