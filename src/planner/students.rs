//! The students a plan chooses from, and how accurate their combinations are.

use std::collections::BTreeMap;

use super::PlanError;
use super::survival::{PARTS_MAX, Survival, Weights};
use crate::bundle::Manifest;
use crate::id::PartId;

/// Bytes of a tensor's element on the wire.
const ELEMENT_BYTES: u64 = 4;

/// The most combinations an accuracy table may have: 8 MB of numbers. A bundle above it is refused.
const COMBINATIONS_MAX: usize = 1 << 20;

/// A candidate for a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Student {
    /// Its architecture.
    pub arch: String,
    /// `f32` or `int8`.
    pub precision: String,
    /// For one image, 2 × multiply-accumulates.
    pub flops: u64,
    /// At run time.
    pub memory_bytes: u64,
}

/// The candidates of every part, in part order, with what a request carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Students {
    /// One list a part, none empty.
    pub parts: Vec<Vec<Student>>,
    /// Of the input tensor, once a device.
    pub bytes_in: u64,
    /// Of one part's answer.
    pub bytes_out: u64,
    /// `None` before the students exist.
    pub accuracy: Option<AccuracyTable>,
}

impl Students {
    /// The candidates and the accuracy table of a bundle.
    ///
    /// # Errors
    /// [`PlanError::TooManyParts`], or [`PlanError::Accuracy`] where the table lacks a combination.
    pub fn from_manifest(manifest: &Manifest) -> Result<Self, PlanError> {
        let student = |card: &crate::bundle::StudentCard| Student {
            arch: card.arch.clone(),
            precision: card.precision.clone(),
            flops: card.flops,
            memory_bytes: card.memory_bytes,
        };
        let parts = manifest.parts.iter().map(|part| part.students.iter().map(student).collect()).collect();
        let mut students = Self::without_accuracy(parts, manifest.input.elements(), manifest.classes)?;
        students.accuracy = Some(AccuracyTable::of(manifest, &students.parts)?);
        Ok(students)
    }

    /// Candidates of which no accuracy is known: `elements` of the input, and `classes`.
    ///
    /// # Errors
    /// [`PlanError::TooManyParts`].
    pub fn without_accuracy(parts: Vec<Vec<Student>>, elements: usize, classes: usize) -> Result<Self, PlanError> {
        if parts.is_empty() || parts.len() > PARTS_MAX {
            return Err(PlanError::TooManyParts { parts: parts.len() });
        }
        assert!(parts.iter().all(|candidates| !candidates.is_empty()), "every part has a candidate");
        let bytes = |elements: usize| ELEMENT_BYTES * elements as u64;
        Ok(Self { parts, bytes_in: bytes(elements), bytes_out: bytes(classes), accuracy: None })
    }
}

/// Accuracy of every combination: each part absent or one of its students.
///
/// Stored dense, in mixed radix: digit k is 0 where part k is absent, else 1 + the student's index. The empty combination counts
/// as accuracy 0, since nobody answers.
#[derive(Debug, Clone, PartialEq)]
pub struct AccuracyTable {
    radix: Vec<usize>,
    accuracy: Vec<f64>,
}

impl AccuracyTable {
    /// The accuracy (0 to 1) that `accuracy` gives for each combination: one entry a part, `None` where it is absent, else the student's
    /// index. It is not asked for the empty combination.
    ///
    /// # Errors
    /// [`PlanError::Accuracy`] if there are too many combinations.
    pub fn from_fn(parts: &[Vec<Student>], accuracy: impl Fn(&[Option<usize>]) -> f64) -> Result<Self, PlanError> {
        let (radix, size) = radix(parts)?;
        let digit = |index: usize, k: usize| (index / radix[k] % (parts[k].len() + 1)).checked_sub(1);
        let chosen = |index: usize| (0..parts.len()).map(|k| digit(index, k)).collect::<Vec<_>>();
        let of_index = |index| if index == 0 { 0.0 } else { accuracy(&chosen(index)) };
        Ok(Self { accuracy: (0..size).map(of_index).collect(), radix })
    }

    fn of(manifest: &Manifest, parts: &[Vec<Student>]) -> Result<Self, PlanError> {
        let fail = |what: String| Err(PlanError::Accuracy(what));
        let (radix, size) = radix(parts)?;
        let mut place = BTreeMap::new();
        for (k, students) in parts.iter().enumerate() {
            for (i, student) in students.iter().enumerate() {
                place.insert((k, student.arch.as_str(), student.precision.as_str()), radix[k] * (i + 1));
            }
        }
        let mut accuracy = vec![f64::NAN; size];
        accuracy[0] = 0.0;
        for combination in manifest.accuracy.iter().filter(|combination| !combination.students.is_empty()) {
            let mut index = 0;
            let mut last = None;
            for student in &combination.students {
                let key = (usize::from(student.part.0), student.arch.as_str(), student.precision.as_str());
                let Some(step) = place.get(&key).filter(|_| last.is_none_or(|last| last < student.part)) else {
                    return fail(format!(
                        "a combination names {} ({}) of part {}, which the bundle has not, or names parts out of order",
                        student.arch, student.precision, student.part
                    ));
                };
                last = Some(student.part);
                index += step;
            }
            if !(0.0..=1.0).contains(&combination.accuracy) {
                return fail(format!("an accuracy is {}; it is a fraction from 0 to 1", combination.accuracy));
            }
            accuracy[index] = combination.accuracy;
        }
        let table = Self { radix, accuracy };
        match table.accuracy.iter().position(|accuracy| accuracy.is_nan()) {
            None => Ok(table),
            Some(index) => fail(format!("the combination of {} is missing", table.describe(index, parts))),
        }
    }

    fn describe(&self, index: usize, parts: &[Vec<Student>]) -> String {
        let named = parts.iter().enumerate().filter_map(|(k, students)| {
            let digit = index / self.radix[k] % (students.len() + 1);
            let student = students.get(digit.checked_sub(1)?)?;
            let part = PartId(u16::try_from(k).unwrap_or(u16::MAX));
            Some(format!("part {part}: {} ({})", student.arch, student.precision))
        });
        named.collect::<Vec<_>>().join(", ")
    }

    /// Accuracy to be expected of the chosen `students` (an index a part) if each part is missing with probability `missing`
    /// (0 to 1), whatever becomes of the others. Where all are missing it counts as 0, as everywhere.
    ///
    /// # Panics
    /// If `students` has not one index a part.
    pub fn expected(&self, students: &[usize], missing: f64) -> f64 {
        let mut survival = Survival::new(students.len());
        survival.set((0..students.len()).map(|k| (1 << k, missing)));
        survival.expectation(&Weights::of(self, students))
    }

    /// Accuracy where the parts of `present` (a bit each) are answered by the chosen `students` (an index a part).
    ///
    /// # Panics
    /// If `students` has not one index a part.
    pub fn of_present(&self, students: &[usize], present: usize) -> f64 {
        let index: usize =
            (0..self.radix.len()).filter(|k| present >> k & 1 == 1).map(|k| self.radix[k] * (students[k] + 1)).sum();
        self.accuracy[index]
    }

    /// Accuracy of the most accurate combination.
    pub fn best(&self) -> f64 {
        self.accuracy.iter().copied().fold(0.0, f64::max)
    }
}

/// What one step of each part's digit is worth, and the number of combinations.
fn radix(parts: &[Vec<Student>]) -> Result<(Vec<usize>, usize), PlanError> {
    let mut size = 1_usize;
    let mut radix = Vec::with_capacity(parts.len());
    for students in parts {
        radix.push(size);
        size = size.saturating_mul(students.len() + 1);
    }
    match size {
        ..=COMBINATIONS_MAX => Ok((radix, size)),
        _ => Err(PlanError::Accuracy(format!("there are more than {COMBINATIONS_MAX} combinations of students"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// K parts with students of the given (flops, memory); accuracy falls with missing parts and rises with size.
    pub(crate) fn students(k: usize, sizes: &[(u64, u64)]) -> Students {
        let candidates = |_| {
            let student = |(i, &(flops, memory_bytes)): (usize, &(u64, u64))| Student {
                arch: format!("wrn-{}-1", 10 + 6 * i),
                precision: "f32".to_owned(),
                flops,
                memory_bytes,
            };
            sizes.iter().enumerate().map(student).collect()
        };
        let mut students = Students::without_accuracy((0..k).map(candidates).collect(), 784, 10).unwrap();
        students.accuracy = Some(modelled(&students.parts));
        students
    }

    /// 93 % with every part by its largest student; 0.8 points less where all are the smallest, more for missing parts.
    pub(crate) fn modelled(parts: &[Vec<Student>]) -> AccuracyTable {
        let share = 1.0 / parts.len() as f64;
        let loss = |(students, chosen): (&Vec<Student>, &Option<usize>)| match chosen {
            None => 0.004 + 0.008 * share,
            Some(s) => 0.008 * (students.len() - 1 - s) as f64 / (students.len() - 1).max(1) as f64 * share,
        };
        let accuracy = |chosen: &[Option<usize>]| 0.93 - parts.iter().zip(chosen).map(loss).sum::<f64>();
        AccuracyTable::from_fn(parts, accuracy).unwrap()
    }

    #[test]
    fn a_combination_is_found_by_its_students_and_the_parts_present() {
        let table = students(2, &[(1, 1), (2, 2)]).accuracy.unwrap();
        assert_eq!(table.of_present(&[1, 1], 0b11), 0.93);
        assert_eq!(table.of_present(&[0, 1], 0), 0.0);
        assert!((table.of_present(&[0, 1], 0b11) - 0.926).abs() < 1e-12);
        assert!((table.of_present(&[0, 1], 0b10) - 0.922).abs() < 1e-12);
        assert_eq!(table.best(), 0.93);
    }

    #[test]
    fn parts_that_go_missing_each_on_its_own_are_weighed_by_how_likely_that_is() {
        let table = students(2, &[(1, 1), (2, 2)]).accuracy.unwrap();
        let [none, first, second, both] = [0b00, 0b01, 0b10, 0b11].map(|present| table.of_present(&[0, 1], present));
        let expected = 0.01 * none + 0.09 * first + 0.09 * second + 0.81 * both;
        assert!((table.expected(&[0, 1], 0.1) - expected).abs() < 1e-12);
        assert_eq!(table.expected(&[0, 1], 0.0), both);
        assert!(table.expected(&[0, 1], 1.0).abs() < 1e-12);
    }

    fn manifest(accuracy: serde_json::Value) -> Result<Students, String> {
        let card = |arch: &str| {
            serde_json::json!({
                "arch": arch, "precision": "f32", "file": format!("{arch}.onnx"),
                "sha256": crate::id::Digest::of(arch.as_bytes()).to_string(),
                "bytes": 1, "memory_bytes": 2, "flops": 3, "params": 4,
            })
        };
        let manifest = serde_json::json!({
            "schema": "rocoin.bundle/1", "name": "m", "version": "1", "classes": 2, "labels": ["a", "b"],
            "input": {"name": "image", "shape": [1, 5], "dtype": "FP32",
                      "preprocess": {"scale": 1.0, "mean": [0.0], "std": [1.0]}},
            "teacher": {"sha256": "0".repeat(64), "accuracy": 0.9}, "data": {"name": "d", "sha256": "0".repeat(64)},
            "parts": [{"part": 0, "filters": [0], "students": [card("wrn-10-1"), card("wrn-16-1")]}],
            "merge": {"kind": "sum", "bias": [0.0, 0.0]}, "accuracy": accuracy, "training": {},
        });
        // Unchecked: the table does not rely on the manifest's own checks.
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        Students::from_manifest(&manifest).map_err(|error| error.to_string())
    }

    fn combination(arch: &str, accuracy: f64) -> serde_json::Value {
        let students = [serde_json::json!({"part": 0, "arch": arch, "precision": "f32"})];
        serde_json::json!({"students": students, "accuracy": accuracy, "samples": 10})
    }

    #[test]
    fn a_bundles_students_and_accuracies_are_taken_from_its_manifest() {
        let students =
            manifest(serde_json::json!([combination("wrn-16-1", 0.9), combination("wrn-10-1", 0.8)])).unwrap();
        assert_eq!((students.bytes_in, students.bytes_out), (20, 8));
        assert_eq!(students.parts[0][1].arch, "wrn-16-1");
        let table = students.accuracy.unwrap();
        assert_eq!([table.of_present(&[0], 1), table.of_present(&[1], 1), table.of_present(&[1], 0)], [0.8, 0.9, 0.0]);
    }

    #[test]
    fn an_accuracy_table_with_holes_or_strangers_is_refused_by_name() {
        let error = |accuracy| manifest(accuracy).unwrap_err();
        let hole = error(serde_json::json!([combination("wrn-16-1", 0.9)]));
        assert!(hole.contains("part 0: wrn-10-1 (f32) is missing"), "{hole}");
        let stranger = error(serde_json::json!([combination("wrn-22-1", 0.9)]));
        assert!(stranger.contains("names wrn-22-1 (f32) of part 0"), "{stranger}");
        let percent = error(serde_json::json!([combination("wrn-16-1", 90.0)]));
        assert!(percent.contains("an accuracy is 90"), "{percent}");
    }
}
