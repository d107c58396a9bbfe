//! Students are fetched over slow links, and nothing else notices.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::blob::Blob;
use rocoin::fleet::Capability;
use rocoin::id::Digest;
use rocoin::inference::Mode;
use rocoin::membership::State;
use rocoin::time::{Duration, Instant};
use rocoin_netsim::fact::{Entry, Fact, HostId};
use rocoin_netsim::fault::{Fault, Scheduled, Target};
use rocoin_netsim::model::Model;
use rocoin_netsim::world::{HostSpec, LoadSpec, NetworkSpec, Setup, World};

const HOSTS: usize = 8;
/// Of a slow link, and of a quick one, bit/s.
const SLOW: f64 = 1e6;
const QUICK: f64 = 100e6;
/// When the second bundle is deployed on n3, or would be, s.
const DEPLOYED_S: f64 = 30.0;
/// Requests are compared from then on, s.
const MEASURED_FROM_S: f64 = 31.0;
/// By then everybody has the bundle, s.
const END_S: f64 = 400.0;

/// As large as real students of 28 × 28 images; a quarter of the real ones in number.
fn bundle(version: u64) -> Arc<Model> {
    let model = Model::synthetic(2, version);
    let mut manifest = (**model.manifest()).clone();
    manifest.input.shape = vec![1, 28, 28];
    let (mut files, mut partials) = (BTreeMap::new(), BTreeMap::new());
    for (n, card) in manifest.parts.iter_mut().flat_map(|p| &mut p.students).enumerate() {
        let (bytes, flops) = if n % 2 == 0 { (319_780, 18_900_000) } else { (709_685, 40_600_000) };
        let old = card.digest;
        let file: Blob = (0..bytes)
            .map(|i: usize| u8::try_from((i * (7 + n)) % 251).unwrap() ^ u8::try_from(version).unwrap())
            .collect();
        let digest = Digest::of(file.as_bytes());
        let answers = (0..model.images()).flat_map(|image| model.partial(old, image).unwrap().to_vec()).collect();
        (card.digest, card.bytes, card.flops, card.memory_bytes) =
            (digest, bytes as u64, flops, bytes as u64 + 150_000);
        files.insert(digest, file);
        partials.insert(digest, answers);
    }
    let labels = (0..model.images()).map(|image| model.label(image)).collect();
    Arc::new(Model::new(serde_json::to_vec(&manifest).unwrap(), files, partials, labels).unwrap())
}

/// All links of the same rate, but n0's perhaps. Where all are slow clients ask in mode `hedged`: one input to seven replicas would keep
/// such a link busy for longer than a probe waits.
fn setup(deploys: bool, first: f64, others: f64, until_s: f64) -> Setup {
    let host = |link_bits_per_s| {
        let capability = Capability {
            flops_per_s: 4e8,
            memory_bytes: 4_000_000,
            link_bits_per_s,
            link_delay_s: 0.0,
            failure_probability: 0.05,
        };
        HostSpec { capability, priority: 0, disk_bytes: 1 << 30, sync_s: 0.005 }
    };
    let at = Instant::ZERO + Duration::from_secs_f64(DEPLOYED_S);
    let deploy = Scheduled { at, fault: Fault::Deploy { on: Target::Host(3), bundle: 1 } };
    let mode = if first == others { Mode::Hedged } else { Mode::All };
    let load =
        LoadSpec { mode, rate_per_s: 3.0, from_s: MEASURED_FROM_S, until_s, deadline_s: 10.0, ..LoadSpec::default() };
    Setup {
        seed: 1,
        hosts: [host(first)].into_iter().chain(vec![host(others); HOSTS - 1]).collect(),
        network: NetworkSpec { both_ways: true, ..NetworkSpec::default() },
        node: rocoin::node::Config::default(),
        models: vec![bundle(0), bundle(1)],
        in_place: true,
        acquainted: false,
        runs_fail: false,
        load,
        schedule: if deploys { vec![deploy] } else { Vec::new() },
        bugs: rocoin::bugs::Bugs::default(),
    }
}

fn run(setup: Setup) -> Vec<Entry> {
    let mut world = World::new(setup);
    let end = Instant::ZERO + Duration::from_secs_f64(END_S);
    let mut facts = Vec::new();
    while world.step(end) {
        facts.extend(world.take_facts());
    }
    facts
}

/// At p50 and p95.
fn latencies(facts: &[Entry]) -> [Duration; 2] {
    let mut took = Vec::new();
    for entry in facts {
        if let Fact::Over { outcome, took: one, .. } = &entry.fact {
            assert!(outcome.is_answer(), "{outcome:?}");
            took.push(*one);
        }
    }
    assert!(took.len() > 30, "{}", took.len());
    took.sort_unstable();
    [50, 95].map(|percent| took[took.len() * percent / 100])
}

/// When each host had all of a bundle.
fn arrivals(facts: &[Entry], bundle: &Model) -> BTreeMap<HostId, f64> {
    let mut arrivals = BTreeMap::new();
    for entry in facts {
        if let Fact::Stored { host, sound, .. } = &entry.fact {
            let sound: BTreeSet<_> = sound.iter().collect();
            if bundle.artifacts().keys().all(|artifact| sound.contains(artifact)) {
                arrivals.entry(*host).or_insert(entry.at.since(Instant::ZERO).as_secs_f64());
            }
        }
    }
    arrivals
}

/// How often somebody was suspected, and routed around.
fn alarms(facts: &[Entry]) -> [usize; 2] {
    let count = |is: fn(&Fact) -> bool| facts.iter().filter(|entry| is(&entry.fact)).count();
    [
        count(|fact| matches!(fact, Fact::Opinion { state: Some(State::Suspect | State::Down), .. })),
        count(|fact| matches!(fact, Fact::Routable { routable: false, .. })),
    ]
}

/// The second bundle comes to everybody, nobody is suspected, and requests take hardly longer than without it.
fn check(first: f64, others: f64, until_s: f64) {
    let without = run(setup(false, first, others, until_s));
    let with = run(setup(true, first, others, until_s));
    let arrivals = arrivals(&with, &bundle(1));
    assert_eq!(arrivals.len(), HOSTS, "fetched within {END_S} s: {arrivals:?}");
    let last = arrivals.values().fold(0.0, |last: f64, at| last.max(*at));
    assert!(last > until_s, "it is on its way all the while: {arrivals:?}");
    assert_eq!(alarms(&without), [0, 0], "without the bundle");
    assert_eq!(alarms(&with), [0, 0], "with the bundle on its way");
    let (without, with) = (latencies(&without), latencies(&with));
    println!("p50, p95 without: {without:?}, with: {with:?}; fetched by all at {last:.0} s");
    for (without, with) in without.into_iter().zip(with) {
        assert!(with <= without.mul_f64(1.2), "with: {with:?}, without: {without:?}");
    }
}

#[test]
fn a_bundle_fetched_by_seven_over_1_mbit_per_s_raises_no_suspicion_and_delays_no_request_by_more_than_a_fifth() {
    check(SLOW, SLOW, 100.0);
}

#[test]
fn a_bundle_fetched_over_the_one_slow_link_raises_no_suspicion_and_delays_no_request_by_more_than_a_fifth() {
    check(SLOW, QUICK, 48.0);
}
