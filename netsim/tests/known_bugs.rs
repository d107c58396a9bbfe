//! The checker is checked: the swarm catches each known bug within the seeds stated here.
//!
//! `cargo test -p rocoin-netsim --features known-bugs --test known_bugs -- --nocapture` prints the table of
//! `docs/known-bugs.md`.
#![allow(missing_docs, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::sync::Mutex;

use rocoin::bugs::{Bug, Bugs};
use rocoin_netsim::invariant::{Bounds, Checker};
use rocoin_netsim::{run, swarm};

const DOCS: &str = include_str!("../../docs/known-bugs.md");

/// The invariant that each breaks, and so many seeds, from 0 on, of which one shows it: some times what was needed, so that a change of the
/// protocol or the swarm, after which other seeds catch it, breaks nothing.
const fn stated(bug: Bug) -> (&'static str, u64) {
    match bug {
        Bug::ForgetTombstone => ("the-dead-stay-dead", 80),
        Bug::BelieveVerdict => ("nobody-well-is-given-up", 40),
        Bug::NeverRefute => ("nobody-live-is-held-down", 10),
        Bug::NeverYield => ("calm-meshes-agree", 20),
        Bug::PlanWithDown | Bug::IgnoreMemory => ("plans-are-sound", 10),
        Bug::CompareTermsOnly | Bug::ReuseGeneration | Bug::ForgetPlan | Bug::ForgetDeployment => {
            ("counters-never-fall", 10)
        }
        Bug::SkipSync => ("counters-never-fall", 20),
        Bug::AdoptUnwritten => ("counters-never-fall", 40),
        Bug::UnloadEarly => ("replaced-before-unloaded", 20),
        Bug::SkipHash => ("only-true-bytes-are-stored", 80),
        Bug::NoDeadline => ("one-outcome-each", 20),
        Bug::StaleRouting | Bug::HedgeNeverFires => ("ready-replicas-are-used", 80),
        Bug::UnboundedRequests => ("queues-are-bounded", 80),
        Bug::DoubleMerge => ("answers-are-true", 10),
        Bug::MixBundles | Bug::MergeAsCame | Bug::MajorityOfTwo => ("answers-are-true", 80),
        Bug::BlameTheMany => ("the-honest-are-not-outvoted", 80),
        Bug::AnswerTwice => ("one-outcome-each", 10),
        Bug::NeverAnswer => ("one-outcome-each", 20),
        Bug::AcceptEqualEpoch => ("plans-only-grow", 200),
        Bug::ChangeAnyPlan => ("epochs-are-unique", 80),
        Bug::NeverClaimAgain => ("recovers", 80),
        Bug::DiscardNeeded => ("students-survive", 40),
        Bug::BlameTheLate | Bug::BlameTheTeller => ("nobody-sound-is-cut-off", 80),
        Bug::CountFromOne => ("answers-are-true", 80),
        Bug::KeepFailedFile => ("recovers", 80),
        Bug::ForgetThirdBundle => ("ready-replicas-are-used", 80),
        Bug::VerdictAtOnce => ("nobody-well-is-given-up", 80),
    }
}

/// The first seed at which a bug breaks its invariant.
fn first_caught(bug: Bug) -> Option<u64> {
    let (invariant, seeds) = stated(bug);
    (0..seeds).find(|seed| {
        let report = run::run(swarm::plan(*seed, Bugs::only(bug)), &mut |_| {});
        report.violation.is_some_and(|violation| violation.invariant == invariant)
    })
}

#[test]
fn the_swarm_catches_every_known_bug_within_its_seeds() {
    let (queue, caught) = (Mutex::new(Bug::ALL.iter()), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(bug) = queue.lock().unwrap().next() else { break };
                    let first = first_caught(*bug);
                    caught.lock().unwrap().push((*bug, first));
                }
            });
        }
    });
    let mut caught = caught.into_inner().unwrap();
    caught.sort_unstable();
    for (bug, first) in &caught {
        let ((invariant, seeds), name, what) = (stated(*bug), bug.name(), bug.description().trim());
        let seed = first.map_or("–".to_owned(), |seed| seed.to_string());
        println!("| {name} | {what} | {invariant} | {seed} | {seeds} |");
    }
    let missed: Vec<_> = caught.iter().filter(|(_, first)| first.is_none()).map(|(bug, _)| bug.name()).collect();
    assert!(missed.is_empty(), "not caught within their seeds: {missed:?}");
}

#[test]
fn the_docs_state_the_seeds_of_every_known_bug() {
    for bug in Bug::ALL {
        let (invariant, seeds) = stated(*bug);
        let start = format!("| {} | {} | {invariant} |", bug.name(), bug.description().trim());
        let end = format!("| {seeds} |");
        let is_listed = DOCS.lines().any(|line| line.starts_with(&start) && line.ends_with(&end));
        assert!(is_listed, "docs/known-bugs.md has no line {start} … {end}");
    }
}

#[test]
fn every_invariant_is_broken_by_some_known_bug() {
    let bounds = Bounds::from(&rocoin::node::Config::default());
    let all = Checker::new(&[], bounds).names().into_iter().chain([run::RECOVERS]);
    let stated: BTreeSet<_> = Bug::ALL.iter().map(|bug| stated(*bug).0).collect();
    let idle: Vec<_> = all.filter(|name| !stated.contains(name)).collect();
    assert!(idle.is_empty(), "no known bug shows that these catch anything: {idle:?}");
}

#[test]
#[ignore]
fn survey() {
    let var = |name: &str| std::env::var(name).unwrap();
    let (from, to): (u64, u64) = (var("FROM").parse().unwrap(), var("TO").parse().unwrap());
    let bugs = var("BUGS");
    let seeds = Mutex::new(from..to);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().next() else { break };
                    for name in bugs.split(',') {
                        let bugs =
                            Bug::ALL.iter().find(|b| b.name() == name).map_or(Bugs::default(), |b| Bugs::only(*b));
                        let report = run::run(swarm::plan(seed, bugs), &mut |_| {});
                        if let Some(v) = report.violation {
                            println!(
                                "SURVEY {name} {seed} {} {}",
                                v.invariant,
                                v.evidence.chars().take(150).collect::<String>()
                            );
                        }
                    }
                }
            });
        }
    });
}
