use super::super::fixture::{Quadrants, spec, teacher, views};
use super::*;

const EXTENT: [usize; 2] = [2, 3];

fn samples() -> Quadrants {
    Quadrants::new(&[1, 8, 8], 150, 1)
}

#[test]
fn a_batch_holds_what_the_teacher_says_of_the_same_views() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples());
    let views = views(dir.path(), &samples, 2, EXTENT);
    let images = [149, 3, 70];
    for view in 0..2 {
        let batch = views.batch(view, &images, &[6, 1]).unwrap();
        for (row, &index) in images.iter().enumerate() {
            let output = teacher(&[1, 8, 8], &views.image(&samples, view, index), EXTENT);
            assert_eq!(batch.logits[row * 4..][..4], output.logits);
            let planes = [6, 1].iter().flat_map(|filter| &output.map[filter * 6..][..6]);
            for (kept, exact) in batch.maps[row * 12..][..12].iter().zip(planes) {
                assert!((kept - exact).abs() <= exact.abs() / 1000.0, "{kept} {exact}");
            }
        }
    }
    assert_eq!(views.logits(1).unwrap()[3 * 4..][..4], views.batch(1, &[3], &[]).unwrap().logits);
}

#[test]
fn views_are_the_same_however_many_threads_compute_them() {
    let samples = samples();
    let bytes = [1, 3].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        let run = |image: &[f32]| Ok(teacher(&[1, 8, 8], image, EXTENT));
        TeacherViews::prepare(dir.path(), spec(2, EXTENT), &samples, &run, threads, &|_| ()).unwrap();
        [0, 1].map(|view| paths(dir.path(), view).map(|path| fs::read(path).unwrap()))
    });
    assert_eq!(bytes[0], bytes[1]);
    assert_ne!(bytes[0][0], bytes[0][1]);
}

#[test]
fn a_view_that_is_whole_is_not_computed_again() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples());
    let calls = AtomicUsize::new(0);
    let run = |image: &[f32]| match calls.fetch_add(1, Ordering::Relaxed) {
        200 => Err("out of memory".to_owned()),
        _ => Ok(teacher(&[1, 8, 8], image, EXTENT)),
    };
    let prepare = || TeacherViews::prepare(dir.path(), spec(2, EXTENT), &samples, &run, 1, &|_| ());
    let error = prepare().unwrap_err();
    assert!(matches!(&error, ViewsError::Teacher { image: 50, .. }) && error.to_string().contains("out of memory"));
    calls.store(1000, Ordering::Relaxed);
    prepare().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1150);
    prepare().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1150);
}

#[test]
fn a_folder_made_for_something_else_is_refused() {
    let (dir, samples) = (tempfile::tempdir().unwrap(), samples());
    views(dir.path(), &samples, 1, EXTENT);
    let run = |_: &[f32]| panic!("there is nothing to ask");
    let other = ViewsSpec { seed: 6, ..spec(1, EXTENT) };
    let refused = TeacherViews::prepare(dir.path(), other, &samples, &run, 1, &|_| ());
    assert!(matches!(refused, Err(ViewsError::Other(_))));
}

#[test]
fn a_teacher_that_answers_wrongly_is_an_error_that_names_the_image() {
    let samples = samples();
    for (logit, classes) in [(f32::NAN, 4), (1.0, 5)] {
        let dir = tempfile::tempdir().unwrap();
        let run =
            |image: &[f32]| Ok(TeacherOutput { logits: vec![logit; classes], ..teacher(&[1, 8, 8], image, EXTENT) });
        let error = TeacherViews::prepare(dir.path(), spec(1, EXTENT), &samples, &run, 1, &|_| ()).unwrap_err();
        assert!(matches!(error, ViewsError::Teacher { image: 0, .. }), "{error}");
    }
}
