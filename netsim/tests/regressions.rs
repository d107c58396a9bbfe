//! Every bug that the search found, as the smallest scenario that shows it: a file each in `scenarios/regressions/`, which says what it was.
#![allow(missing_docs)]

use std::path::Path;

use rocoin_netsim::run::run;
use rocoin_netsim::scenario::Scenario;

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
