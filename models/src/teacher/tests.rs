use tempfile::TempDir;

use super::*;
use crate::onnx_file::{Attribute, OnnxFile};

const SHAPE: [usize; 3] = [2, 4, 6];
const FILTERS: usize = 3;
const CLASSES: usize = 4;

/// An image with no symmetry.
fn image() -> Vec<f32> {
    (0..48).map(|i| (i * 37 % 48) as f32 / 10.0 - 1.5).collect()
}

fn weights(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 29 % 17) as f32 - 8.0) / 10.0).collect()
}

/// `features` (`[1,2,4,6]`) → convolution and ReLU → `map`.
fn body(onnx: OnnxFile, features: &str) -> OnnxFile {
    onnx.weights("kernel", &[3, 2, 3, 3], &weights(54))
        .node("Conv", &[features, "kernel"], "convolved", &[Attribute::Ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["convolved"], "map", &[])
}

/// `pooled` (`[1,3]`) → `scores`.
fn classifier(onnx: OnnxFile, pooled: &str) -> OnnxFile {
    onnx.weights("w", &[3, 4], &weights(12)).node("MatMul", &[pooled, "w"], "scores", &[])
}

fn channels_first() -> OnnxFile {
    let onnx = body(OnnxFile::new("tiny").input("picture", &[0, 2, 4, 6]), "picture");
    let pooled = onnx
        .node(
            "MaxPool",
            &["map"],
            "smaller",
            &[Attribute::Ints("kernel_shape", &[2, 2]), Attribute::Ints("strides", &[2, 2])],
        )
        .node("GlobalAveragePool", &["smaller"], "pool", &[])
        .node("Flatten", &["pool"], "flat", &[Attribute::Int("axis", 1)]);
    classifier(pooled, "flat")
}

/// The same function of the image, as an exporter from a channels-last framework writes it; pooled without the maximum.
fn channels_last() -> OnnxFile {
    let onnx = OnnxFile::new("tiny").input("input_1:0", &[0, 4, 6, 2]);
    let onnx = onnx.node("Transpose", &["input_1:0"], "first", &[Attribute::Ints("perm", &[0, 3, 1, 2])]);
    let onnx = body(onnx, "first").node("Transpose", &["map"], "last", &[Attribute::Ints("perm", &[0, 2, 3, 1])]).node(
        "ReduceMean",
        &["last"],
        "flat",
        &[Attribute::Ints("axes", &[1, 2]), Attribute::Int("keepdims", 0)],
    );
    classifier(onnx, "flat")
}

fn with_scores(onnx: OnnxFile) -> OnnxFile {
    onnx.output("scores", &[0, 4])
}

/// A file that lives as long as its folder.
fn file(onnx: &OnnxFile) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teacher.onnx");
    std::fs::write(&path, onnx.bytes()).unwrap();
    (folder, path)
}

fn open(onnx: &OnnxFile, shape: &[usize], options: &TeacherOptions) -> Result<Teacher, TeacherError> {
    let (_folder, path) = file(onnx);
    Teacher::open(&path, shape, options)
}

#[test]
fn the_last_activation_before_pooling_is_found_whatever_its_name() {
    let teacher = open(&with_scores(channels_first()), &SHAPE, &TeacherOptions::default()).unwrap();
    assert_eq!(teacher.feature_tensor(), "map");
    assert_eq!((teacher.filters(), teacher.map_shape(), teacher.classes()), (FILTERS, [4, 6].as_slice(), CLASSES));
    let output = teacher.forward(&image()).unwrap();
    assert_eq!((output.map.len(), output.logits.len()), (72, CLASSES));
    assert!(output.map.iter().all(|&value| value >= 0.0) && output.map.iter().any(|&value| value > 0.0));
}

#[test]
fn a_channels_last_teacher_gives_the_same_map_for_the_same_image() {
    let first = open(&with_scores(channels_first()), &SHAPE, &TeacherOptions::default()).unwrap();
    let last = open(&with_scores(channels_last()), &SHAPE, &TeacherOptions::default()).unwrap();
    assert_eq!((first.layout(), last.layout()), (Layout::Nchw, Layout::Nhwc));
    assert_eq!((last.filters(), last.map_shape()), (FILTERS, [4, 6].as_slice()));
    assert_eq!(first.forward(&image()).unwrap().map, last.forward(&image()).unwrap().map);
}

#[test]
fn a_map_named_after_its_transpose_comes_out_filters_first() {
    let named = |name: &str| TeacherOptions { feature_tensor: Some(name.to_owned()), ..TeacherOptions::default() };
    let [before, after] =
        ["map", "last"].map(|name| open(&with_scores(channels_last()), &SHAPE, &named(name)).unwrap());
    assert_eq!(after.feature_tensor(), "last");
    assert_eq!(before.forward(&image()).unwrap().map, after.forward(&image()).unwrap().map);
}

#[test]
fn a_series_is_taken_with_rank_three() {
    let onnx = OnnxFile::new("tiny")
        .input("x", &[0, 2, 10])
        .weights("kernel", &[3, 2, 3], &weights(18))
        .node("Conv", &["x", "kernel"], "convolved", &[])
        .node("Relu", &["convolved"], "map", &[])
        .node("ReduceMean", &["map"], "flat", &[Attribute::Ints("axes", &[2]), Attribute::Int("keepdims", 0)]);
    let onnx = with_scores(classifier(onnx, "flat"));
    let (_folder, path) = file(&onnx);
    assert_eq!(Teacher::input_rank(&path).unwrap(), Some(2));
    let teacher = Teacher::open(&path, &[2, 10], &TeacherOptions::default()).unwrap();
    assert_eq!((teacher.filters(), teacher.map_shape()), (FILTERS, [8].as_slice()));
    assert_eq!(teacher.forward(&weights(20)).unwrap().map.len(), 24);
}

#[test]
fn of_a_softmax_the_logarithm_is_used() {
    let plain = open(&with_scores(channels_first()), &SHAPE, &TeacherOptions::default()).unwrap();
    let onnx = channels_first().node("Softmax", &["scores"], "p", &[Attribute::Int("axis", 1)]);
    let softmax = open(&onnx.output("p", &[0, 4]), &SHAPE, &TeacherOptions::default()).unwrap();
    assert_eq!((plain.ending(), softmax.ending()), (Ending::Logits, Ending::Softmax));
    assert!(softmax.ending().notice().unwrap().contains("logarithm"));
    let (logits, log_p) = (plain.forward(&image()).unwrap().logits, softmax.forward(&image()).unwrap().logits);
    let log_sum = logits.iter().map(|logit| logit.exp()).sum::<f32>().ln();
    for (logit, log_p) in logits.iter().zip(&log_p) {
        assert!((logit - log_sum - log_p).abs() < 1e-5, "{logits:?} {log_p:?}");
    }
}

#[test]
fn a_last_relu_is_warned_of() {
    let onnx = channels_first().node("Relu", &["scores"], "cut", &[]).node("Identity", &["cut"], "out", &[]);
    let teacher = open(&onnx.output("out", &[0, 4]), &SHAPE, &TeacherOptions::default()).unwrap();
    assert_eq!(teacher.ending(), Ending::Relu);
    assert!(teacher.ending().notice().unwrap().starts_with("warning"));
}

#[test]
fn preprocessing_is_applied_channel_by_channel() {
    let options = TeacherOptions {
        preprocess: Some(Preprocess { scale: 2.0, mean: vec![1.0, -1.0], std: vec![0.5, 4.0] }),
        ..TeacherOptions::default()
    };
    let teacher = open(&with_scores(channels_first()), &SHAPE, &options).unwrap();
    let plain = open(&with_scores(channels_first()), &SHAPE, &TeacherOptions::default()).unwrap();
    let by_hand: Vec<f32> = image()
        .iter()
        .enumerate()
        .map(|(i, x)| if i < 24 { (x * 2.0 - 1.0) / 0.5 } else { (x * 2.0 + 1.0) / 4.0 })
        .collect();
    assert_eq!(teacher.forward(&image()).unwrap(), plain.forward(&by_hand).unwrap());
}

#[test]
fn a_network_without_feature_map_lists_what_could_be_named() {
    let onnx = OnnxFile::new("tiny")
        .input("x", &[0, 2, 4, 6])
        .node("Tanh", &["x"], "squashed", &[])
        .node("Flatten", &["squashed"], "flat", &[Attribute::Int("axis", 1)])
        .weights("w", &[48, 4], &weights(192))
        .node("MatMul", &["flat", "w"], "scores", &[]);
    let error = open(&with_scores(onnx.clone()), &SHAPE, &TeacherOptions::default()).unwrap_err().to_string();
    assert!(error.contains("--feature-tensor") && error.contains("squashed (Tanh, [2, 4, 6])"), "{error}");
    let named = TeacherOptions { feature_tensor: Some("squashed".to_owned()), ..TeacherOptions::default() };
    assert_eq!(open(&with_scores(onnx), &SHAPE, &named).unwrap().filters(), 2);
}

#[test]
fn a_name_that_is_no_feature_map_lists_what_is() {
    for name in ["flat", "nothing"] {
        let options = TeacherOptions { feature_tensor: Some(name.to_owned()), ..TeacherOptions::default() };
        let error = open(&with_scores(channels_first()), &SHAPE, &options).unwrap_err();
        let TeacherError::NotAFeatureMap { candidates, .. } = error else { panic!("{name}: {error}") };
        let names: Vec<_> = candidates.iter().map(|candidate| candidate.tensor.as_str()).collect();
        assert_eq!(names, ["convolved", "map", "smaller", "pool"]);
    }
}

#[test]
fn images_of_another_shape_are_refused_with_both_shapes() {
    let error = open(&with_scores(channels_first()), &[3, 32, 32], &TeacherOptions::default()).unwrap_err().to_string();
    assert!(error.contains("[?,2,4,6]") && error.contains("[3, 32, 32]"), "{error}");
    let options = TeacherOptions { layout: Some(Layout::Nhwc), ..TeacherOptions::default() };
    assert!(matches!(open(&with_scores(channels_first()), &SHAPE, &options), Err(TeacherError::Input { .. })));
}

#[test]
fn what_gives_no_scores_is_no_classifier() {
    let onnx = body(OnnxFile::new("tiny").input("x", &[0, 2, 4, 6]), "x").output("map", &[0, 3, 4, 6]);
    let error = open(&onnx, &SHAPE, &TeacherOptions::default()).unwrap_err();
    assert!(matches!(error, TeacherError::NoScores { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_onnx_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cat.png");
    std::fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
    let error = Teacher::open(&path, &SHAPE, &TeacherOptions::default()).unwrap_err().to_string();
    assert!(error.contains("cat.png") && error.contains("no ONNX"), "{error}");
    let gone = Teacher::open(&folder.path().join("gone.onnx"), &SHAPE, &TeacherOptions::default());
    assert!(matches!(gone, Err(TeacherError::Io { .. })));
}
