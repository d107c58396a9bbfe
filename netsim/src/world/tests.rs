use std::sync::Arc;

use rocoin::fleet::Capability;
use rocoin::time::{Duration, Instant};

use super::*;
use crate::fact::Outcome;
use crate::fault::{Fault, Target};

fn host() -> HostSpec {
    let capability = Capability {
        flops_per_s: 1e8,
        memory_bytes: 4_000_000,
        link_bits_per_s: 1e7,
        link_delay_s: 0.0,
        failure_probability: 0.05,
    };
    HostSpec { capability, priority: 0, disk_bytes: 1 << 30, sync_s: 0.005 }
}

fn setup(hosts: usize, faults: Vec<(f64, Fault)>) -> Setup {
    Setup {
        seed: 1,
        hosts: vec![host(); hosts],
        network: NetworkSpec::default(),
        node: rocoin::node::Config::default(),
        models: vec![Arc::new(Model::synthetic(3, 0))],
        in_place: false,
        acquainted: false,
        runs_fail: false,
        load: LoadSpec { rate_per_s: 10.0, ..LoadSpec::default() },
        schedule: faults
            .into_iter()
            .map(|(at, fault)| Scheduled { at: Instant::ZERO + Duration::from_secs_f64(at), fault })
            .collect(),
        bugs: rocoin::bugs::Bugs::default(),
    }
}

fn run(setup: Setup, seconds: u64) -> Vec<Entry> {
    let mut world = World::new(setup);
    let end = Instant::ZERO + Duration::from_secs(seconds);
    let mut facts = Vec::new();
    while world.step(end) {
        facts.extend(world.take_facts());
    }
    facts
}

fn outcomes(facts: &[Entry], after: u64) -> std::collections::BTreeMap<Outcome, usize> {
    let mut counts = std::collections::BTreeMap::new();
    for entry in facts.iter().filter(|e| e.at >= Instant::ZERO + Duration::from_secs(after)) {
        if let Fact::Over { outcome, .. } = entry.fact {
            *counts.entry(outcome).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_fleet_finds_itself_fetches_the_bundle_and_answers_everything_in_full() {
    let facts = run(setup(6, Vec::new()), 30);
    let outcomes = outcomes(&facts, 5);
    assert_eq!(outcomes.keys().copied().collect::<Vec<_>>(), [Outcome::Complete], "{outcomes:?}");
    assert!(outcomes[&Outcome::Complete] > 200, "{outcomes:?}");
}

#[test]
fn one_seed_gives_one_history() {
    let faults = || vec![(8.0, Fault::Halves), (14.0, Fault::Heal), (15.0, Fault::Pause { on: Target::Random })];
    let (a, b) = (run(setup(5, faults()), 25), run(setup(5, faults()), 25));
    let text = |facts: &[Entry]| facts.iter().map(|e| serde_json::to_string(e).unwrap()).collect::<Vec<_>>();
    assert_eq!(text(&a), text(&b));
}
