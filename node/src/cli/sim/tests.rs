use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    sim: SimArgs,
}

fn parsed(words: &[&str]) -> Result<SimArgs, clap::Error> {
    Command::try_parse_from(std::iter::once("sim").chain(words.iter().copied())).map(|command| command.sim)
}

#[test]
fn a_run_is_of_a_scenario_or_of_the_swarm() {
    for words in [
        &["run", "paper"][..],
        &["run", "paper", "--seed", "3", "--svg", "a.svg"],
        &["run", "--swarm", "--seeds", "0..3", "--jobs", "1"],
        &["reproduce", "--seed", "3"],
        &["meta", "--seeds", "0..2"],
        &["compare", "a", "b"],
        &["list"],
    ] {
        assert!(parsed(words).is_ok(), "{words:?}");
    }
    for words in [
        &["run"][..],
        &["run", "paper", "--swarm"],
        &["run", "paper", "--seed", "1", "--seeds", "0..3"],
        &["run", "--swarm", "--seeds", "3..3"],
        &["run", "--swarm", "--seeds", "0..3", "--jobs", "0"],
        &["reproduce"],
        &["meta"],
        &["compare", "a"],
    ] {
        assert!(parsed(words).is_err(), "{words:?}");
    }
}

#[test]
fn what_is_wrong_with_a_scenario_is_wrong_usage_and_names_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "schema = \"rocoin.scenario/1\"\nname = 3\n").unwrap();
    let error = Worlds::open(path.to_str(), None).unwrap_err();
    assert!(error.downcast_ref::<ConfigError>().is_some());
    assert!(error.to_string().contains("mine.toml: line 2: invalid type"), "{error}");
    assert!(Worlds::open(None, Some(folder.path())).unwrap_err().downcast_ref::<ConfigError>().is_some());
    let error = Worlds::open(Some("nowhere.toml"), None).unwrap_err().to_string();
    assert!(error.contains("nowhere.toml") && error.contains("leader-assassin"), "{error}");
}

#[test]
fn a_bundle_that_is_missing_or_not_whole_is_wrong_usage_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no-bundle");
    let error = Worlds::open(Some("paper"), Some(&missing)).unwrap_err();
    assert!(error.downcast_ref::<ConfigError>().is_some(), "{error:#}");
    assert!(error.to_string().contains("no-bundle: manifest.json is not there; a bundle is a folder"), "{error}");
    std::fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    let error = Worlds::open(Some("paper"), Some(folder.path())).unwrap_err();
    assert!(error.downcast_ref::<ConfigError>().is_some(), "{error:#}");
    let path = folder.path().join("mine.toml");
    let (_, text) = SHIPPED.iter().find(|(name, _)| *name == "paper").unwrap();
    std::fs::write(&path, text.replace("models/bundles/fashion-mnist", "nowhere/at/all")).unwrap();
    let error = Worlds::open(path.to_str(), None).unwrap_err();
    assert!(error.downcast_ref::<ConfigError>().is_some(), "{error:#}");
    assert!(error.to_string().contains("there is no nowhere/at/all here"), "{error}");
}

#[test]
fn what_cannot_be_written_is_wrong_usage_and_named_before_the_run() {
    for option in ["--history", "--svg", "--freeze"] {
        let args = parsed(&["reproduce", "slow-disk", "--seed", "1", option, "/nowhere/at/all"]).unwrap();
        let error = run(&args).unwrap_err();
        assert!(error.downcast_ref::<ConfigError>().is_some(), "{option}: {error:#}");
        assert!(error.to_string().contains("cannot write /nowhere/at/all"), "{option}: {error}");
    }
}

#[test]
fn a_violation_prints_the_line_that_reproduces_it() {
    let swarm = Worlds::open(None, None).unwrap();
    assert_eq!(swarm.reproduce(17), "rocoin sim reproduce --seed 17");
    let hedged = swarm.in_mode(Some(Mode::Hedged));
    assert_eq!(hedged.reproduce(17), "rocoin sim reproduce --mode hedged --seed 17");
    assert_eq!(hedged.plan(3).setup.load.mode, Mode::Hedged);
    let worlds = Worlds::open(Some("slow-disk"), None).unwrap();
    assert_eq!(worlds.reproduce(3), "rocoin sim reproduce slow-disk --seed 3");
    assert!(parsed(&["reproduce", "slow-disk", "--seed", "3"]).is_ok());
}

#[test]
fn results_carry_what_made_them() {
    let worlds = Worlds::open(Some("slow-disk"), None).unwrap();
    let report = rocoin_netsim::run::run(worlds.plan(1), &mut |_| ());
    let mut results = Results::new(&worlds, Seeds::one(1), NonZeroUsize::MIN);
    results.add(Run::new(&worlds, 1, report));
    let value = results.to_json();
    assert_eq!(value["schema"], "rocoin.sim/1");
    assert_eq!(value["seeds"], serde_json::json!({"from": 1, "to": 2}));
    assert_eq!(value["configuration"]["scenario"]["name"], "slow-disk");
    assert!(value["requests"]["total"].as_u64().unwrap() > 1000);
    assert!(value["recovery"]["max_s"].as_f64().unwrap() < 30.0);
    assert!(value["machine"]["cores"].as_u64().unwrap() > 0);
    assert!(results.holds(), "{value:#}");
}

#[test]
fn a_seed_that_panics_is_a_violation_with_the_line_that_reproduces_it_and_the_others_go_on() {
    let worlds = Worlds::open(Some("slow-disk"), None).unwrap();
    let seeds: Seeds = "1..4".parse().unwrap();
    let each = |seed| {
        play(&worlds, seed, &mut |entry| {
            assert!(seed != 2 || entry.at.as_nanos() < 3_000_000_000, "seed {seed} is odd")
        })
    };
    let mut results = Results::new(&worlds, seeds, NonZeroUsize::MIN);
    seeds.each(NonZeroUsize::MIN, each, |seed, report| results.add(Run::new(&worlds, seed, report)));
    let value = results.to_json();
    let violations = value["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{value:#}");
    let violation = &violations[0];
    assert_eq!((&violation["seed"], &violation["invariant"]), (&2.into(), &"no-panic".into()));
    assert_eq!(violation["evidence"], "panicked: seed 2 is odd");
    assert_eq!(violation["reproduce"], "rocoin sim reproduce slow-disk --seed 2");
    assert!((3.0..3.1).contains(&violation["at_s"].as_f64().unwrap()), "{violation}");
    assert!(!results.holds());
    assert!(value["requests"]["total"].as_u64().unwrap() > 2000);
}

#[test]
fn the_paper_s_setting_serves_the_real_bundle() {
    let worlds = Worlds::open(Some("paper"), None).unwrap();
    let report = rocoin_netsim::run::run(worlds.plan(1), &mut |_| ());
    assert!(report.violation.is_none(), "{}", report.violation.unwrap());
    assert_eq!(worlds.expect().missed(&report), Vec::<String>::new());
}
