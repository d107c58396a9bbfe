//! `rocoin sim compare`: two results side by side, and whether the new one is worse in what can be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::results::SCHEMA;
use crate::cli::text::{aligned, print};
use crate::config::ConfigError;

/// What is compared, in this order; the rest of a result says how it was made.
const FIGURES: [&str; 5] = ["violations", "missed", "requests", "recovery", "planned"];
/// What says how it was made, and may explain a difference.
const CIRCUMSTANCES: [&str; 5] = ["configuration", "seeds", "commit", "version", "machine"];

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct CompareArgs {
    /// A result of `sim run --json`
    old: PathBuf,
    /// Another one
    new: PathBuf,
}

pub(super) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let worse = worse(&old, &new);
    let verdict = worse.iter().map(|what| format!("Worse: {what}\n")).collect::<String>();
    print(&(side_by_side(&old, &new) + &verdict))?;
    Ok(super::exit(worse.is_empty()))
}

fn read(path: &Path) -> Result<Value, ConfigError> {
    let wrong = |text: String| ConfigError::Wrong(format!("{}: {text}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read it: {error}")))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    if value["schema"] != SCHEMA {
        let found = value["schema"].as_str().map_or("no schema".to_owned(), |schema| format!("schema {schema}"));
        return Err(wrong(format!("{found}; compare takes results of `rocoin sim run --json`, schema {SCHEMA}")));
    }
    Ok(value)
}

/// The violations and missed expectations that the old result does not have, by seed. Of figures nobody knows which way is better.
fn worse(old: &Value, new: &Value) -> BTreeSet<String> {
    failures(new).difference(&failures(old)).cloned().collect()
}

/// Each without its numbers: they differ from run to run.
fn failures(result: &Value) -> BTreeSet<String> {
    let each = |figure: &str| result[figure].as_array().cloned().unwrap_or_default();
    let broken =
        each("violations").into_iter().map(|violation| (violation["seed"].clone(), violation["invariant"].clone()));
    let missed = each("missed").into_iter().map(|missed| (missed["seed"].clone(), missed["missed"].clone()));
    let name = |what: &Value| what.as_str().and_then(|text| text.split(':').next()).unwrap_or_default().to_owned();
    let broken = broken.map(|(seed, what)| format!("seed {seed} breaks {}", name(&what)));
    broken.chain(missed.map(|(seed, what)| format!("seed {seed} misses what is expected of {}", name(&what)))).collect()
}

fn side_by_side(old: &Value, new: &Value) -> String {
    let mut rows = vec![["", "old", "new", "change"].map(str::to_owned).to_vec()];
    for figure in FIGURES {
        let (before, after) = (flat(figure, &counted(figure, old)), flat(figure, &counted(figure, new)));
        for key in union(&before, &after) {
            let (a, b) = (before.get(key), after.get(key));
            rows.push(vec![key.clone(), text(a), text(b), change(a, b)]);
        }
    }
    let mut differs = Vec::new();
    for circumstance in CIRCUMSTANCES {
        let (before, after) = (flat(circumstance, &old[circumstance]), flat(circumstance, &new[circumstance]));
        for key in union(&before, &after) {
            let (a, b) = (before.get(key), after.get(key));
            if a != b {
                differs.push(vec![key.clone(), text(a), text(b)]);
            }
        }
    }
    let differences = if differs.is_empty() {
        "Made in the same way.\n".to_owned()
    } else {
        format!("Made differently:\n{}", aligned(&differs))
    };
    format!("{}\n{differences}", aligned(&rows))
}

/// Of violations and misses, how many; anything else as it is.
fn counted(figure: &str, result: &Value) -> Value {
    match result[figure].as_array() {
        Some(items) if figure != "planned" => Value::from(items.len()),
        _ => result[figure].clone(),
    }
}

/// Every number and text in a value, by its path.
fn flat(path: &str, value: &Value) -> BTreeMap<String, Value> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (format!("{path}.{key}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (format!("{path}.{i}"), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return [(path.to_owned(), value.clone())].into();
        }
    };
    inner.into_iter().flat_map(|(path, value)| flat(&path, value)).collect()
}

fn union<'a>(a: &'a BTreeMap<String, Value>, b: &'a BTreeMap<String, Value>) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or(f64::NAN)),
        Some(other) => other.to_string(),
    }
}

fn change(a: Option<&Value>, b: Option<&Value>) -> String {
    let number = |value: Option<&Value>| value.map_or(Some(0.0), Value::as_f64);
    match (number(a), number(b)) {
        (Some(a), Some(b)) if a == b => String::new(),
        (Some(a), Some(b)) if a != 0.0 => format!("{:+.1} %", 100.0 * (b - a) / a),
        (Some(a), Some(b)) => format!("{:+}", b - a),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_is_worse_where_something_fails_that_did_not_before() {
        let result = |violations: &[(u64, &str)], missed: &[(u64, &str)]| {
            let violations: Vec<_> =
                violations.iter().map(|(seed, what)| json!({"seed": seed, "invariant": what})).collect();
            let missed: Vec<_> = missed.iter().map(|(seed, what)| json!({"seed": seed, "missed": what})).collect();
            json!({"schema": SCHEMA, "violations": violations, "missed": missed})
        };
        let old = result(&[(1, "recovers")], &[(2, "latency p50: 0.3 s, expected at most 0.2 s")]);
        let same = result(&[(1, "recovers")], &[(2, "latency p50: 0.4 s, expected at most 0.2 s")]);
        assert!(worse(&old, &same).is_empty());
        assert!(worse(&old, &result(&[], &[])).is_empty());
        let new = result(&[(1, "no-panic"), (3, "recovers")], &[(2, "requests: 1, expected at least 2")]);
        let expected =
            ["seed 1 breaks no-panic", "seed 2 misses what is expected of requests", "seed 3 breaks recovers"];
        assert_eq!(worse(&old, &new).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_file_that_is_no_result_of_a_run_is_wrong_usage_and_named_with_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scale.json");
        std::fs::write(&path, "{\"schema\": \"rocoin.scale/1\"}").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("scale.json: schema rocoin.scale/1; compare takes results of"), "{error}");
        let error = read(&folder.path().join("nowhere.json")).unwrap_err().to_string();
        assert!(error.contains("nowhere.json: cannot read it"), "{error}");
    }

    #[test]
    fn figures_stand_side_by_side_and_what_was_made_differently_is_named() {
        let result = |rate: f64, complete: u64, violations: &[&str]| {
            json!({
                "schema": SCHEMA, "violations": violations, "missed": [], "commit": "abc", "seeds": {"from": 0, "to": 9},
                "configuration": {"scenario": {"load": {"rate_per_s": rate}}},
                "requests": {"outcomes": {"complete": complete}, "latency_p50_s": 0.02},
                "recovery": {"max_s": null}, "planned": [],
            })
        };
        let text = side_by_side(&result(5.0, 100, &[]), &result(6.0, 150, &["one"]));
        for line in [
            "violations                  0       1       +1",
            "requests.outcomes.complete  100     150     +50.0 %",
            "requests.latency_p50_s      0.0200  0.0200",
            "configuration.scenario.load.rate_per_s  5.0000  6.0000",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("commit"), "{text}");
        assert!(side_by_side(&result(5.0, 1, &[]), &result(5.0, 1, &[])).ends_with("Made in the same way.\n"));
    }
}
