//! A node that is itself unwell does not bury the others, and is not buried.

use super::cluster::{Cluster, ms};
use crate::membership::{Config, Event};

/// Starves a quarter of the nodes: each stands still for most of the time. Deaths of nodes that all live.
fn false_deaths(config: Config, seed: u64) -> usize {
    let mut cluster = Cluster::at_rest_with(16, seed, config);
    cluster.forget_events();
    for _ in 0..60 {
        for starved in 0..4 {
            cluster.pause(starved, ms(450));
        }
        cluster.run(ms(500));
    }
    cluster.count(|e| matches!(e, Event::Down { .. }))
}

#[test]
fn local_health_avoids_the_false_deaths_that_plain_time_outs_cause() {
    let plain = Config { health_max: 1, suspicion_max_mult: 1, ..Config::default() };
    let (mut with, mut without) = (0, 0);
    for seed in 0..4 {
        with += false_deaths(Config::default(), seed);
        without += false_deaths(plain.clone(), seed);
    }
    println!("false deaths, a quarter of 16 nodes starved, 4 x 30 s: {with} with local health, {without} without");
    assert_eq!(with, 0);
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
