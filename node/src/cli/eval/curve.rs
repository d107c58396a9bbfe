//! How the students of a bundle were trained: accuracy on the validation images, epoch by epoch.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use rocoin_models::bundle_dir::TRAINING_LOG_FILE;
use rocoin_netsim::picture::chart::{Axis, Chart, Line};

/// The curve of the bundle in `folder`; `None` if it has no log.
pub(super) fn of(folder: &Path) -> anyhow::Result<Option<Chart>> {
    let path = folder.join(TRAINING_LOG_FILE);
    match std::fs::read_to_string(&path) {
        Ok(log) => chart(&log).map(Some).with_context(|| format!("{}", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}", path.display())),
    }
}

/// Lines of `student PART ARCH EPOCH LOSS ACCURACY SECONDS`. An epoch that was trained again after a crash counts as it was trained last.
fn chart(log: &str) -> anyhow::Result<Chart> {
    let mut students: BTreeMap<(u16, &str), BTreeMap<u32, f64>> = BTreeMap::new();
    for (number, line) in (1..).zip(log.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["student", rest @ ..] = words.as_slice() {
            let [part, arch, epoch, _loss, accuracy, _seconds] = rest else {
                bail!("line {number} has not the seven words of a student's epoch; take the file out, or distil anew");
            };
            let of_line = || format!("line {number}");
            let student = (part.parse().with_context(of_line)?, *arch);
            let accuracy: f64 = accuracy.parse().with_context(of_line)?;
            students.entry(student).or_default().insert(epoch.parse().with_context(of_line)?, 100.0 * accuracy);
        }
    }
    let line = |((part, arch), epochs): (&(u16, &str), &BTreeMap<u32, f64>)| Line {
        name: format!("part {part}, {arch}"),
        points: epochs.iter().map(|(&epoch, &accuracy)| (f64::from(epoch), accuracy)).collect(),
    };
    Ok(Chart {
        title: "Training: each student alone".to_owned(),
        subtitle: "with a head of its own, on the images that are kept back to choose by".to_owned(),
        x: Axis::linear("epoch"),
        y: Axis::linear("accuracy, %"),
        lines: students.iter().map(line).collect(),
        marks: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_student_is_a_line_and_an_epoch_counts_as_trained_last() {
        let log = "# student part arch epoch loss val-accuracy seconds\nstudent 1 a 1 9.0 0.5 3.0\nstudent 0 b 1 9.0 0.25 3.0\n\
                   student 1 a 2 8.0 0.55 3.0\nstudent 1 a 2 8.0 0.75 3.0\nhead - - 1 0.4 0.9 -\n";
        let chart = chart(log).unwrap();
        let lines: Vec<_> = chart.lines.iter().map(|line| (line.name.as_str(), line.points.clone())).collect();
        assert_eq!(lines, [("part 0, b", vec![(1.0, 25.0)]), ("part 1, a", vec![(1.0, 50.0), (2.0, 75.0)])]);
    }

    #[test]
    fn a_log_that_is_none_is_refused_with_its_line_and_a_missing_one_is_no_fault() {
        for log in ["student 0 a 1\n", "# x\nstudent 0 a one 1.0 0.5 1.0\n"] {
            assert!(format!("{:#}", chart(log).unwrap_err()).contains("line"));
        }
        assert!(of(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }
}
