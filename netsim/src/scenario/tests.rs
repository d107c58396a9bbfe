use std::collections::BTreeMap;

use super::*;
use crate::fact::{Fact, HostId, Reply};
use crate::fault::Target;

const SMALL: &str = r#"schema = "rocoin.scenario/1"
name = "small"
description = "as small as can be"
duration_s = 20.0

[[hosts]]
count = 3
flops_per_s = [1e8, 1e9]
memory_bytes = 4_000_000
link_bits_per_s = 1e7

[network]
delay_s = 0.001

[load]
rate_per_s = 5

[[at]]
t = 12.5
fault = "crash"
on = "leader"

[[at]]
t = 14
every_s = 2.0
until_s = 18.0
fault = "restart"
on = "all"

[recovery]
within_s = 20.0
without = [2]

[expect]
answered_share_min = 0.5
recovery_s_max = 20.0
"#;

/// What the second fault is.
const RESTART: &str = "\"restart\"\non = \"all\"";

fn error_after(replace: &str, by: &str) -> String {
    assert!(SMALL.contains(replace), "{replace}");
    Scenario::parse(&SMALL.replacen(replace, by, 1)).unwrap_err().to_string()
}

#[test]
fn a_file_becomes_a_plan() {
    let scenario = Scenario::parse(SMALL).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.seed, scenario.hosts()), ("small", 0, 3));
    assert_eq!(scenario.bundle, Bundle::Synthetic { parts: 3, variant: 0, versions: 1 });
    let plan = scenario.plan(7, scenario.synthetic().unwrap());
    assert_eq!((plan.setup.seed, plan.safety), (7, Duration::from_secs(20)));
    assert_eq!(plan.recovery, Some(Recovery { without: vec![2], within: Duration::from_secs(20) }));
    let hosts = &plan.setup.hosts;
    assert!(hosts.iter().all(|host| (1e8..1e9).contains(&host.capability.flops_per_s)));
    assert_ne!(hosts[0].capability.flops_per_s, hosts[1].capability.flops_per_s);
    let times: Vec<_> = plan.setup.schedule.iter().map(|line| line.at.as_nanos() / 100_000_000).collect();
    assert_eq!(times, [125, 140, 160, 180]);
    assert_eq!(plan.setup.schedule[1].fault, Fault::Restart { on: Target::All });
}

#[test]
fn hosts_are_drawn_from_the_seed() {
    let scenario = Scenario::parse(SMALL).unwrap();
    let hosts = |seed| scenario.plan(seed, Vec::new()).setup.hosts;
    assert_eq!(hosts(1), hosts(1));
    assert_ne!(hosts(1), hosts(2));
}

#[test]
fn each_wrong_line_is_named() {
    let mut wrong = Vec::new();
    for (replace, by, line, says) in [
        ("rocoin.scenario/1", "rocoin.scenario/2", 1, "it must be \"rocoin.scenario/1\""),
        ("\"small\"", "\"Not small\"", 2, "hyphens"),
        ("duration_s = 20.0", "duration_s = -1", 4, "duration_s is -1"),
        ("duration_s = 20.0", "duration = 20.0", 4, "unknown field `duration`"),
        ("duration_s = 20.0", "bundle = \"b\"\nduration_s = 20.0\nvariant = 1", 6, "a variant is for"),
        ("count = 3", "count = 0", 6, "0 hosts"),
        ("count = 3", "disk_bytes = 0.5", 7, "at least 1 byte"),
        ("count = 3", "link_delay_s = -1", 7, "hosts.0.link_delay_s is -1"),
        ("[1e8, 1e9]", "[1e9, 1e8]", 8, "hosts.0.flops_per_s"),
        ("[1e8, 1e9]", "[1e8]", 8, "a range [least, most]"),
        ("[1e8, 1e9]", "\"fast\"", 8, "a number, or a range [least, most]"),
        ("4_000_000", "nan", 9, "memory_bytes is NaN"),
        ("delay_s = 0.001", "delay_ms = 1", 13, "unknown field `delay_ms`"),
        ("delay_s = 0.001", "loss = 1.0", 13, "less than 1"),
        ("rate_per_s = 5", "from_s = 21", 16, "load.from_s is 21; it must be 0 to the scenario's duration_s, 20"),
        ("rate_per_s = 5", "from_s = -1", 16, "load.from_s is -1"),
        ("rate_per_s = 5", "from_s = 9\nuntil_s = 8.5", 17, "load.until_s is 8.5; it must be from_s, 9, to"),
        ("rate_per_s = 5", "until_s = 4", 16, "it must be from_s, 5, to"),
        ("rate_per_s = 5", "until_s = 20.5", 16, "load.until_s is 20.5"),
        ("rate_per_s = 5", "deadline_s = 61", 16, "at most 60"),
        ("rate_per_s = 5", "min_parts = 4", 16, "load.min_parts is 4"),
        ("rate_per_s = 5", "to = [3]", 16, "hosts below 3"),
        ("t = 12.5", "t = 20.5", 19, "at.0.t is 20.5; it must be 0 to the scenario's duration_s, 20"),
        ("t = 12.5", "t = \"soon\"", 19, "a number of seconds"),
        ("t = 12.5\n", "", 18, "missing key `t`"),
        ("on = \"leader\"", "on = \"n3\"", 21, "at.0.on is n3; it must be one of the 3 hosts, n0 to n2"),
        ("on = \"leader\"", "on = \"boss\"", 21, "\"boss\" names no host"),
        ("on = \"leader\"", "on = \"group(3)\"", 21, "group(0) to group(2)"),
        ("on = \"leader\"", "on = \"some(4)\"", 21, "some(1) to some(3)"),
        ("on = \"leader\"", "on = \"leader\"\nfor = 3", 22, "unknown field `for`"),
        ("\"crash\"", "\"explode\"", 20, "unknown variant `explode`"),
        ("until_s = 18.0", "until_s = 13.5", 26, "at.1.until_s is 13.5; it must be at least t, 14"),
        ("until_s = 18.0", "until_s = 20.5", 26, "at.1.until_s is 20.5; it must be 0 to the scenario's duration_s, 20"),
        ("every_s = 2.0", "every_s = 0", 25, "greater than 0"),
        ("every_s = 2.0\n", "", 25, "until_s without every_s"),
        ("every_s = 2.0", "every_s = 0.00001", 23, "at most 100000 faults"),
        (RESTART, "\"cut\"\nfrom = \"n1\"\nto = \"n1\"", 29, "at.1.to is n1; it must be another host than from, n1"),
        (RESTART, "\"cut\"\nfrom = \"leader\"\nto = \"leader\"", 29, "another host than from, leader"),
        (RESTART, "\"clone\"\nfrom = \"n1\"\nto = \"n1\"", 29, "another host than from, n1"),
        (RESTART, "\"clone\"\nfrom = \"all\"\nto = \"all\"", 28, "at.1.from is all; it must be one host: n0"),
        (RESTART, "\"clone\"\nfrom = \"n1\"\nto = \"some(2)\"", 29, "at.1.to is some(2); it must be one host: n0"),
        (RESTART, "\"slow\"\non = \"all\"\nfactor = 0.5", 29, "factor is 0.5"),
        (RESTART, "\"partition\"\nsides = [[0], [7]]", 28, "sides is 7"),
        (RESTART, "\"deploy\"\non = \"n0\"\nbundle = 8", 29, "bundle is 8"),
        ("without = [2]", "without = [3]", 32, "hosts below 3"),
        ("without = [2]", "without = [0, 1, 2]", 32, "every host"),
        ("[recovery]\nwithin_s = 20.0\nwithout = [2]\n", "", 33, "without a [recovery] table"),
        ("answered_share_min = 0.5", "answered_share_min = 50", 35, "a share from 0 to 1"),
        ("answered_share_min", "answer_share_min", 35, "unknown field `answer_share_min`"),
        ("answered_share_min = 0.5", "as_planned_errors_max = 3", 35, "without runs_fail = true"),
        ("[expect]", "[node]\nmin_members = 4\n\n[expect]", 35, "node.min_members is 4"),
        ("[expect]", "[node]\nqueue_max = 0\n\n[expect]", 35, "node.queue_max is 0"),
        ("[expect]", "[node]\nopen_requests_max = 0\n\n[expect]", 35, "node.open_requests_max is 0"),
        ("[expect]", "[proves]\nbug = \"no-such\"\nbreaks = \"recovers\"\n\n[expect]", 35, "a known bug: forget-"),
        ("[expect]", "[proves]\nbug = \"skip-sync\"\nbreaks = \"all\"\n\n[expect]", 36, "an invariant: counters-"),
        ("[expect]", "[proves]\nbug = \"skip-sync\"\n\n[expect]", 34, "missing field `breaks`"),
        ("[expect]", "[expect", 34, "unclosed table"),
    ] {
        let error = error_after(replace, by);
        if !error.starts_with(&format!("line {line}: ")) || !error.contains(says) {
            wrong.push(format!("{by:?} on line {line}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_real_bundle_is_named_and_has_parts_of_its_own() {
    let scenario = Scenario::parse(&SMALL.replace("duration_s", "bundle = \"some/folder\"\nduration_s")).unwrap();
    assert_eq!(scenario.bundle, Bundle::Folder("some/folder".to_owned()));
    assert!(scenario.synthetic().is_none());
    let both = error_after("duration_s", "bundle = \"some/folder\"\nparts = 2\nduration_s");
    assert!(both.starts_with("line 5: parts are for"), "{both}");
}

#[test]
fn as_many_versions_are_made_as_are_deployed() {
    let text = SMALL.replace(RESTART, "\"deploy\"\non = \"n0\"\nbundle = 2");
    let models = Scenario::parse(&text).unwrap().synthetic().unwrap();
    assert_eq!(models.iter().map(|m| m.manifest().version.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn a_variant_is_the_first_version_and_what_is_deployed_later_are_the_next_ones() {
    let text = SMALL.replace(RESTART, "\"deploy\"\non = \"n0\"\nbundle = 1");
    let models =
        Scenario::parse(&text.replace("duration_s", "variant = 300\nduration_s")).unwrap().synthetic().unwrap();
    assert_eq!(models.iter().map(|m| m.manifest().version.as_str()).collect::<Vec<_>>(), ["301", "302"]);
}

#[test]
fn a_node_s_settings_are_those_of_the_file() {
    let text = SMALL.to_owned() + "\n[node]\nopen_requests_max = 3\nqueue_max = 5\nworkers = 2\n";
    let config = Scenario::parse(&text).unwrap().plan(1, Vec::new()).setup.node;
    assert_eq!((config.coordinator.open_requests_max, config.replica.queue_max, config.replica.workers), (3, 5, 2));
}

#[test]
fn a_scenario_may_name_the_bug_that_it_is_kept_for_and_runs_without_it() {
    let text = SMALL.to_owned() + "\n[proves]\nbug = \"skip-sync\"\nbreaks = \"recovers\"\n";
    let scenario = Scenario::parse(&text).unwrap();
    let proves = scenario.proves.as_ref().unwrap();
    assert_eq!((proves.bug, proves.breaks.as_str()), (rocoin::bugs::Bug::SkipSync, "recovers"));
    assert_eq!(scenario.plan(1, Vec::new()).setup.bugs, rocoin::bugs::Bugs::default());
}

#[test]
fn every_shipped_scenario_is_sound_and_called_what_it_says() {
    for (name, text) in SHIPPED {
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(scenario.name, *name);
        assert_ne!(scenario.expect, Expect::default(), "{name}");
    }
}

#[test]
fn the_small_shipped_scenarios_meet_what_they_expect() {
    let mut wrong = Vec::new();
    for (name, text) in SHIPPED.iter().filter(|(name, _)| !["fleet-100", "fleet-1000"].contains(name)) {
        let scenario = Scenario::parse(text).unwrap();
        let Some(models) = scenario.synthetic() else { continue };
        let report = crate::run::run(scenario.plan(scenario.seed, models), &mut |_| ());
        wrong.extend(report.violation.iter().map(|violation| format!("{name}: {violation}")));
        wrong.extend(scenario.expect.missed(&report).iter().map(|missed| format!("{name}: {missed}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[expect(clippy::wildcard_enum_match_arm, reason = "few facts concern it")]
fn with_three_replicas_and_one_liar_mode_verify_answers_rightly_and_names_it_every_time() {
    let (_, text) = SHIPPED.iter().find(|(name, _)| *name == "one-liar").unwrap();
    let scenario = Scenario::parse(text).unwrap();
    let models = scenario.synthetic().unwrap();
    let model = Arc::clone(&models[0]);
    let (mut asked, mut lies_since, mut while_lying, mut ids) = (BTreeMap::new(), None, 0, BTreeMap::new());
    let mut wrong = Vec::new();
    let report = crate::run::run(scenario.plan(scenario.seed, models), &mut |entry| match &entry.fact {
        Fact::Started { host, node, .. } => {
            ids.insert(*host, *node);
        }
        Fact::Lies { lies, .. } => lies_since = lies.then_some(entry.at),
        Fact::Asked { ask, image, .. } => {
            asked.insert(*ask, (*image, lies_since.is_some()));
        }
        Fact::Answered { ask, reply: Reply::Answer { logits, parts, outvoted, verified, .. }, .. } => {
            let (image, lied) = asked[ask];
            let students: Vec<_> = parts.iter().map(|(part, student, _)| (*part, *student)).collect();
            let is_true = model.merged(image, &students).as_deref() == Some(logits.as_slice());
            let liar = ids[&HostId(1)];
            let names_it = outvoted.iter().all(|named| *named == liar) && !outvoted.is_empty();
            let names_rightly = if lied { names_it } else { outvoted.is_empty() || names_it };
            while_lying += u32::from(lied);
            if !is_true || !names_rightly || verified.len() < 2 {
                wrong.push(format!("{entry:?}"));
            }
        }
        _ => {}
    });
    assert!(report.violation.is_none(), "{}", report.violation.unwrap());
    assert!(while_lying > 500, "{while_lying}");
    assert!(wrong.is_empty(), "{} of them, the first: {}", wrong.len(), wrong[0]);
}

/// The page that users write scenarios from.
const DOCS: &str = include_str!("../../../docs/simulation.md");

#[test]
fn the_example_of_the_documents_runs_and_meets_what_it_expects() {
    let example = DOCS.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let scenario = Scenario::parse(example).unwrap_or_else(|error| panic!("{error}"));
    let models = scenario.synthetic().unwrap();
    let report = crate::run::run(scenario.plan(scenario.seed, models), &mut |_| ());
    assert!(report.violation.is_none(), "{}", report.violation.unwrap());
    assert_eq!(scenario.expect.missed(&report), Vec::<String>::new());
}

#[test]
fn the_documents_have_every_fault_every_invariant_and_every_scenario() {
    let verbs = error_after("\"crash\"", "\"explode\"");
    let verbs: Vec<_> = verbs.split('`').skip(1).step_by(2).filter(|verb| *verb != "explode").collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    let invariants = crate::invariant::Checker::new(&[]).names();
    for word in verbs.iter().chain(&invariants) {
        assert!(DOCS.contains(&format!("\n| `{word}` |")), "{word}");
    }
    for (name, _) in SHIPPED {
        assert!(DOCS.contains(&format!("`{name}`")), "{name}");
    }
}
