//! `rocoin sim compare`: two results side by side.

use std::collections::BTreeMap;
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
    print(&side_by_side(&old, &new))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Value, ConfigError> {
    let wrong = |text: String| ConfigError::Wrong(format!("{}: {text}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot read it: {error}")))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(format!("not JSON: {error}")))?;
    if value["schema"] != SCHEMA {
        return Err(wrong(format!("not a result of `rocoin sim run --json` (schema {SCHEMA})")));
    }
    Ok(value)
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

fn union<'a>(a: &'a BTreeMap<String, Value>, b: &'a BTreeMap<String, Value>) -> std::collections::BTreeSet<&'a String> {
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
