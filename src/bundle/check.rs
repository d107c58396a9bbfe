//! What a manifest of the right form has to be to make sense. Each refusal names the field.

use std::collections::BTreeSet;

use super::{Manifest, Part, SCHEMA, StudentCard, StudentRef};
use crate::membership::{NAME_BYTES_MAX, VERSION_BYTES_MAX};
use crate::planner::PARTS_MAX;
use crate::wire::BLOB_BYTES_MAX;

/// Whether a model can have this name: 1 to 64 ASCII letters, digits, `.`, `-` and `_`, which are safe in any path or URL.
pub fn is_name(text: &str) -> bool {
    is_plain(text) && text.len() <= NAME_BYTES_MAX
}

/// Whether a model can have this version: numbers with dots between, 32 bytes at most.
pub fn is_version(text: &str) -> bool {
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u64>().is_ok();
    text.len() <= VERSION_BYTES_MAX && text.split('.').all(is_number)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

impl Manifest {
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_head()?;
        self.check_input()?;
        self.check_parts()?;
        self.check_accuracy()
    }

    fn check_head(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema is {:?}; this version reads {SCHEMA:?}", self.schema));
        }
        if !is_name(&self.name) {
            return Err(format!(
                "name is {:?}; it is 1 to {NAME_BYTES_MAX} letters, digits, '.', '-' and '_'",
                self.name
            ));
        }
        if !is_version(&self.version) {
            return Err(format!(
                "version is {:?}; it is numbers with dots between, at most {VERSION_BYTES_MAX} bytes",
                self.version
            ));
        }
        let (labels, biases) = (self.labels.len(), self.merge.bias.len());
        if self.classes == 0 || labels != self.classes || biases != self.classes {
            return Err(format!("classes is {}, but there are {labels} labels and {biases} biases", self.classes));
        }
        if self.merge.kind != "sum" {
            return Err(format!("merge.kind is {:?}; only \"sum\" is known", self.merge.kind));
        }
        match self.merge.bias.iter().position(|bias| !bias.is_finite()) {
            Some(class) => Err(format!("merge.bias[{class}] is not a finite number")),
            None => Ok(()),
        }
    }

    fn check_input(&self) -> Result<(), String> {
        let input = &self.input;
        if input.name != "image" {
            return Err(format!("input.name is {:?}; only \"image\" is known", input.name));
        }
        if input.dtype != "FP32" {
            return Err(format!("input.dtype is {:?}; only \"FP32\" is known", input.dtype));
        }
        if !(2..=3).contains(&input.shape.len()) || input.shape.contains(&0) {
            return Err(format!("input.shape is {:?}; it is [C,H,W] or [C,L], none zero", input.shape));
        }
        let bytes = input.shape.iter().try_fold(size_of::<f32>(), |bytes, &length| bytes.checked_mul(length));
        if bytes.is_none_or(|bytes| bytes > BLOB_BYTES_MAX) {
            return Err(format!("input.shape is {:?}; an image has at most {BLOB_BYTES_MAX} bytes", input.shape));
        }
        let (channels, mean, std) = (input.shape[0], &input.preprocess.mean, &input.preprocess.std);
        if mean.len() != channels || std.len() != channels {
            return Err(format!(
                "input.preprocess has {} means and {} deviations for {channels} channels; there is one of each a channel",
                mean.len(),
                std.len()
            ));
        }
        let finite = [input.preprocess.scale].iter().chain(mean).chain(std).all(|number| number.is_finite());
        if !finite || std.contains(&0.0) {
            return Err("input.preprocess: its numbers are finite, and no deviation is zero".to_owned());
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), String> {
        if self.parts.is_empty() || self.parts.len() > PARTS_MAX {
            return Err(format!("parts: there are {}; from 1 to {PARTS_MAX} are possible", self.parts.len()));
        }
        let (mut files, mut digests) = (BTreeSet::new(), BTreeSet::new());
        for (k, part) in self.parts.iter().enumerate() {
            check_part(k, part)?;
            for student in &part.students {
                if !files.insert(&student.file) {
                    return Err(format!("parts[{k}]: another student has the file {:?} too", student.file));
                }
                if !digests.insert(student.digest) {
                    return Err(format!("parts[{k}]: another student has the sha256 of {} too", student.file));
                }
            }
        }
        Ok(())
    }

    fn check_accuracy(&self) -> Result<(), String> {
        for (i, combination) in self.accuracy.iter().enumerate() {
            if !combination.students.is_sorted_by(|a, b| a.part < b.part) {
                return Err(format!("accuracy[{i}]: it names at most one student a part, in part order"));
            }
            if let Some(unknown) = combination.students.iter().find(|student| !self.has(student)) {
                let StudentRef { part, arch, precision } = unknown;
                return Err(format!("accuracy[{i}]: part {part} has no student {arch} {precision}"));
            }
        }
        Ok(())
    }

    fn has(&self, student: &StudentRef) -> bool {
        let part = self.parts.get(usize::from(student.part.0));
        part.is_some_and(|part| part.students.iter().any(|card| is_called(card, &student.arch, &student.precision)))
    }
}

fn check_part(k: usize, part: &Part) -> Result<(), String> {
    if usize::from(part.part.0) != k {
        return Err(format!("parts[{k}].part is {}; parts are numbered from 0 without a gap", part.part));
    }
    if part.students.is_empty() {
        return Err(format!("parts[{k}].students is empty"));
    }
    for (i, student) in part.students.iter().enumerate() {
        let StudentCard { arch, precision, file, .. } = student;
        if !is_plain(file) || file.starts_with('.') {
            return Err(format!("parts[{k}]: {file:?} is not a plain file name"));
        }
        if part.students[..i].iter().any(|other| is_called(other, arch, precision)) {
            return Err(format!("parts[{k}]: two students are {arch} {precision}"));
        }
    }
    Ok(())
}

fn is_called(card: &StudentCard, arch: &str, precision: &str) -> bool {
    card.arch == arch && card.precision == precision
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::id::Digest;

    fn student(part: u16, arch: &str) -> Value {
        let file = format!("part{part}-{arch}-f32.onnx");
        let sha256 = Digest::of(file.as_bytes()).to_string();
        json!({
            "arch": arch, "precision": "f32", "file": file, "sha256": sha256, "bytes": 1, "memory_bytes": 1, "flops": 1,
            "params": 1
        })
    }

    fn manifest() -> Value {
        let student_ref = |part: u16| json!({ "part": part, "arch": "wrn-10-1", "precision": "f32" });
        json!({
            "schema": SCHEMA, "name": "clothes", "version": "1.2", "classes": 2, "labels": ["shirt", "shoe"],
            "input": {
                "name": "image", "shape": [1, 2, 2], "dtype": "FP32",
                "preprocess": { "scale": 1.0, "mean": [0.5], "std": [0.5] }
            },
            "teacher": { "sha256": "", "accuracy": 0.9 },
            "data": { "name": "clothes", "sha256": "" },
            "parts": [
                { "part": 0, "filters": [0], "students": [student(0, "wrn-10-1"), student(0, "wrn-16-1")] },
                { "part": 1, "filters": [1], "students": [student(1, "wrn-10-1")] }
            ],
            "merge": { "kind": "sum", "bias": [0.0, 1.0] },
            "accuracy": [
                { "students": [student_ref(0), student_ref(1)], "accuracy": 0.9, "samples": 2 },
                { "students": [student_ref(1)], "accuracy": 0.5, "samples": 2 }
            ],
            "training": null
        })
    }

    /// What is said of the manifest with `value` at `pointer`.
    #[track_caller]
    fn refusal(pointer: &str, value: Value) -> String {
        let mut manifest = manifest();
        *manifest.pointer_mut(pointer).expect("the field is there") = value;
        Manifest::parse(manifest.to_string().as_bytes()).expect_err("it makes no sense").to_string()
    }

    #[test]
    fn a_manifest_that_makes_sense_is_taken() {
        Manifest::parse(manifest().to_string().as_bytes()).unwrap();
    }

    #[test]
    fn a_field_that_makes_no_sense_is_refused_by_name() {
        for (pointer, value, field) in [
            ("/schema", json!("rocoin.bundle/9"), "schema"),
            ("/name", json!(""), "name"),
            ("/name", json!("a b"), "name"),
            ("/name", json!("../clothes"), "name"),
            ("/name", json!("n".repeat(65)), "name"),
            ("/version", json!(""), "version"),
            ("/version", json!("1..2"), "version"),
            ("/version", json!("+1"), "version"),
            ("/version", json!("1.2-rc"), "version"),
            ("/version", json!("1.".repeat(16) + "1"), "version"),
            ("/version", json!("9".repeat(21)), "version"),
            ("/classes", json!(3), "classes"),
            ("/labels", json!(["shirt"]), "labels"),
            ("/merge/kind", json!("mean"), "merge.kind"),
            ("/merge/bias", json!([0.0]), "biases"),
            ("/merge/bias/1", json!(1e300), "merge.bias[1]"),
            ("/input/name", json!("picture"), "input.name"),
            ("/input/dtype", json!("UINT8"), "input.dtype"),
            ("/input/shape", json!([1]), "input.shape"),
            ("/input/shape/1", json!(0), "input.shape"),
            ("/input/shape/1", json!(1 << 20), "input.shape"),
            ("/input/shape/1", json!(u64::MAX), "input.shape"),
            ("/input/preprocess/mean", json!([]), "input.preprocess"),
            ("/input/preprocess/std", json!([1.0, 1.0]), "input.preprocess"),
            ("/input/preprocess/std/0", json!(0.0), "input.preprocess"),
            ("/input/preprocess/scale", json!(1e300), "input.preprocess"),
        ] {
            let error = refusal(pointer, value.clone());
            assert!(error.contains(field), "{pointer} = {value}: {error}");
        }
    }

    #[test]
    fn parts_and_students_that_make_no_sense_are_refused_by_name() {
        let second = "/parts/0/students/1";
        let first = student(0, "wrn-10-1");
        let many = |k: u16| json!({ "part": k, "filters": [], "students": [student(k, "wrn-10-1")] });
        for (pointer, value, said) in [
            ("/parts".to_owned(), json!([]), "parts"),
            ("/parts".to_owned(), (0..13).map(many).collect(), "1 to 12"),
            ("/parts/1/part".to_owned(), json!(2), "parts[1].part"),
            ("/parts/1/students".to_owned(), json!([]), "parts[1].students"),
            (format!("{second}/sha256"), json!("abc"), "sha256: "),
            (format!("{second}/file"), json!("../x.onnx"), "plain file name"),
            (format!("{second}/file"), json!(".x.onnx"), "plain file name"),
            (format!("{second}/file"), first["file"].clone(), "the file"),
            (format!("{second}/sha256"), first["sha256"].clone(), "another student has the sha256"),
            (format!("{second}/arch"), json!("wrn-10-1"), "two students are wrn-10-1 f32"),
            ("/parts/1/students/0/file".to_owned(), first["file"].clone(), "parts[1]"),
        ] {
            let error = refusal(&pointer, value.clone());
            assert!(error.contains(said), "{pointer} = {value}: {error}");
        }
    }

    #[test]
    fn a_combination_is_of_students_that_are_there_in_part_order() {
        for (pointer, value) in [
            ("/accuracy/1/students/0/part", json!(2)),
            ("/accuracy/1/students/0/arch", json!("wrn-16-1")),
            ("/accuracy/1/students/0/precision", json!("int8")),
            ("/accuracy/0/students/1/part", json!(0)),
        ] {
            let index = &pointer[10..11];
            let error = refusal(pointer, value.clone());
            assert!(error.contains(&format!("accuracy[{index}]")), "{pointer} = {value}: {error}");
        }
    }
}
