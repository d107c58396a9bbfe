//! What `rocoin distill` says at its end: how good the students are together, with parts missing, and on the fleet they are for.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use rocoin::bundle::Manifest;
use rocoin::fleet::Fleet;
use rocoin::id::Digest;
use rocoin::planner::{Plan, PlanError, Students, plan};
use rocoin_models::evaluate::{PART_MISSING_PROBABILITY, Selection, selections};
use serde_json::{Value, json};

use super::SCHEMA;
use crate::cli::plan::to_json as plan_to_json;
use crate::cli::text::{aligned, percent};

/// A bundle that was just made.
#[derive(Debug)]
pub(super) struct Report<'a> {
    path: &'a Path,
    digest: Digest,
    manifest: &'a Manifest,
    selections: Vec<Selection>,
    plan: Option<(&'a Fleet, Result<Plan, PlanError>)>,
}

impl<'a> Report<'a> {
    /// Of the bundle at `path`, and of its plan for `fleet`.
    ///
    /// # Errors
    /// If the manifest's accuracies cannot be planned with.
    pub(super) fn new(
        path: &'a Path,
        digest: Digest,
        manifest: &'a Manifest,
        fleet: Option<&'a Fleet>,
    ) -> anyhow::Result<Self> {
        let students = Students::from_manifest(manifest).with_context(|| format!("bundle {}", path.display()))?;
        let plan = fleet.map(|fleet| (fleet, plan(fleet, &students)));
        Ok(Self { path, digest, manifest, selections: selections(&students), plan })
    }

    /// Test images.
    fn samples(&self) -> usize {
        self.manifest.accuracy.first().map_or(0, |combination| combination.samples)
    }

    /// Schema `rocoin.distill/1`.
    pub(super) fn to_json(&self) -> Value {
        let spans = |selection: &Selection| -> Vec<Value> {
            let spans = selection.by_missing.iter().enumerate();
            spans.map(|(missing, [min, max])| json!({"missing": missing, "min": min, "max": max})).collect()
        };
        let selection = |selection: &Selection| {
            json!({
                "students": selection.students,
                "by_missing": spans(selection),
                "expected_accuracy": selection.expected,
            })
        };
        let plan = self.plan.as_ref().and_then(|(fleet, plan)| Some(plan_to_json(fleet, plan.as_ref().ok()?)));
        json!({
            "schema": SCHEMA,
            "bundle": self.digest,
            "path": self.path.display().to_string(),
            "name": self.manifest.name,
            "version": self.manifest.version,
            "parts": self.manifest.parts.len(),
            "teacher_accuracy": self.manifest.teacher.accuracy,
            "samples": self.samples(),
            "accuracy": self.selections.iter().map(selection).collect::<Vec<_>>(),
            "part_missing_probability": PART_MISSING_PROBABILITY,
            "plan": plan,
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("\naccuracy on {} test images, lowest to highest\n\n", self.samples());
        text += &self.table();
        _ = writeln!(
            text,
            "\nexpected: where each part is missing with probability {PART_MISSING_PROBABILITY}, whatever becomes of the others"
        );
        match &self.plan {
            None => {}
            Some((_, Err(error))) => _ = writeln!(text, "on this fleet: no plan, {error}"),
            Some((_, Ok(plan))) => {
                let share = |accuracy: Option<f64>| accuracy.map_or_else(|| "unknown".to_owned(), percent);
                let (all, expected) = (share(plan.accuracy), share(plan.expected_accuracy));
                _ = writeln!(text, "on this fleet, as planned: {all} if nobody fails, {expected} expected");
                plan.reasons.iter().for_each(|reason| _ = writeln!(text, "  not feasible: {reason}"));
            }
        }
        _ = writeln!(text, "bundle {}, digest {}", self.path.display(), self.digest);
        text
    }

    fn table(&self) -> String {
        let parts = self.manifest.parts.len();
        let columns: Vec<(usize, String)> =
            (0..parts).filter_map(|missing| Some((missing, heading(missing, parts)?))).collect();
        let headings = columns.iter().map(|(_, heading)| heading.clone());
        let mut rows =
            vec![["students".to_owned()].into_iter().chain(headings).chain(["expected".to_owned()]).collect()];
        rows.push(vec!["teacher".to_owned(), percent(self.manifest.teacher.accuracy)]);
        for selection in &self.selections {
            let spans = columns.iter().map(|&(missing, _)| span(selection.by_missing[missing]));
            let row = [selection.name.clone()].into_iter().chain(spans).chain([percent(selection.expected)]);
            rows.push(row.collect::<Vec<_>>());
        }
        aligned(&rows)
    }
}

/// Of the column for so many of `parts` missing; `None` where that has no column.
fn heading(missing: usize, parts: usize) -> Option<String> {
    match missing {
        0 => Some(format!("all {parts}")),
        _ if missing + 1 == parts => Some("one alone".to_owned()),
        1 => Some("one missing".to_owned()),
        2 => Some("two missing".to_owned()),
        _ => None,
    }
}

fn span([lowest, highest]: [f64; 2]) -> String {
    let (lowest, highest) = (percent(lowest), percent(highest));
    if lowest == highest {
        return lowest;
    }
    format!("{} to {highest}", lowest.trim_end_matches(" %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three parts of two sizes: 0.9 with all; a part missing costs 0.01 more than the one before, a small student 0.001.
    fn manifest() -> Manifest {
        let archs = ["wrn-10-1", "wrn-16-1"];
        let card = |part: usize, arch: &str| {
            json!({"arch": arch, "precision": "f32", "file": format!("part{part}-{arch}.onnx"),
                "sha256": Digest::of(format!("{part} {arch}").as_bytes()).to_string(),
                "bytes": 1, "memory_bytes": 200_000, "flops": 3_000_000, "params": 4})
        };
        let part =
            |part: usize| json!({"part": part, "filters": [part], "students": archs.map(|arch| card(part, arch))});
        let combination = |index: usize| {
            let chosen: Vec<(usize, usize)> =
                (0..3).map(|part| (part, index / [1, 3, 9][part] % 3)).filter(|(_, digit)| *digit < 2).collect();
            let missing: f64 = (0..3)
                .filter(|part| chosen.iter().all(|(has, _)| has != part))
                .map(|part| 0.01 * (part + 1) as f64)
                .sum();
            let small = chosen.iter().filter(|(_, digit)| *digit == 0).count() as f64;
            let student =
                |(part, digit): &(usize, usize)| json!({"part": part, "arch": archs[*digit], "precision": "f32"});
            json!({"students": chosen.iter().map(student).collect::<Vec<_>>(),
                "accuracy": 0.9 - missing - 0.001 * small, "samples": 1000})
        };
        let manifest = json!({
            "schema": "rocoin.bundle/1", "name": "m", "version": "1", "classes": 2, "labels": ["a", "b"],
            "input": {"name": "image", "shape": [1, 5], "dtype": "FP32",
                      "preprocess": {"scale": 1.0, "mean": [0.0], "std": [1.0]}},
            "teacher": {"sha256": "0".repeat(64), "accuracy": 0.95}, "data": {"name": "d", "sha256": "0".repeat(64)},
            "parts": (0..3).map(part).collect::<Vec<_>>(),
            "merge": {"kind": "sum", "bias": [0.0, 0.0]},
            "accuracy": (0..26).map(combination).collect::<Vec<_>>(), "training": {},
        });
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    fn fleet(memory_bytes: u64) -> Fleet {
        let device = |name: &str| {
            format!(
                "[[device]]\nname = {name:?}\nflops_per_s = 1e9\nmemory_bytes = {memory_bytes}\nlink_bits_per_s = 1e8\n"
            )
        };
        Fleet::parse(&["a", "b", "c", "d"].map(device).concat()).unwrap()
    }

    fn report<'a>(manifest: &'a Manifest, fleet: Option<&'a Fleet>) -> Report<'a> {
        Report::new(Path::new("my-bundle"), Digest::of(b"manifest"), manifest, fleet).unwrap()
    }

    #[test]
    fn people_see_each_architecture_beside_the_teacher_with_parts_missing() {
        insta::assert_snapshot!(report(&manifest(), None).text());
    }

    #[test]
    fn programs_see_the_documented_schema() {
        let manifest = manifest();
        let value = report(&manifest, None).to_json();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut documented = [
            "schema",
            "bundle",
            "path",
            "name",
            "version",
            "parts",
            "teacher_accuracy",
            "samples",
            "accuracy",
            "part_missing_probability",
            "plan",
        ];
        documented.sort_unstable();
        assert_eq!(keys, documented);
        assert_eq!(value["schema"], "rocoin.distill/1");
        assert_eq!(value["plan"], Value::Null);
        let large = &value["accuracy"][1];
        assert_eq!(large["students"][2], json!({"part": 2, "arch": "wrn-16-1", "precision": "f32"}));
        assert_eq!(large["by_missing"][0], json!({"missing": 0, "min": 0.9, "max": 0.9}));
        assert_eq!(large["by_missing"].as_array().unwrap().len(), 3);
        let expected = large["expected_accuracy"].as_f64().unwrap();
        assert!(0.85 < expected && expected < 0.9, "{expected}");
    }

    #[test]
    fn with_a_fleet_the_plan_is_the_one_that_plan_prints() {
        let (manifest, fleet) = (manifest(), fleet(1_000_000));
        let report = report(&manifest, Some(&fleet));
        let planned = plan(&fleet, &Students::from_manifest(&manifest).unwrap()).unwrap();
        assert_eq!(report.to_json()["plan"], plan_to_json(&fleet, &planned));
        assert!(planned.expected_accuracy.is_some());
        let line = format!("90.00 % if nobody fails, {} expected", percent(planned.expected_accuracy.unwrap()));
        assert!(report.text().contains(&line), "{}", report.text());
    }

    #[test]
    fn a_bundle_that_the_fleet_has_no_room_for_is_reported_all_the_same() {
        let (manifest, fleet) = (manifest(), fleet(1000));
        let report = report(&manifest, Some(&fleet));
        assert_eq!(report.to_json()["plan"], Value::Null);
        assert!(report.text().contains("on this fleet: no plan, part 0"), "{}", report.text());
    }
}
