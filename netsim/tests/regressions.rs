//! Bugs that the search found. Where a scenario shows one, it is a file in `scenarios/regressions/` that says what it was. One that names a known
//! bug (`[proves]`) is run twice with the feature `known-bugs`: it holds without the bug, and breaks with it as it says. Others are kept as
//! the seeds of the swarm that found them: those stand for other worlds by now, and prove less.
#![allow(missing_docs)]

use std::path::Path;

use rocoin::bugs::Bugs;
use rocoin_netsim::caught::caught;
use rocoin_netsim::run::{Report, run};
#[cfg(feature = "known-bugs")]
use rocoin_netsim::scenario::Proves;
use rocoin_netsim::scenario::Scenario;
use rocoin_netsim::swarm;

/// Seeds that once broke an invariant, and by what. No scenario has been found that fails without the fix; a test of its own does.
const SEEDS: [(u64, &str); 4] = [
    (385, "a re-plan gave a device more than its memory; planner::replan has the test"),
    (
        2443,
        "a node was cut off for a change of the plan of one epoch that two clones had made differently; leadership has it",
    ),
    (3909, "a student was loaded that no manifest named; deployment::stories has the test"),
    (
        6390,
        "not the node's: in a mesh of two a refutation was lost three times in a row; nobody_well_is_given_up has the test",
    ),
];

#[test]
fn no_seed_that_broke_an_invariant_once_does_so_today() {
    for (seed, what) in SEEDS {
        let report = run(swarm::plan(seed, Bugs::default()), &mut |_| {});
        assert!(report.violation.is_none(), "seed {seed} ({what}): {:?}", report.violation);
    }
}

#[test]
fn no_bug_that_was_found_once_is_back() {
    let mut failed = Vec::new();
    for scenario in scenarios() {
        let report = report(&scenario, Bugs::default());
        failed.extend(report.violation.iter().map(|v| format!("{}: {}: {}", scenario.name, v.invariant, v.evidence)));
        failed.extend(scenario.expect.missed(&report).iter().map(|missed| format!("{}: {missed}", scenario.name)));
    }
    assert!(failed.is_empty(), "does not hold:\n{}", failed.join("\n"));
}

#[cfg(feature = "known-bugs")]
#[test]
fn each_scenario_that_proves_a_bug_breaks_with_it_as_it_says() {
    let mut failed = Vec::new();
    for scenario in scenarios() {
        let Some(Proves { bug, breaks }) = &scenario.proves else { continue };
        let found = report(&scenario, Bugs::only(*bug)).violation.map_or("nothing", |violation| violation.invariant);
        if found != breaks {
            failed.push(format!("{}: with the bug {} it breaks {found}, not {breaks}", scenario.name, bug.name()));
        }
    }
    assert!(failed.is_empty(), "proves nothing, or something else:\n{}", failed.join("\n"));
}

fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/regressions");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    assert!(!files.is_empty(), "no scenario in {}", folder.display());
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Scenario {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(
        Some(scenario.name.as_str()),
        file.file_stem().and_then(|stem| stem.to_str()),
        "a file is called as its scenario"
    );
    scenario
}

fn report(scenario: &Scenario, bugs: Bugs) -> Report {
    let models = scenario.synthetic().expect("regressions serve the made-up bundle");
    let mut plan = scenario.plan(scenario.seed, models);
    plan.setup.bugs = bugs;
    caught(&mut |_| (), |record| run(plan, record))
}
