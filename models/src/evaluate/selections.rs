//! How gracefully students degrade: their accuracy by the number of parts missing, and what to expect of it.
//!
//! Reads the planner's accuracy table and asks the planner for expectations; nothing is measured or chosen here.

use rocoin::bundle::StudentRef;
use rocoin::id::PartId;
use rocoin::planner::{AccuracyTable, Student, Students};

/// How often a part is missing where nothing is known of the devices (ours): far more often than behind two replicas that fail
/// with 0.05 each, so that it tells students apart.
pub const PART_MISSING_PROBABILITY: f64 = 0.1;

/// One student a part, and what they are worth together as parts go missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// For people: the architecture and precision that all share, else which student of each part it is.
    pub name: String,
    /// In part order.
    pub students: Vec<StudentRef>,
    /// Lowest and highest accuracy (0 to 1) with none missing, one, … and all but one.
    pub by_missing: Vec<[f64; 2]>,
    /// Accuracy to be expected if each part is missing with [`PART_MISSING_PROBABILITY`], whatever becomes of the others; without
    /// any part it counts as 0.
    pub expected: f64,
}

/// A selection for each architecture (and precision) that every part has. Where there is none, the smallest student of each part and
/// the largest. Empty if `students` have no accuracy yet.
pub fn selections(students: &Students) -> Vec<Selection> {
    let Some(table) = &students.accuracy else { return Vec::new() };
    choices(&students.parts).into_iter().map(|(name, chosen)| selection(students, table, name, &chosen)).collect()
}

/// Names, with an index a part.
fn choices(parts: &[Vec<Student>]) -> Vec<(String, Vec<usize>)> {
    let of_all = |wanted: &Student| {
        let same = |student: &Student| (&student.arch, &student.precision) == (&wanted.arch, &wanted.precision);
        parts.iter().map(|candidates| candidates.iter().position(same)).collect::<Option<Vec<_>>>()
    };
    let name = |student: &Student| format!("{} {}", student.arch, student.precision);
    let common: Vec<_> = parts[0].iter().filter_map(|student| Some((name(student), of_all(student)?))).collect();
    if !common.is_empty() {
        return common;
    }
    let smallest = vec![0; parts.len()];
    let largest: Vec<usize> = parts.iter().map(|candidates| candidates.len() - 1).collect();
    if smallest == largest {
        return vec![("one of each part".to_owned(), smallest)];
    }
    vec![("smallest of each part".to_owned(), smallest), ("largest of each part".to_owned(), largest)]
}

fn selection(students: &Students, table: &AccuracyTable, name: String, chosen: &[usize]) -> Selection {
    let parts = chosen.len();
    let mut by_missing = vec![[f64::INFINITY, f64::NEG_INFINITY]; parts];
    for present in 1_usize..1 << parts {
        let accuracy = table.of_present(chosen, present);
        let [lowest, highest] = &mut by_missing[parts - present.count_ones() as usize];
        (*lowest, *highest) = (lowest.min(accuracy), highest.max(accuracy));
    }
    let reference = |(part, (candidates, &student)): (u16, (&Vec<Student>, &usize))| {
        let Student { arch, precision, .. } = candidates[student].clone();
        StudentRef { part: PartId(part), arch, precision }
    };
    Selection {
        name,
        students: (0..).zip(students.parts.iter().zip(chosen)).map(reference).collect(),
        by_missing,
        expected: table.expected(chosen, PART_MISSING_PROBABILITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parts with these architectures; the first part is worth 0.3, the second 0.4, a second student of a part 0.1 more.
    fn students(archs: [&[&str]; 2]) -> Students {
        let student =
            |arch: &&str| Student { arch: (*arch).to_owned(), precision: "f32".to_owned(), flops: 1, memory_bytes: 1 };
        let parts = archs.iter().map(|archs| archs.iter().map(student).collect()).collect();
        let mut students = Students::without_accuracy(parts, 1, 2).unwrap();
        let worth = |(k, student): (usize, &Option<usize>)| {
            student.map_or(0.0, |student| 0.3 + 0.1 * k as f64 + 0.1 * student as f64)
        };
        let table = AccuracyTable::from_fn(&students.parts, |chosen| chosen.iter().enumerate().map(worth).sum());
        students.accuracy = Some(table.unwrap());
        students
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn an_architecture_of_every_part_is_told_by_the_number_of_parts_missing() {
        let found = selections(&students([&["small", "large"], &["small", "large"]]));
        let names: Vec<_> = found.iter().map(|selection| selection.name.as_str()).collect();
        assert_eq!(names, ["small f32", "large f32"]);
        let large = &found[1];
        assert_eq!(
            large.students.iter().map(|s| (s.part.0, s.arch.as_str())).collect::<Vec<_>>(),
            [(0, "large"), (1, "large")]
        );
        let [[all, same], [lowest, highest]] = large.by_missing[..] else { panic!("{:?}", large.by_missing) };
        assert!(near(all, 0.9) && near(same, 0.9) && near(lowest, 0.4) && near(highest, 0.5), "{large:?}");
        assert!(near(large.expected, 0.81 * 0.9 + 0.09 * 0.4 + 0.09 * 0.5), "{large:?}");
    }

    #[test]
    fn parts_without_a_common_architecture_are_told_by_their_smallest_and_largest() {
        let name = |archs| selections(&students(archs)).into_iter().map(|found| found.name).collect::<Vec<_>>();
        assert_eq!(name([&["a", "b"], &["c"]]), ["smallest of each part", "largest of each part"]);
        assert_eq!(name([&["a"], &["c"]]), ["one of each part"]);
        assert_eq!(name([&["a", "b"], &["b"]]), ["b f32"]);
    }

    #[test]
    fn students_yet_to_be_trained_have_nothing_to_tell() {
        let untrained = Students { accuracy: None, ..students([&["a"], &["a"]]) };
        assert!(selections(&untrained).is_empty());
    }
}
