//! What a teacher's scores are, so that they come out as logits.

use std::collections::BTreeMap;
use std::path::Path;

use super::TeacherError;
use crate::session::OnnxGraph;

/// Operators that leave scores what they are.
const TRANSPARENT: [&str; 6] = ["Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Dropout"];

/// The last operator that makes scores what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Any real numbers (log-probabilities too).
    Logits,
    /// Probabilities: the logarithm is used.
    Softmax,
    /// Cut at zero: used as they are, though what lies below zero is lost.
    Relu,
}

impl Ending {
    /// What a user should know about it.
    pub fn notice(self) -> Option<&'static str> {
        match self {
            Self::Logits => None,
            Self::Softmax => {
                Some("the teacher ends in a softmax: the logarithm of its probabilities is used as logits")
            }
            Self::Relu => Some(
                "warning: the teacher ends in a ReLU: everything below zero is lost to the students; export it without the last \
                 activation if you can",
            ),
        }
    }

    /// How the tensor `scores` came about.
    pub(super) fn of(graph: &OnnxGraph, scores: &str) -> Self {
        let mut tensor = scores;
        loop {
            let Some(node) = graph.nodes.iter().find(|node| node.outputs.iter().any(|output| output == tensor)) else {
                return Self::Logits;
            };
            match (node.op.as_str(), node.inputs.first()) {
                ("Softmax", _) => return Self::Softmax,
                ("Relu", _) => return Self::Relu,
                (op, Some(input)) if TRANSPARENT.contains(&op) => tensor = input,
                _ => return Self::Logits,
            }
        }
    }

    /// Scores as logits.
    pub(super) fn logits(self, scores: Vec<f32>) -> Vec<f32> {
        match self {
            Self::Logits | Self::Relu => scores,
            // A probability that underflowed to zero is still some number's logarithm.
            Self::Softmax => scores.into_iter().map(|probability| probability.max(f32::MIN_POSITIVE).ln()).collect(),
        }
    }
}

/// The first output that is one row of scores, and how many there are.
pub(super) fn scores(
    path: &Path,
    graph: &OnnxGraph,
    shapes: &BTreeMap<String, Vec<usize>>,
) -> Result<(String, usize), TeacherError> {
    let row = |shape: &[usize]| shape.len() >= 2 && shape[1..].iter().filter(|&&size| size > 1).count() == 1;
    let found = graph.outputs.iter().find_map(|output| {
        let shape = shapes.get(&output.name).filter(|shape| row(shape))?;
        Some((output.name.clone(), shape.iter().product()))
    });
    found.ok_or_else(|| {
        let described = graph.outputs.iter().map(|output| match shapes.get(&output.name) {
            Some(shape) => format!("{} {shape:?}", output.name),
            None => format!("{} of unknown shape", output.name),
        });
        TeacherError::NoScores { path: path.to_owned(), outputs: described.collect::<Vec<_>>().join(", ") }
    })
}
