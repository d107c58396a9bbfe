use rocoin::bundle::Preprocess;
use rocoin::planner::zoo::ZOO;
use tract_onnx::prelude::*;

use super::*;
use crate::onnx_file::OnnxFile;
use crate::session::OnnxGraph;
use crate::zoo::random::Random;
use crate::zoo::{Training, ops};

/// A student whose statistics are those of its images, as after training, and a head.
fn student(shape: &[usize]) -> (Student, PartialHead, Vec<f32>) {
    let channels = shape[0];
    let preprocess = Preprocess { scale: 0.5, mean: vec![3.0; channels], std: vec![2.0; channels] };
    let mut student = Student::new(ZOO[0], shape, preprocess, 6, 3).unwrap();
    let mut random = Random::new(1, 1);
    let images: Vec<f32> = (0..8 * shape.iter().product::<usize>()).map(|_| 10.0 + 5.0 * random.normal()).collect();
    let convs = student.weights.conv_count();
    for list in &mut student.weights.trained[convs..] {
        list.iter_mut().for_each(|x| *x += 0.2 * random.normal());
    }
    for _ in 0..100 {
        let statistics = pass(&student, &images).1;
        for (norm, [mean, variance]) in statistics.into_iter().enumerate() {
            student.weights.update_running(norm, &mean, &variance);
        }
    }
    let head = PartialHead { weight: (0..30).map(|_| random.normal()).collect(), constant: vec![0.5; 5] };
    (student, head, images)
}

/// The training forward: features, and each norm's batch mean and variance.
fn pass(student: &Student, images: &[f32]) -> (Vec<f32>, Vec<[Vec<f32>; 2]>) {
    let [channels, height, width] = crate::zoo::extent(student.shape()).unwrap();
    let device = Device::flex().autodiff();
    let mut values = images.to_vec();
    student.preprocess(&mut values);
    let mut training = Training::new(student.net(), &student.weights, &device);
    let shape = [images.len() / (channels * height * width), channels, height, width];
    let map = student.net().walk(&mut training, ops::maps(values, shape, &device));
    let statistics = training.statistics.into_iter().map(|s| s.unwrap().map(ops::numbers)).collect();
    (ops::numbers(ops::pool(map)), statistics)
}

fn tract(onnx: &[u8], shape: &[usize], images: &[f32]) -> Vec<f32> {
    let mut model = tract_onnx::onnx().model_for_read(&mut std::io::Cursor::new(onnx)).unwrap();
    let batch = images.len() / shape.iter().product::<usize>();
    let shape: Vec<usize> = std::iter::once(batch).chain(shape.iter().copied()).collect();
    model.set_input_fact(0, f32::fact(&shape).into()).unwrap();
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let outputs = model.run(tvec!(tract_onnx::prelude::Tensor::from_shape(&shape, images).unwrap().into())).unwrap();
    outputs[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
}

#[test]
fn training_inference_and_the_exported_file_agree_on_images_and_series() {
    for shape in [&[2, 9, 12][..], &[3, 20]] {
        let (student, head, images) = student(shape);
        let training = head.partial_logits(&pass(&student, &images).0);
        let inference = head.partial_logits(&student.features(&images));
        let onnx = export_student(&student, &head).unwrap();
        let exported = tract(&onnx, shape, &images);
        let largest = inference.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
        for ((a, b), c) in training.iter().zip(&inference).zip(&exported) {
            assert!((a - b).abs() < 1e-3 * largest, "training {a}, inference {b}, largest {largest}");
            assert!((b - c).abs() < 1e-5 * largest, "inference {b}, exported {c}, largest {largest}");
        }
        let difference = compare(&student, &head, &images, &|image| tract(&onnx, shape, image));
        assert!(difference.relative() < 1e-5, "{difference:?}");
    }
}

#[test]
fn names_are_those_of_the_mesh_and_the_batch_is_free() {
    let (student, head, _) = student(&[1, 8, 8]);
    let model = ModelProto::parse_from_bytes(&export_student(&student, &head).unwrap()).unwrap();
    let graph = model.graph.unwrap();
    for (value, name) in [(&graph.input[0], "image"), (&graph.output[0], "partial_logits")] {
        assert_eq!(value.name, name);
        assert!(format!("{:?}", value.type_).contains("batch"), "{value:?}");
    }
}

#[test]
fn the_file_is_little_more_than_its_numbers() {
    let (student, head, _) = student(&[1, 8, 8]);
    let numbers = student.net().params() + head.weight.len() + head.constant.len();
    let bytes = export_student(&student, &head).unwrap().len();
    assert!(bytes < 4 * numbers + 8192, "{bytes} bytes for {numbers} numbers");
}

#[test]
fn an_answer_that_is_not_ours_is_seen() {
    let (student, head, images) = student(&[1, 8, 8]);
    assert_eq!(compare(&student, &head, &images, &|_| vec![f32::NAN; 5]).absolute, f32::INFINITY);
    assert_eq!(compare(&student, &head, &images, &|_| vec![]).absolute, f32::INFINITY);
}

#[test]
fn equal_students_make_equal_files() {
    for shape in [&[2, 9, 12][..], &[3, 20]] {
        let (student, head, _) = student(shape);
        assert_eq!(export_student(&student, &head).unwrap(), export_student(&student, &head).unwrap());
    }
}

#[test]
fn a_file_with_another_head_is_the_file_exported_with_that_head() {
    for shape in [&[2, 9, 12][..], &[3, 20]] {
        let (student, head, images) = student(shape);
        let mut random = Random::new(2, 1);
        let other = PartialHead { weight: (0..30).map(|_| random.normal()).collect(), constant: vec![-1.5; 5] };
        let onnx = export_student(&student, &head).unwrap();
        let file = StudentFile::parse(&onnx).unwrap();
        assert_eq!(file.filters(), 6);

        let session = OnnxGraph::parse(&onnx).unwrap().into_session(shape, Some(&[file.features()])).unwrap();
        let size = shape.iter().product();
        for image in images.chunks_exact(size) {
            let (expected, found) = (student.features(image), session.run(image).unwrap());
            assert_eq!(expected.len(), found.len());
            assert!(expected.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-4), "{expected:?} {found:?}");
        }
        assert_eq!(file.with_head(&other).unwrap(), export_student(&student, &other).unwrap());
    }
}

#[test]
fn a_head_is_replaced_only_where_there_is_one_and_by_one_of_its_size() {
    let (student, head, _) = student(&[1, 8, 8]);
    let onnx = export_student(&student, &head).unwrap();
    let small = PartialHead { weight: vec![0.0; 20], constant: vec![0.0; 5] };
    let refused = StudentFile::parse(&onnx).unwrap().with_head(&small).unwrap_err().to_string();
    assert!(refused.contains("6 features and 5 classes"), "{refused}");
    let mut model = ModelProto::parse_from_bytes(&onnx).unwrap();
    let constants = &mut model.graph.as_mut().unwrap().initializer;
    // So many weights that their number of bytes is zero again.
    constants
        .iter_mut()
        .filter(|constant| constant.dims == [6, 5])
        .for_each(|constant| constant.dims = vec![1 << 62, 4]);
    let huge = model.write_to_bytes().unwrap();
    let bare =
        OnnxFile::new("bare").input("image", &[0, 6]).output(OUTPUT, &[0, 6]).node("Relu", &["image"], OUTPUT, &[]);
    for onnx in [&huge[..], &bare.bytes(), &onnx[..100], b""] {
        let refused = StudentFile::parse(onnx).unwrap_err().to_string();
        assert!(refused.contains("not as rocoin writes it"), "{refused}");
    }
}
