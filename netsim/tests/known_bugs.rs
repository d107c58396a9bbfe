//! The checker is checked: the swarm catches each known bug within the seeds stated here.
//!
//! `cargo test -p rocoin-netsim --features known-bugs --test known_bugs -- --nocapture` prints the table of
//! `docs/known-bugs.md`.
#![allow(missing_docs, clippy::print_stdout)]

use std::sync::Mutex;

use rocoin::bugs::{Bug, Bugs};
use rocoin_netsim::{run, swarm};

const DOCS: &str = include_str!("../../docs/known-bugs.md");

/// So many seeds, from 0 on, catch it: some times what was needed, so that a change of the protocol or the swarm, after which
/// other seeds catch it, breaks nothing.
const fn seeds_to_catch(bug: Bug) -> u64 {
    match bug {
        Bug::ReuseGeneration | Bug::ForgetPlan | Bug::ForgetDeployment | Bug::IgnoreMemory => 10,
        Bug::NeverRefute | Bug::PlanWithDown | Bug::CompareTermsOnly | Bug::DoubleMerge => 10,
        Bug::NeverYield | Bug::SkipSync | Bug::UnloadEarly | Bug::NoDeadline => 20,
        Bug::BelieveVerdict | Bug::AdoptUnwritten => 40,
        Bug::ForgetTombstone | Bug::SkipHash | Bug::StaleRouting => 80,
        Bug::HedgeNeverFires | Bug::MajorityOfTwo => 80,
        Bug::UnboundedRequests | Bug::MixBundles | Bug::MergeAsCame => 80,
    }
}

/// The first seed that catches a bug, and the invariant that does.
fn first_caught(bug: Bug) -> Option<(u64, &'static str)> {
    (0..seeds_to_catch(bug)).find_map(|seed| {
        let report = run::run(swarm::plan(seed, Bugs::only(bug)), &mut |_| {});
        Some((seed, report.violation?.invariant))
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
        let (name, what, seeds) = (bug.name(), bug.description().trim(), seeds_to_catch(*bug));
        let (seed, invariant) = first.map_or(("–".to_owned(), "none"), |(seed, name)| (seed.to_string(), name));
        println!("| {name} | {what} | {invariant} | {seed} | {seeds} |");
    }
    let missed: Vec<_> = caught.iter().filter(|(_, first)| first.is_none()).map(|(bug, _)| bug.name()).collect();
    assert!(missed.is_empty(), "not caught within their seeds: {missed:?}");
}

#[test]
fn the_docs_state_the_seeds_of_every_known_bug() {
    for bug in Bug::ALL {
        let (start, end) =
            (format!("| {} | {} |", bug.name(), bug.description().trim()), format!("| {} |", seeds_to_catch(*bug)));
        let is_listed = DOCS.lines().any(|line| line.starts_with(&start) && line.ends_with(&end));
        assert!(is_listed, "docs/known-bugs.md has no line {start} … {end}");
    }
}
