use std::fs;

use rocoin::bundle::{Combination, DataCard, InputSpec, Merge, Part, Preprocess, SCHEMA, StudentRef, TeacherCard};
use rocoin::id::PartId;
use tempfile::TempDir;

use super::*;

const STUDENT: &[u8] = b"a student's bytes";
const FILE: &str = "part0-wrn-10-1-f32.onnx";

fn manifest() -> Manifest {
    let card = StudentCard {
        arch: "wrn-10-1".to_owned(),
        precision: "f32".to_owned(),
        file: FILE.to_owned(),
        digest: Digest::of(STUDENT),
        bytes: STUDENT.len() as u64,
        memory_bytes: 1,
        flops: 1,
        params: 1,
    };
    let reference = StudentRef { part: PartId(0), arch: card.arch.clone(), precision: card.precision.clone() };
    Manifest {
        schema: SCHEMA.to_owned(),
        name: "tiny".to_owned(),
        version: "1".to_owned(),
        classes: 2,
        labels: vec!["a".to_owned(), "b".to_owned()],
        input: InputSpec {
            name: "image".to_owned(),
            shape: vec![1, 2, 2],
            dtype: "FP32".to_owned(),
            preprocess: Preprocess { scale: 1.0, mean: vec![0.0], std: vec![1.0] },
        },
        teacher: TeacherCard { sha256: String::new(), accuracy: 0.5 },
        data: DataCard { name: "tiny".to_owned(), sha256: String::new() },
        parts: vec![Part { part: PartId(0), filters: vec![0], students: vec![card] }],
        merge: Merge { kind: "sum".to_owned(), bias: vec![0.0, 0.0] },
        accuracy: vec![Combination { students: vec![reference], accuracy: 0.5, samples: 2 }],
        training: serde_json::Value::Null,
    }
}

fn write(out: &Path, replace: bool) -> Result<BundleDir, BundleError> {
    let writer = BundleWriter::create(out, replace)?;
    writer.write(FILE, STUDENT)?;
    writer.finish(&manifest())
}

/// Names in a folder, hidden ones too.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_bundle_is_read_back_as_folder_and_as_tar() {
    for name in ["tiny", "tiny.tar"] {
        let folder = tempfile::tempdir().unwrap();
        let written = write(&folder.path().join(name), false).unwrap();
        let read = BundleDir::open(&folder.path().join(name)).unwrap();
        assert_eq!(read.manifest(), &manifest());
        assert_eq!(read.digest(), written.digest());
        assert_eq!(read.student(&read.manifest().parts[0].students[0]).unwrap(), STUDENT);
        assert_eq!(names(&folder), [name]);
    }
}

#[test]
fn an_unfinished_bundle_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let writer = BundleWriter::create(&folder.path().join("tiny"), false).unwrap();
    writer.write(FILE, STUDENT).unwrap();
    assert!(!folder.path().join("tiny").exists());
    drop(writer);
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_bundle_that_is_not_sound_never_gets_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let writer = BundleWriter::create(&folder.path().join("tiny"), false).unwrap();
    writer.write(FILE, b"another student's bytes").unwrap();
    assert!(matches!(writer.finish(&manifest()), Err(BundleError::Size { .. })));
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn what_is_there_is_replaced_only_when_told() {
    for name in ["tiny", "tiny.tar"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join(name);
        write(&out, false).unwrap();
        let error = write(&out, false).unwrap_err();
        assert!(matches!(error, BundleError::Exists { .. }) && error.to_string().contains("--replace"), "{error}");
        write(&out, true).unwrap();
        assert_eq!(names(&folder), [name]);
    }
}

#[test]
fn a_changed_a_cut_off_and_a_missing_student_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tiny");
    write(&out, false).unwrap();
    let student = out.join(FILE);
    fs::write(&student, b"A student's bytes").unwrap();
    let error = BundleDir::open(&out).unwrap_err();
    assert!(matches!(error, BundleError::Hash { .. }) && error.to_string().contains(FILE), "{error}");
    fs::write(&student, &STUDENT[..5]).unwrap();
    assert!(matches!(BundleDir::open(&out), Err(BundleError::Size { expected: 17, found: 5, .. })));
    fs::remove_file(&student).unwrap();
    assert!(matches!(BundleDir::open(&out), Err(BundleError::Missing { .. })));
    fs::remove_file(out.join(MANIFEST_FILE)).unwrap();
    let message = BundleDir::open(&out).unwrap_err().to_string();
    assert!(message.contains("manifest.json is not there"), "{message}");
}

#[test]
fn a_manifest_that_is_none_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(MANIFEST_FILE), "{\n\"schema\": 1 }").unwrap();
    let message = BundleDir::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("line 2"), "{message}");
}
