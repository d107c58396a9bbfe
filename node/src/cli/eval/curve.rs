//! How the students of a bundle were trained: accuracy on the validation images, epoch by epoch.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use rocoin_models::bundle_dir::TRAINING_LOG_FILE;
use rocoin_netsim::picture::chart::{Axis, Chart, Line};

/// The curve of the bundle in `folder`; `None` if it has no log, or one without students.
pub(super) fn of(folder: &Path) -> anyhow::Result<Option<Chart>> {
    let path = folder.join(TRAINING_LOG_FILE);
    let advice = || {
        format!(
            "{}: this is no log of rocoin distill; take it out of the bundle, and there is no curve",
            path.display()
        )
    };
    match std::fs::read_to_string(&path) {
        Ok(log) => chart(&log).with_context(advice),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(advice),
    }
}

/// Lines of `student PART ARCH EPOCH LOSS ACCURACY …`. An epoch that was trained again after a crash counts as it was trained last. One line an
/// architecture: the mean over its parts, so that any number of them can be told apart.
fn chart(log: &str) -> anyhow::Result<Option<Chart>> {
    let mut architectures: BTreeMap<&str, BTreeMap<u32, BTreeMap<u16, f64>>> = BTreeMap::new();
    for (number, line) in (1..).zip(log.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["student", rest @ ..] = words.as_slice() {
            let [part, arch, epoch, _loss, accuracy, ..] = rest else { bail!("line {number} is cut off") };
            let of_line = || format!("line {number}");
            let (epoch, part) = (epoch.parse().with_context(of_line)?, part.parse().with_context(of_line)?);
            let accuracy: f64 = accuracy.parse().with_context(of_line)?;
            architectures.entry(arch).or_default().entry(epoch).or_default().insert(part, 100.0 * accuracy);
        }
    }
    let mean = |parts: &BTreeMap<u16, f64>| parts.values().sum::<f64>() / parts.len() as f64;
    let line = |(arch, epochs): (&&str, &BTreeMap<u32, BTreeMap<u16, f64>>)| Line {
        name: (*arch).to_owned(),
        points: epochs.iter().map(|(&epoch, parts)| (f64::from(epoch), mean(parts))).collect(),
    };
    Ok((!architectures.is_empty()).then(|| Chart {
        title: "Training: each student alone".to_owned(),
        subtitle: "mean over the parts, with a head of its own, on the images kept back to choose by".to_owned(),
        x: Axis::linear("epoch"),
        y: Axis::linear("accuracy, %"),
        lines: architectures.iter().map(line).collect(),
        marks: true,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_is_a_line_and_an_epoch_counts_as_trained_last() {
        let log = "# student part arch epoch loss val-accuracy\nstudent 1 a 1 9.0 0.5\nstudent 0 a 1 9.0 0.25 3.0\nstudent 0 b 1 9.0 0.4\n\
                   student 1 a 2 8.0 0.55 3.0\nstudent 1 a 2 8.0 0.75 3.0\nhead - - 1 0.4 0.9 -\n";
        let chart = chart(log).unwrap().unwrap();
        let lines: Vec<_> = chart.lines.iter().map(|line| (line.name.as_str(), line.points.clone())).collect();
        assert_eq!(lines, [("a", vec![(1.0, 37.5), (2.0, 75.0)]), ("b", vec![(1.0, 40.0)])]);
    }

    #[test]
    fn a_log_that_is_none_is_refused_with_its_line_and_a_missing_one_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of(folder.path()).unwrap().is_none());
        for log in ["student 0 a 1\n", "# x\nstudent 0 a one 1.0 0.5 1.0\n"] {
            std::fs::write(folder.path().join(TRAINING_LOG_FILE), log).unwrap();
            let error = format!("{:#}", of(folder.path()).unwrap_err());
            assert!(error.contains("line") && error.contains("take it out"), "{error}");
        }
        std::fs::write(folder.path().join(TRAINING_LOG_FILE), "head - - 1 0.4 0.9 -\n").unwrap();
        assert!(of(folder.path()).unwrap().is_none());
    }
}
