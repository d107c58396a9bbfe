use rocoin::id::PartId;

use super::*;

fn student(part: u16, arch: &str) -> StudentRef {
    StudentRef { part: PartId(part), arch: arch.to_owned(), precision: "f32".to_owned() }
}

/// Three images of two classes; two students of part 0, one of part 1.
fn logits() -> PartialLogits {
    PartialLogits {
        classes: 2,
        labels: vec![0, 1, 1],
        students: vec![
            (student(0, "small"), vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
            (student(0, "wide"), vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
            (student(1, "small"), vec![0.0, 0.5, 0.0, 2.0, 0.0, 2.0]),
        ],
    }
}

#[test]
fn every_combination_but_the_empty_one_is_measured_once() {
    let found = combinations(&logits(), &[0.0, 0.0]);
    let named: Vec<(Vec<(u16, &str)>, f64)> =
        found.iter().map(|c| (c.students.iter().map(|s| (s.part.0, s.arch.as_str())).collect(), c.accuracy)).collect();
    assert_eq!(
        named,
        [
            (vec![(0, "small"), (1, "small")], 1.0),
            (vec![(0, "small")], 1.0 / 3.0),
            (vec![(0, "wide"), (1, "small")], 1.0),
            (vec![(0, "wide")], 2.0 / 3.0),
            (vec![(1, "small")], 2.0 / 3.0),
        ]
    );
    assert!(found.iter().all(|combination| combination.samples == 3));
}

#[test]
fn four_parts_of_two_sizes_make_eighty_combinations() {
    let students = (0..4).flat_map(|part| [student(part, "a"), student(part, "b")]);
    let logits = PartialLogits {
        classes: 2,
        labels: vec![0],
        students: students.map(|student| (student, vec![0.0, 0.0])).collect(),
    };
    assert_eq!(combinations(&logits, &[0.0, 0.0]).len(), 80);
}

#[test]
fn the_bias_counts_in_every_combination() {
    let found = combinations(&logits(), &[0.0, 10.0]);
    assert!(found.iter().all(|combination| (combination.accuracy - 2.0 / 3.0).abs() < 1e-12));
}

#[test]
fn of_equally_good_combinations_the_smallest_is_best() {
    let mut found = combinations(&logits(), &[0.0, 0.0]);
    assert_eq!(best(&found).unwrap().accuracy, 1.0);
    found.iter_mut().for_each(|combination| combination.accuracy = 0.5);
    assert_eq!(best(&found).unwrap().students.len(), 1);
}

#[test]
fn of_equal_logits_the_first_class_is_the_answer() {
    assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
    assert_eq!(accuracy(&[0.0, 0.0, 1.0, 2.0], &[0, 1], 2), 1.0);
}

#[test]
fn partial_logits_are_read_back_from_their_file() {
    let logits = logits();
    let bytes = logits.to_npz().unwrap();
    assert_eq!(PartialLogits::from_npz(&bytes).unwrap(), logits);
}

#[test]
fn logits_are_rounded_to_sixteen_bits() {
    let mut logits = logits();
    logits.students[0].1[0] = 1.000_1;
    let read = PartialLogits::from_npz(&logits.to_npz().unwrap()).unwrap();
    assert_eq!(read.students[0].1[0], 1.0);
}

#[test]
fn a_file_that_is_none_or_not_of_one_length_is_refused() {
    assert!(matches!(PartialLogits::from_npz(b"nothing"), Err(PartialLogitsError::Read(_))));
    let mut short = logits();
    short.students[1].1.truncate(2);
    assert!(matches!(short.to_npz(), Err(PartialLogitsError::Form(_))));
}
