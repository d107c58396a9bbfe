//! Bugs that the search found. Where a small scenario shows one, it is a file in `scenarios/regressions/` that says what it was. The others are
//! kept as the seeds of the swarm that found them: those stand for other worlds by now, and prove less.
#![allow(missing_docs)]

use std::path::Path;

use rocoin::bugs::Bugs;
use rocoin_netsim::run::run;
use rocoin_netsim::scenario::Scenario;
use rocoin_netsim::swarm;

/// Seeds that once broke an invariant, and by what. No scenario has been found that fails without the fix.
const SEEDS: [(u64, &str); 9] = [
    (385, "a re-plan gave a device more than its memory; planner::replan has a test of its own"),
    (97, "two clones of one identity and generation took late answers to each other's requests for their own"),
    (105, "a student's file that failed to load was still told of once the plan had moved on"),
    (1214, "bulk-held-up-probes"),
    (1747, "bulk-held-up-probes"),
    (2098, "bulk-held-up-probes"),
    (
        477,
        "the new bundle lost its replicas, and the old one, still loaded, was not used; node::routes has a test of its own",
    ),
    (
        2443,
        "a node was cut off for a change of the plan of one epoch that two clones had made differently; leadership has a test",
    ),
    (752, "a verdict that another had waited for took effect at once; membership::suspicion has a test of its own"),
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/regressions");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no scenario in {}", folder.display());
    let mut failed = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let scenario = Scenario::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(scenario.name, name, "a file is called as its scenario");
        let models = scenario.synthetic().expect("regressions serve the made-up bundle");
        let report = run(scenario.plan(scenario.seed, models), &mut |_| {});
        failed.extend(report.violation.as_ref().map(|v| format!("{name}: {}: {}", v.invariant, v.evidence)));
        failed.extend(scenario.expect.missed(&report).into_iter().map(|missed| format!("{name}: {missed}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
