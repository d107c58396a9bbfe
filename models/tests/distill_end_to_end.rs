//! From a teacher and data to a bundle, with everything tiny; killed, resumed, divided among machines, and refused.

#![expect(clippy::unwrap_used, reason = "a test that fails here should say where")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ndarray::{Array1, Array4};
use ndarray_npy::NpzWriter;
use rocoin::bundle::Preprocess;
use rocoin::fleet::Fleet;
use rocoin::planner::knowledge::Division;
use rocoin_models::bundle_dir::{BundleDir, PARTIAL_LOGITS_FILE};
use rocoin_models::data::Validation;
use rocoin_models::distill::{
    Choice, DistillError, DistillOptions, FinishOptions, Outcome, Progress, Silent, distill, merge, retrain_head,
};
use rocoin_models::evaluate::{PartialLogits, largest};
use rocoin_models::session::Session;
use rocoin_models::teacher::TeacherOptions;
use rocoin_models::train::student::TrainOptions;
use rocoin_models::zoo::export::export_student;
use rocoin_models::zoo::{PartialHead, Student};

const SHAPE: [usize; 3] = [1, 8, 8];
const CLASSES: usize = 3;
const FILTERS: usize = 12;
const TRAIN: usize = 160;
const TEST: usize = 60;

/// Tells the child process of the kill test where to work.
const CHILD: &str = "ROCOIN_TEST_DISTILL_IN";

/// Repeatable numbers between −1 and 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

/// Puts `teacher.onnx` and `data/tiny.npz` into `folder`. The teacher is a network of the zoo with random weights; the labels are
/// its own answers, so that it is always right.
fn prepare(folder: &Path) {
    let preprocess = Preprocess { scale: 1.0, mean: vec![0.0], std: vec![1.0] };
    let teacher = Student::new("wrn-10-1".parse().unwrap(), &SHAPE, preprocess, FILTERS, 5).unwrap();
    let mut numbers = Numbers(1);
    let images: Vec<f32> = (0..(TRAIN + TEST) * 64).map(|_| numbers.next()).collect();
    let features = teacher.features(&images);
    let weight: Vec<f32> = (0..CLASSES * FILTERS).map(|_| 20.0 * numbers.next()).collect();
    let mut head = PartialHead { weight, constant: vec![0.0; CLASSES] };
    // Every class about as often: each logit's mean is taken off.
    let logits = head.partial_logits(&features);
    let mean = |class| logits.iter().skip(class).step_by(CLASSES).sum::<f32>() / (TRAIN + TEST) as f32;
    head.constant = (0..CLASSES).map(|class| -mean(class)).collect();
    fs::write(folder.join("teacher.onnx"), export_student(&teacher, &head).unwrap()).unwrap();

    let labels: Vec<u8> =
        head.partial_logits(&features).chunks_exact(CLASSES).map(|row| u8::try_from(largest(row)).unwrap()).collect();
    fs::create_dir(folder.join("data")).unwrap();
    let mut npz = NpzWriter::new(fs::File::create(folder.join("data/tiny.npz")).unwrap());
    let split = |from: usize, count: usize| {
        let images = images[from * 64..(from + count) * 64].to_vec();
        let images = Array4::from_shape_vec((count, 1, 8, 8), images).unwrap();
        (images, Array1::from(labels[from..from + count].to_vec()))
    };
    for (part, (images, labels)) in [("train", split(0, TRAIN)), ("test", split(TRAIN, TEST))] {
        npz.add_array(format!("x_{part}"), &images).unwrap();
        npz.add_array(format!("y_{part}"), &labels).unwrap();
    }
    npz.finish().unwrap();
}

fn options(folder: &Path, out: &str) -> DistillOptions {
    DistillOptions {
        choice: Choice::Fixed { parts: 2, zoo: vec!["wrn-16-1".parse().unwrap(), "wrn-10-1".parse().unwrap()] },
        division: Division::Ncut,
        validation: Validation::Default,
        teacher: TeacherOptions::default(),
        views: Some(2),
        train: TrainOptions { epochs: 3, batch: 16, seed: 3, ..TrainOptions::default() },
        resume: false,
        part: None,
        finish: FinishOptions {
            teacher: folder.join("teacher.onnx"),
            data: folder.join("data"),
            out: folder.join(out),
            part_dropout: 0.25,
            jobs: 2,
            name: Some("tiny".to_owned()),
            version: None,
            replace: false,
            command: "rocoin distill".to_owned(),
        },
    }
}

fn bundle(options: &DistillOptions) -> BundleDir {
    match distill(options, &Silent).unwrap() {
        Outcome::Bundle(bundle) => *bundle,
        Outcome::Part { part, .. } => panic!("only part {part} was trained"),
    }
}

/// How many epochs of students the bundle's log tells of.
fn epochs_told(bundle: &BundleDir) -> usize {
    let log = String::from_utf8(bundle.read("training.log").unwrap()).unwrap();
    log.lines().filter(|line| line.starts_with("student ")).count()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_teacher_becomes_a_bundle_whose_students_add_up_to_its_accuracies() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let bundle = bundle(&options(folder.path(), "bundle"));
    let manifest = bundle.manifest();

    assert_eq!(manifest.teacher.accuracy, 1.0);
    assert_eq!((manifest.parts.len(), manifest.classes, manifest.accuracy.len()), (2, CLASSES, 8));
    let mut filters: Vec<usize> = manifest.parts.iter().flat_map(|part| part.filters.clone()).collect();
    filters.sort_unstable();
    assert_eq!(filters, (0..FILTERS).collect::<Vec<_>>());
    let sizes: Vec<&str> = manifest.parts[0].students.iter().map(|student| student.arch.as_str()).collect();
    assert_eq!(sizes, ["wrn-10-1", "wrn-16-1"]);

    // The answer of the students together, run from the bundle's files, is as accurate as the manifest says.
    let data = rocoin_models::data::Dataset::load(&folder.path().join("data")).unwrap();
    for combination in &manifest.accuracy {
        let sessions: Vec<Session> = combination
            .students
            .iter()
            .map(|student| {
                let part = &manifest.parts[usize::from(student.part.0)];
                let card = part.students.iter().find(|card| card.arch == student.arch).unwrap();
                Session::load(&bundle.student(card).unwrap(), &SHAPE).unwrap()
            })
            .collect();
        let answer = |image: &[f32]| {
            let mut logits = manifest.merge.bias.clone();
            for session in &sessions {
                let partial = session.run(image).unwrap();
                logits.iter_mut().zip(partial).for_each(|(logit, partial)| *logit += partial);
            }
            largest(&logits)
        };
        let right = (0..TEST).filter(|&i| answer(&data.test.image_vec(i)) == data.test.label(i)).count();
        assert_eq!(combination.accuracy, right as f64 / TEST as f64);
        assert_eq!(combination.samples, TEST);
    }

    let logits = PartialLogits::from_npz(&bundle.read(PARTIAL_LOGITS_FILE).unwrap()).unwrap();
    assert_eq!((logits.images(), logits.students.len()), (TEST, 4));
    assert_eq!(logits.labels, data.test.labels);
    let log = fs::read_to_string(folder.path().join("bundle.work/training.log")).unwrap();
    assert_eq!(log.lines().filter(|line| line.starts_with("student ")).count(), 4 * 3);
    assert_eq!(epochs_told(&bundle), 4 * 3);
}

/// Prints a line a finished epoch, for the parent that waits for it.
struct Epochs;

impl Progress for Epochs {
    fn notice(&self, _: &str) {}

    fn advance(&self, task: &str, done: u64, _: u64, note: &str) {
        if task.starts_with("part ") && note.contains("after epoch") && done > 0 {
            eprintln!("finished an epoch");
        }
    }
}

#[test]
fn a_killed_run_goes_on_and_ends_in_the_same_bundle() {
    if let Some(folder) = std::env::var_os(CHILD) {
        distill(&options(Path::new(&folder), "bundle"), &Epochs).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_run_goes_on_and_ends_in_the_same_bundle", "--nocapture"])
        .env(CHILD, folder.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "finished an epoch"), "the run ended before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(folder.path()), ["bundle.work", "data", "teacher.onnx"]);

    let killed = options(folder.path(), "bundle");
    let refused = distill(&killed, &Silent).unwrap_err();
    assert!(
        matches!(refused, DistillError::WorkExists { .. }) && refused.to_string().contains("--resume"),
        "{refused}"
    );
    let resumed = bundle(&DistillOptions { resume: true, ..killed });
    let whole = bundle(&options(folder.path(), "whole"));
    assert_eq!(resumed.digest(), whole.digest());
}

#[test]
fn parts_trained_alone_are_merged_into_the_same_bundle() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let whole = bundle(&options(folder.path(), "whole"));
    let works: Vec<PathBuf> = (0..2)
        .map(|part| {
            let run = DistillOptions { part: Some(part), ..options(folder.path(), &format!("machine{part}")) };
            match distill(&run, &Silent).unwrap() {
                Outcome::Part { work, .. } => work,
                Outcome::Bundle(_) => panic!("a part alone makes no bundle"),
            }
        })
        .collect();
    let finish = options(folder.path(), "merged").finish;
    let missing = merge(&works[..1], &finish, &Silent).unwrap_err();
    assert!(missing.to_string().contains("part 1 wrn-10-1"), "{missing}");
    let merged = merge(&works, &finish, &Silent).unwrap();
    assert_eq!(merged.digest(), whole.digest());
    assert_eq!(epochs_told(&merged), epochs_told(&whole));
}

#[test]
fn a_teacher_is_divided_after_nonn_into_parts_that_leave_filters_out() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let run = DistillOptions { division: Division::Nonn, ..options(folder.path(), "bundle") };
    let bundle = bundle(&run);
    let mut filters: Vec<usize> = bundle.manifest().parts.iter().flat_map(|part| part.filters.clone()).collect();
    filters.sort_unstable();
    filters.dedup();
    let in_parts: usize = bundle.manifest().parts.iter().map(|part| part.filters.len()).sum();
    assert_eq!(filters.len(), in_parts, "a filter is in two parts");
    assert!((2..FILTERS).contains(&in_parts), "{in_parts} of {FILTERS}");
    assert_eq!(bundle.manifest().training["settings"]["division"], "nonn");
}

#[test]
fn a_bundle_gets_a_head_of_another_part_dropout_and_keeps_its_students() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    // With the other tests' rate these students of three epochs die: no head could tell anything by them.
    let mut run = options(folder.path(), "old");
    run.train.learning_rate = 0.01;
    let old = bundle(&run);
    let same = options(folder.path(), "same").finish;
    let same = retrain_head(old.path(), &same, &Silent).unwrap();
    let other =
        FinishOptions { part_dropout: 0.9, version: Some("2".to_owned()), ..options(folder.path(), "new").finish };
    let new = retrain_head(old.path(), &other, &Silent).unwrap();

    // The same head as was trained with the students, but for the other runtime's rounding of their features.
    let logits = |bundle: &BundleDir| PartialLogits::from_npz(&bundle.read(PARTIAL_LOGITS_FILE).unwrap()).unwrap();
    let all =
        |bundle: &BundleDir| logits(bundle).students.into_iter().flat_map(|(_, logits)| logits).collect::<Vec<_>>();
    let [as_before, again, another] = [&old, &same, &new].map(all);
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let (rounding, dropout) = (apart(&as_before, &again), apart(&as_before, &another));
    assert!(dropout > 0.0 && rounding < 0.01 * dropout, "{rounding} {dropout} {:?}", &as_before[..9]);

    let (before, after) = (old.manifest(), new.manifest());
    assert_eq!((after.name.as_str(), after.version.as_str()), ("tiny", "2"));
    assert_eq!(after.training["settings"], before.training["settings"]);
    assert_eq!(after.training["part_dropout"], serde_json::json!(0.9_f32));
    assert_eq!(after.training["students_of"]["bundle"], old.digest().to_string());
    assert_eq!(after.accuracy.len(), before.accuracy.len());
    // What the manifest says of all parts is what the files do.
    let image = rocoin_models::data::Dataset::load(&folder.path().join("data")).unwrap().test.image_vec(0);
    let card = &after.parts[0].students[0];
    let run = Session::load(&new.student(card).unwrap(), &SHAPE).unwrap().run(&image).unwrap();
    // They are kept in half precision.
    assert!(apart(&run, &another) < 1e-3 * run.iter().fold(0.0, |largest, logit| logit.abs().max(largest)), "{run:?}");
    // A bundle with a new head can get another one, and still says what its students were made with.
    let newest = retrain_head(new.path(), &options(folder.path(), "newest").finish, &Silent).unwrap();
    assert_eq!(newest.manifest().training["students_of"], after.training["students_of"]);
    let onto_itself = FinishOptions { replace: true, ..options(folder.path(), "new").finish };
    let refused = retrain_head(new.path(), &onto_itself, &Silent).unwrap_err().to_string();
    assert!(refused.contains("only read"), "{refused}");
}

#[test]
fn a_bundle_that_does_not_say_how_it_was_trained_gets_no_new_head() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let old = bundle(&options(folder.path(), "old"));
    let refused = |manifest: String, out: &str| {
        fs::write(old.path().join("manifest.json"), manifest).unwrap();
        let error = retrain_head(old.path(), &options(folder.path(), out).finish, &Silent).unwrap_err();
        assert!(!folder.path().join(out).exists());
        error.to_string()
    };
    let manifest = String::from_utf8(old.manifest_json().to_vec()).unwrap();
    let silent = refused(manifest.replace("\"settings\"", "\"setting\""), "silent");
    assert!(silent.contains("does not say how its students were trained"), "{silent}");
    let other = refused(
        manifest.replacen("\"classes\": 3", "\"classes\": 4", 2).replacen("\"classes\": 4", "\"classes\": 3", 1),
        "other",
    );
    assert!(other.contains("its classes is another"), "{other}");
    let quantised = refused(manifest.replace("\"f32\"", "\"int8\""), "quantised");
    assert!(quantised.contains("rocoin quantize"), "{quantised}");
}

#[test]
fn what_cannot_work_is_refused_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let good = options(folder.path(), "bundle");
    let refused = |options: &DistillOptions| {
        let error = distill(options, &Silent).unwrap_err().to_string();
        assert!(!folder.path().join("bundle.work").exists(), "{error}");
        error
    };
    let zoo = vec!["wrn-10-1".parse().unwrap()];
    let many = DistillOptions { choice: Choice::Fixed { parts: FILTERS + 1, zoo }, ..good.clone() };
    assert!(refused(&many).contains("has 12 filters"));
    let train = TrainOptions { epochs: 0, ..good.train };
    assert!(refused(&DistillOptions { train, ..good.clone() }).contains("--epochs"));
    let finish = FinishOptions { part_dropout: 1.0, ..good.finish.clone() };
    assert!(refused(&DistillOptions { finish, ..good.clone() }).contains("--part-dropout"));
    let finish = FinishOptions { out: folder.path().join("data"), ..good.finish.clone() };
    assert!(refused(&DistillOptions { finish, ..good.clone() }).contains("exists already"));
    let preprocess = Preprocess { scale: 1.0, mean: vec![0.0; 3], std: vec![1.0; 3] };
    let teacher = TeacherOptions { preprocess: Some(preprocess), ..TeacherOptions::default() };
    assert!(refused(&DistillOptions { teacher, ..good.clone() }).contains("--mean"));
    assert!(refused(&DistillOptions { part: Some(2), ..good.clone() }).contains("there are 2 parts"));
    let fleet =
        Fleet::parse("[[device]]\nname = \"a\"\nflops_per_s = 1e9\nmemory_bytes = 100000000\nlink_bits_per_s = 1e6\n")
            .unwrap();
    let planned = Choice::Planned { fleet, zoo: Vec::new() };
    let planned = DistillOptions { choice: planned, division: Division::Nonn, ..good.clone() };
    assert!(refused(&planned).contains("--division nonn"));
    fs::write(folder.path().join("data/labels.txt"), "a\nb\nc\nd\n").unwrap();
    let message = refused(&good);
    assert!(message.contains("3 classes apart") && message.contains("the data has 4"), "{message}");
}

#[test]
fn a_work_folder_serves_only_the_settings_it_was_made_for() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let one = DistillOptions { part: Some(0), ..options(folder.path(), "bundle") };
    distill(&one, &Silent).unwrap();
    let train = TrainOptions { beta: 1.0, ..one.train };
    let other = distill(&DistillOptions { resume: true, train, ..one }, &Silent).unwrap_err();
    assert!(other.to_string().contains("(train differ)"), "{other}");
}
