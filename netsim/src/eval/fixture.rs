//! A made-up contest for tests: four parts of two sizes, at the costs of the zoo's smallest students.

use rocoin::planner::{AccuracyTable, Student, Students};

use super::contest::Contest;

fn student(arch: &str, flops: u64, memory_bytes: u64) -> Student {
    Student { arch: arch.to_owned(), precision: "f32".to_owned(), flops, memory_bytes }
}

/// 93 % with every part by its large student, 0.2 points less for each small one, and `loss` points less for each part that is missing.
fn students(parts: usize, loss: f64) -> Students {
    let candidates = vec![student("wrn-10-1", 18_900_000, 470_000), student("wrn-16-1", 40_600_000, 861_000)];
    let mut students = Students::without_accuracy(vec![candidates; parts], 784, 10).unwrap();
    let points = |chosen: &Option<usize>| match chosen {
        None => loss,
        Some(size) => 0.2 * (1.0 - f64::from(u8::try_from(*size).unwrap())),
    };
    let accuracy = |chosen: &[Option<usize>]| 0.93 - chosen.iter().map(points).sum::<f64>() / 100.0;
    students.accuracy = Some(AccuracyTable::from_fn(&students.parts, accuracy).unwrap());
    students
}

/// Everybody takes part.
pub(super) fn contest() -> Contest {
    Contest {
        ours: students(4, 0.3),
        plain: Some(students(4, 2.0)),
        nonn: Some(students(4, 2.5)),
        whole: Some(students(1, 0.0)),
        teacher: Some(Contest::teacher(150_000_000, 900_000, 0.9346, 784, 10).unwrap()),
    }
}
