//! How good students are together: the accuracy of every combination, from each student's partial logits alone.
//!
//! Since an answer is a bias and a sum, each student runs once over the test images; every combination is then arithmetic.
//! Nothing here chooses anything: test accuracies are reported, never selected by.

mod combinations;
mod npz;
mod selections;

pub use combinations::{best, combinations};
pub use npz::PartialLogitsError;
pub use selections::{PART_MISSING_PROBABILITY, Selection, selections};

use rocoin::bundle::StudentRef;

/// The partial logits of every student on the same images; `partial_logits.npz` on disk.
///
/// Keys of the file: `labels` (uint16, `[images]`), and for each student `part{K}_{arch}_{precision}` (float16,
/// `[images, classes]`), for instance `part0_wrn-16-1_f32`. The images are the data set's test images in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialLogits {
    /// Number of classes.
    pub classes: usize,
    /// The class of each image.
    pub labels: Vec<u16>,
    /// Each student with its logits, `[images, classes]` row by row; in part order.
    pub students: Vec<(StudentRef, Vec<f32>)>,
}

impl PartialLogits {
    /// Number of images.
    pub fn images(&self) -> usize {
        self.labels.len()
    }
}

/// The share of rows of `logits` (`[images, classes]`) whose largest value is at the label; the first of equals counts.
pub fn accuracy(logits: &[f32], labels: &[u16], classes: usize) -> f64 {
    let right =
        logits.chunks_exact(classes).zip(labels).filter(|(row, label)| largest(row) == usize::from(**label)).count();
    right as f64 / labels.len().max(1) as f64
}

/// Index of the largest value, the first of equals.
pub fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests;
