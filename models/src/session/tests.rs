use super::*;
use crate::onnx_file::OnnxFile;

/// `y = relu(x · 2 + 1)` for `[1,2,2]`.
fn scaled() -> OnnxFile {
    OnnxFile::new("tiny")
        .input("x", &[0, 1, 2, 2])
        .weights("two", &[1], &[2.0])
        .weights("one", &[1], &[1.0])
        .node("Mul", &["x", "two"], "doubled", &[])
        .node("Add", &["doubled", "one"], "raised", &[])
        .node("Relu", &["raised"], "y", &[])
        .output("y", &[0, 1, 2, 2])
}

#[test]
fn a_network_gives_its_output_for_one_image() {
    let session = Session::load(&scaled().bytes(), &[1, 2, 2]).unwrap();
    assert_eq!(session.run(&[1.0, -1.0, 0.0, 0.5]).unwrap(), [3.0, 0.0, 1.0, 2.0]);
}

#[test]
fn threads_share_one_session() {
    let session = Session::load(&scaled().bytes(), &[1, 2, 2]).unwrap();
    std::thread::scope(|scope| {
        let run = |value: f32| session.run(&[value; 4]).unwrap()[0];
        let threads: Vec<_> = [1.0, 2.0, 3.0].into_iter().map(|value| scope.spawn(move || run(value))).collect();
        let results: Vec<f32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(results, [3.0, 5.0, 7.0]);
    });
}

#[test]
fn an_inner_tensor_can_be_an_output_too() {
    let graph = OnnxGraph::parse(&scaled().bytes()).unwrap();
    let session = graph.into_session(&[1, 2, 2], Some(&["y", "doubled"])).unwrap();
    let outputs = session.run_all(&[-1.0, 1.0, 2.0, 3.0]).unwrap();
    assert_eq!(outputs, [[0.0, 3.0, 5.0, 7.0], [-2.0, 2.0, 4.0, 6.0]]);
}

#[test]
fn an_image_of_another_length_is_refused() {
    let session = Session::load(&scaled().bytes(), &[1, 2, 2]).unwrap();
    assert!(matches!(session.run(&[0.0; 5]), Err(SessionError::Length { expected: 4, found: 5 })));
}

#[test]
fn operators_that_cannot_be_run_are_named() {
    let strange = OnnxFile::new("tiny")
        .input("x", &[0, 1, 2, 2])
        .node("Zauber", &["x"], "a", &[])
        .node("Abra", &["a"], "y", &[])
        .output("y", &[0, 1, 2, 2]);
    let error = Session::load(&strange.bytes(), &[1, 2, 2]).unwrap_err().to_string();
    assert!(error.contains("Abra, Zauber"), "{error}");
}

#[test]
fn what_is_no_onnx_is_refused_as_such() {
    for bytes in [b"".as_slice(), b"\x89PNG\r\n\x1a\n", b"{\"schema\": 1}", &[0xff; 64], &scaled().bytes()[..40]] {
        let error = Session::load(bytes, &[1, 2, 2]).unwrap_err();
        assert!(matches!(error, SessionError::NotOnnx(_)), "{bytes:?}: {error:?}");
    }
}

#[test]
fn two_inputs_are_one_too_many() {
    let two = OnnxFile::new("tiny")
        .input("x", &[0, 1])
        .input("z", &[0, 1])
        .node("Add", &["x", "z"], "y", &[])
        .output("y", &[0, 1]);
    let error = Session::load(&two.bytes(), &[1]).unwrap_err().to_string();
    assert!(error.contains("2 inputs (x, z)"), "{error}");
}

#[test]
fn a_network_for_another_shape_says_so() {
    let narrow = OnnxFile::new("tiny")
        .input("x", &[0, 3])
        .weights("w", &[3, 2], &[0.0; 6])
        .node("MatMul", &["x", "w"], "y", &[])
        .output("y", &[0, 2]);
    assert!(matches!(Session::load(&narrow.bytes(), &[4]), Err(SessionError::Load(_))));
}
