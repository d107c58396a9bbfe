//! The checker is checked: the swarm catches each known bug within the seeds stated here.
//!
//! `cargo test -p rocoin-netsim --features known-bugs --test known_bugs -- --nocapture` prints the table of
//! `docs/known-bugs.md`.
#![allow(missing_docs, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use rocoin::bugs::{Bug, Bugs};
use rocoin_netsim::caught::caught;
use rocoin_netsim::invariant::Checker;
use rocoin_netsim::scenario::Scenario;
use rocoin_netsim::{run, swarm};

const DOCS: &str = include_str!("../../docs/known-bugs.md");

/// The invariant that each breaks, and so many seeds, from 0 on, of which one shows it: some times what was needed, so that a change of the
/// protocol or the swarm, after which other seeds catch it, breaks nothing. `None` for those that the search found in the code once, and that
/// are rare: a scenario in `scenarios/regressions/` proves each of them.
const fn stated(bug: Bug) -> Option<(&'static str, u64)> {
    Some(match bug {
        Bug::CountFromOne | Bug::KeepFailedFile | Bug::ForgetThirdBundle | Bug::VerdictAtOnce => return None,
        Bug::ForgetTombstone => ("the-dead-stay-dead", 80),
        Bug::BelieveVerdict => ("nobody-well-is-given-up", 40),
        Bug::NeverRefute => ("nobody-live-is-held-down", 10),
        Bug::NeverYield => ("calm-meshes-agree", 20),
        Bug::PlanWithDown | Bug::IgnoreMemory => ("plans-are-sound", 10),
        Bug::ReuseGeneration | Bug::ForgetPlan | Bug::ForgetDeployment => ("counters-never-fall", 10),
        Bug::SkipSync => ("counters-never-fall", 20),
        Bug::AdoptUnwritten | Bug::CompareTermsOnly => ("counters-never-fall", 40),
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
        Bug::AcceptEqualEpoch => ("plans-only-grow", 20),
        Bug::ChangeAnyPlan => ("epochs-are-unique", 80),
        Bug::NeverClaimAgain => ("recovers", 600),
        Bug::KeepFirstBundle => ("recovers", 80),
        Bug::LoadBeyondMemory => ("students-fit-memory", 20),
        Bug::DiscardNeeded => ("students-survive", 40),
        Bug::DiscardWanted => ("students-survive", 80),
        Bug::NeverAskPart => ("ready-replicas-are-used", 10),
        Bug::BlameTheLate => ("nobody-sound-is-cut-off", 80),
    })
}

/// Those that the swarm has to catch.
fn of_swarm() -> impl Iterator<Item = (Bug, &'static str, u64)> {
    Bug::ALL.iter().filter_map(|bug| stated(*bug).map(|(invariant, seeds)| (*bug, invariant, seeds)))
}

/// The first seed at which a bug breaks its invariant.
fn first_caught(bug: Bug, invariant: &str, seeds: u64) -> Option<u64> {
    (0..seeds).find(|seed| {
        let plan = swarm::plan(*seed, Bugs::only(bug));
        let report = caught(&mut |_| {}, |record| run::run(plan, record));
        report.violation.is_some_and(|violation| violation.invariant == invariant)
    })
}

#[test]
fn the_swarm_catches_every_known_bug_within_its_seeds() {
    let (queue, caught) = (Mutex::new(of_swarm()), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some((bug, invariant, seeds)) = queue.lock().unwrap().next() else { break };
                    let first = first_caught(bug, invariant, seeds);
                    caught.lock().unwrap().push((bug, first));
                }
            });
        }
    });
    let caught: BTreeMap<_, _> = caught.into_inner().unwrap().into_iter().collect();
    for (bug, invariant, seeds) in of_swarm() {
        let seed = caught[&bug].map_or("–".to_owned(), |seed| seed.to_string());
        println!("| {} | {} | {invariant} | {seed} | {seeds} |", bug.name(), bug.description().trim());
    }
    let missed: Vec<_> = caught.iter().filter(|(_, first)| first.is_none()).map(|(bug, _)| bug.name()).collect();
    assert!(missed.is_empty(), "not caught within their seeds: {missed:?}");
}

#[test]
fn every_invariant_is_broken_by_some_known_bug() {
    let all = Checker::new(&[]).names().into_iter().chain([run::RECOVERS]);
    let stated: BTreeSet<_> = of_swarm().map(|(_, invariant, _)| invariant).collect();
    let idle: Vec<_> = all.filter(|name| !stated.contains(name)).collect();
    assert!(idle.is_empty(), "no known bug shows that these catch anything: {idle:?}");
}

#[test]
fn what_the_swarm_need_not_catch_a_scenario_proves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/regressions");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let proven: BTreeSet<_> = files.filter_map(|text| Some(Scenario::parse(&text).unwrap().proves?.bug)).collect();
    let open: Vec<_> = Bug::ALL.iter().filter(|bug| stated(**bug).is_none() && !proven.contains(bug)).collect();
    assert!(open.is_empty(), "neither the swarm nor a scenario shows {open:?}");
}

#[test]
fn the_docs_state_the_seeds_of_every_known_bug() {
    for bug in Bug::ALL {
        let start = format!("| {} | {} |", bug.name(), bug.description().trim());
        let (between, end) = match stated(*bug) {
            Some((invariant, seeds)) => (format!(" {invariant} |"), format!("| {seeds} |")),
            None => (String::new(), ".toml) |".to_owned()),
        };
        let is_listed = DOCS.lines().any(|line| line.starts_with(&format!("{start}{between}")) && line.ends_with(&end));
        assert!(is_listed, "docs/known-bugs.md has no line {start}{between} … {end}");
    }
}
