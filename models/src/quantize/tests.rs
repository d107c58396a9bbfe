use std::fs::File;
use std::path::Path;

use ndarray::{Array1, Array4};
use ndarray_npy::NpzWriter;
use rocoin::bundle::{DataCard, InputSpec, Merge, Preprocess, SCHEMA, TeacherCard};
use tempfile::TempDir;

use super::*;
use crate::data::load_idx;
use crate::onnx_file::{Attribute, OnnxFile};

const SHAPE: [usize; 3] = [1, 4, 4];
const CLASSES: usize = 2;

/// A convolution to `channels` at 2×2 positions with a batch norm and a ReLU after it, pooled into two classes.
fn onnx(channels: i64) -> Vec<u8> {
    let count = usize::try_from(channels).unwrap();
    let values = |count: usize, step: f32| (0..count).map(|at| (at as f32 * step).sin()).collect::<Vec<_>>();
    OnnxFile::new("tiny")
        .input("image", &[0, 1, 4, 4])
        .weights("w", &[channels, 1, 3, 3], &values(9 * count, 1.7))
        .weights("scale", &[1, channels, 1, 1], &values(count, 0.9))
        .weights("shift", &[1, channels, 1, 1], &values(count, 2.3))
        .weights("head", &[channels, 2], &values(2 * count, 3.1))
        .node(
            "Conv",
            &["image", "w"],
            "c",
            &[Attribute::Ints("pads", &[1, 1, 1, 1]), Attribute::Ints("strides", &[2, 2])],
        )
        .node("Mul", &["c", "scale"], "m", &[])
        .node("Add", &["m", "shift"], "a", &[])
        .node("Relu", &["a"], "r", &[])
        .node("GlobalAveragePool", &["r"], "g", &[])
        .node("Flatten", &["g"], "f", &[Attribute::Int("axis", 1)])
        .node("MatMul", &["f", "head"], OUTPUT, &[])
        .output(OUTPUT, &[0, 2])
        .bytes()
}

/// Data and a bundle of one part with that student, side by side.
fn made(onnx: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_data(&folder.path().join("data.npz"), 0.0);
    let data = Dataset::load(&folder.path().join("data.npz")).unwrap();
    let card = StudentCard {
        arch: "tiny".to_owned(),
        precision: "f32".to_owned(),
        file: "part0-tiny-f32.onnx".to_owned(),
        digest: Digest::of(onnx),
        bytes: onnx.len() as u64,
        memory_bytes: 1 << 20,
        flops: 1,
        params: 1,
    };
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        name: "tiny".to_owned(),
        version: "1".to_owned(),
        classes: CLASSES,
        labels: vec!["a".to_owned(), "b".to_owned()],
        input: InputSpec {
            name: "image".to_owned(),
            shape: SHAPE.to_vec(),
            dtype: "FP32".to_owned(),
            preprocess: Preprocess { scale: 1.0, mean: vec![0.0], std: vec![1.0] },
        },
        teacher: TeacherCard { sha256: String::new(), accuracy: 0.5 },
        data: DataCard { name: data.name, sha256: data.sha256 },
        parts: vec![Part { part: PartId(0), filters: vec![0], students: vec![card] }],
        merge: Merge { kind: "sum".to_owned(), bias: vec![0.0; CLASSES] },
        accuracy: Vec::new(),
        training: serde_json::Value::Null,
    };
    let writer = BundleWriter::create(&folder.path().join("bundle"), false).unwrap();
    writer.write("part0-tiny-f32.onnx", onnx).unwrap();
    writer.finish(&manifest).unwrap();
    folder
}

fn write_data(path: &Path, offset: f32) {
    let images = Array4::from_shape_fn((12, 1, 4, 4), |(i, _, y, x)| offset + ((7 * i + 3 * y + x) as f32).cos());
    let labels = Array1::from_shape_fn(12, |i| (i % 2) as i64);
    let mut writer = NpzWriter::new(File::create(path).unwrap());
    writer.add_array("x_train", &images).unwrap();
    writer.add_array("y_train", &labels).unwrap();
    writer.add_array("x_test", &images).unwrap();
    writer.add_array("y_test", &labels).unwrap();
    writer.finish().unwrap();
}

fn options(folder: &TempDir, out: &str, jobs: usize) -> QuantizeOptions {
    QuantizeOptions {
        bundle: folder.path().join("bundle"),
        data: folder.path().join("data.npz"),
        out: folder.path().join(out),
        replace: false,
        images: None,
        jobs,
        int8_only: false,
        version: None,
        command: "rocoin quantize".to_owned(),
    }
}

#[test]
fn a_bundle_gets_both_precisions_and_every_combination_of_them() {
    let folder = made(&onnx(8));
    let bundle = quantize(&options(&folder, "out", 2), &|_| ()).unwrap();
    let students = &bundle.manifest().parts[0].students;
    assert_eq!(students.iter().map(|card| card.precision.as_str()).collect::<Vec<_>>(), ["int8", "f32"]);
    assert_eq!(students[0].file, "part0-tiny-int8.onnx");
    assert_eq!(bundle.manifest().accuracy.len(), 2);
    rocoin::planner::Students::from_manifest(bundle.manifest()).unwrap();
    let logits = PartialLogits::from_npz(&bundle.read(PARTIAL_LOGITS_FILE).unwrap()).unwrap();
    assert_eq!(logits.students.len(), 2);
    assert_eq!(bundle.read_if_there(TRAINING_LOG_FILE).unwrap(), None);
}

#[test]
fn the_log_of_the_training_goes_along() {
    let folder = made(&onnx(8));
    std::fs::write(folder.path().join("bundle").join(TRAINING_LOG_FILE), "student 0 tiny 1 1.0 0.5 1.0\n").unwrap();
    let bundle = quantize(&options(&folder, "out", 1), &|_| ()).unwrap();
    assert_eq!(bundle.read(TRAINING_LOG_FILE).unwrap(), b"student 0 tiny 1 1.0 0.5 1.0\n");
}

#[test]
fn f32_students_are_left_out_when_told() {
    let folder = made(&onnx(8));
    let bundle = quantize(&QuantizeOptions { int8_only: true, ..options(&folder, "out", 1) }, &|_| ()).unwrap();
    assert_eq!(bundle.manifest().parts[0].students.len(), 1);
    assert_eq!(bundle.manifest().accuracy.len(), 1);
}

#[test]
fn the_same_bundle_and_data_make_the_same_bytes_on_any_number_of_threads() {
    let folder = made(&onnx(8));
    let digests = [("a", 1), ("b", 3), ("c", 64)]
        .map(|(out, jobs)| quantize(&options(&folder, out, jobs), &|_| ()).unwrap().digest());
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn a_convolution_is_in_integers_where_it_has_as_many_weights_as_patch_elements() {
    for (channels, integers) in [(4, true), (3, false)] {
        let folder = made(&onnx(channels));
        let bundle = quantize(&options(&folder, "out", 1), &|_| ()).unwrap();
        let file = bundle.read("part0-tiny-int8.onnx").unwrap();
        let graph = OnnxGraph::parse(&file).unwrap();
        let has = |op: &str| graph.nodes.iter().any(|node| node.op == op);
        assert_eq!((has("ConvInteger"), has("DequantizeLinear")), (integers, !integers), "{channels}");
        // The batch norm is in the weights, and its ReLU after the sum.
        assert_eq!(graph.nodes.iter().filter(|node| node.op == "Mul").count(), usize::from(integers));
    }
}

#[test]
fn a_bundle_of_8_bits_is_refused_with_what_to_give_instead() {
    let folder = made(&onnx(8));
    quantize(&options(&folder, "out", 1), &|_| ()).unwrap();
    let again = QuantizeOptions { bundle: folder.path().join("out"), ..options(&folder, "again", 1) };
    let error = quantize(&again, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("part0-tiny-int8.onnx") && error.contains("that they were made from"), "{error}");
    assert!(!folder.path().join("again").exists());
}

#[test]
fn other_data_too_many_images_and_a_taken_place_are_refused() {
    let folder = made(&onnx(8));
    write_data(&folder.path().join("other.npz"), 1.0);
    let refused = |options: QuantizeOptions| quantize(&options, &|_| ()).unwrap_err().to_string();
    let other = refused(QuantizeOptions { data: folder.path().join("other.npz"), ..options(&folder, "out", 1) });
    assert!(other.contains("give the data that the bundle was made with"), "{other}");
    let many = refused(QuantizeOptions { images: Some(13), ..options(&folder, "out", 1) });
    assert!(many.contains("--images 13") && many.contains("12 images"), "{many}");
    assert!(refused(QuantizeOptions { images: Some(0), ..options(&folder, "out", 1) }).contains("at least 1"));
    assert!(refused(options(&folder, "bundle", 1)).contains("exists already"));
    assert!(!folder.path().join("out").exists());
}

#[test]
fn combinations_that_no_manifest_has_room_for_are_refused_before_any_work() {
    let folder = made(&onnx(8));
    let mut manifest = BundleDir::open(&folder.path().join("bundle")).unwrap().manifest().clone();
    let part = manifest.parts[0].clone();
    manifest.parts = (0..10).map(|at| Part { part: PartId(at), ..part.clone() }).collect();
    check_room(&manifest, true).unwrap();
    manifest.parts.iter_mut().for_each(|part| part.students.push(part.students[0].clone()));
    assert!(check_room(&manifest, false).unwrap_err().to_string().contains("--int8-only"));
}

#[test]
fn a_real_student_shrinks_to_less_than_a_third_and_answers_nearly_the_same() {
    let bundle = BundleDir::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles/fashion-mnist")).unwrap();
    let manifest = bundle.manifest();
    let card =
        manifest.parts[0].students.iter().find(|card| card.arch == "wrn-10-1" && card.precision == "f32").unwrap();
    let test = bundle.path().join("test");
    let images = load_idx(&test.join("t10k-images-idx3-ubyte.gz"), &test.join("t10k-labels-idx1-ubyte.gz")).unwrap();
    let chosen: Vec<usize> = (0..24).collect();
    let onnx = bundle.student(card).unwrap();
    let made = quantize_student(&onnx, manifest, card, &images, &chosen, 2).unwrap();
    assert!(10 * made.card.bytes <= 3 * card.bytes, "{} of {}", made.card.bytes, card.bytes);
    assert!(made.card.memory_bytes < card.memory_bytes);
    let unseen = images.of(&(100..124).collect::<Vec<_>>());
    let [expected, found] = [&onnx, &made.onnx].map(|onnx| run_all(onnx, manifest, &unseen, 2).unwrap());
    assert!(difference(&expected, &found) < 0.05, "{}", difference(&expected, &found));
}
