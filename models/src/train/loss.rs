//! What a student is told: the label, the teacher's logits, and the teacher's filters of its part (NoNN's public recipe).
//!
//! `(1 − α)·CE + α·T²·KL(teacher ‖ student at temperature T) + β·mean over images of ‖F/‖F‖ − F_T/‖F_T‖‖²`, where ‖F‖² is the sum
//! of squares of an image's whole map plus [`NORM_EPSILON`].

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};

/// Added to the sum of squares of a map before its root is taken, so that a dead map is no division by zero.
const NORM_EPSILON: f32 = 1e-6;

/// The weights of the terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mixture {
    pub(crate) alpha: f32,
    pub(crate) temperature: f32,
    pub(crate) beta: f32,
}

/// What is known of a batch: labels and the teacher's answers, as constants.
pub(crate) struct Targets {
    one_hot: Tensor<2>,
    logits: Tensor<2>,
    /// In the layout of the student's map.
    map: Tensor<4>,
}

/// The terms, each a mean over the batch, unweighted.
pub(crate) struct Terms {
    /// Cross-entropy.
    pub(crate) label: Tensor<1>,
    /// KL divergence at temperature T.
    pub(crate) logits: Tensor<1>,
    /// Squared distance of the normalised maps.
    pub(crate) map: Tensor<1>,
}

impl Targets {
    pub(crate) fn new(labels: &[usize], logits: Vec<f32>, map: Tensor<4>, device: &Device) -> Self {
        let classes = logits.len() / labels.len();
        let mut one_hot = vec![0.0; logits.len()];
        for (row, &label) in labels.iter().enumerate() {
            one_hot[row * classes + label] = 1.0;
        }
        let matrix = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [labels.len(), classes]), device);
        Self { one_hot: matrix(one_hot), logits: matrix(logits), map }
    }

    /// The student's logits and map against these; `map` has the shape of the target's.
    pub(crate) fn terms(self, logits: Tensor<2>, map: Tensor<4>, temperature: f32) -> Terms {
        let images = logits.dims()[0] as f32;
        let label = -(self.one_hot * log_softmax(logits.clone(), 1)).sum() / images;
        let soft = self.logits / temperature;
        let gap = log_softmax(soft.clone(), 1) - log_softmax(logits / temperature, 1);
        let kl = (softmax(soft, 1) * gap).sum() / images;
        let distance = (normalise(map) - normalise(self.map)).square().sum() / images;
        Terms { label, logits: kl, map: distance }
    }
}

impl Terms {
    /// The weighted sum.
    pub(crate) fn total(self, mixture: &Mixture) -> Tensor<1> {
        let Mixture { alpha, temperature, beta } = *mixture;
        self.label * (1.0 - alpha) + self.logits * (alpha * temperature * temperature) + self.map * beta
    }
}

/// Each image's map as one row of length 1.
fn normalise(map: Tensor<4>) -> Tensor<2> {
    let rows: Tensor<2> = map.flatten(1, 3);
    let norm = (rows.clone().square().sum_dim(1) + NORM_EPSILON).sqrt();
    rows / norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::ops::{maps, numbers};

    fn terms(logits: [f32; 2], teacher: [f32; 2], map: [f32; 2], teacher_map: [f32; 2]) -> [f32; 3] {
        let device = Device::flex();
        let target = Targets::new(&[0], teacher.to_vec(), maps(teacher_map.to_vec(), [1, 2, 1, 1], &device), &device);
        let logits = Tensor::from_data(TensorData::new(logits.to_vec(), [1, 2]), &device);
        let terms = target.terms(logits, maps(map.to_vec(), [1, 2, 1, 1], &device), 2.0);
        [terms.label, terms.logits, terms.map].map(|term| numbers(term)[0])
    }

    #[test]
    fn each_term_is_as_computed_by_hand() {
        let ln3 = 3.0_f32.ln();
        // Student: softmax (3/4, 1/4); at T = 2 in the ratio √3 : 1. Teacher: even. Maps: (1, 0) against (0.6, 0.8).
        let [label, logits, map] = terms([ln3, 0.0], [0.0, 0.0], [5.0, 0.0], [0.3, 0.4]);
        let root = 3.0_f32.sqrt();
        let kl = 0.5 * (0.5 * (root + 1.0) / root).ln() + 0.5 * (0.5 * (root + 1.0)).ln();
        assert!((label - (4.0_f32 / 3.0).ln()).abs() < 1e-6, "{label}");
        assert!((logits - kl).abs() < 1e-6, "{logits} against {kl}");
        assert!((map - (0.16 + 0.64)).abs() < 1e-5, "{map}");
    }

    #[test]
    fn a_student_like_its_teacher_is_told_nothing_by_it() {
        let [_, logits, map] = terms([2.0, -1.0], [2.0, -1.0], [2.0, 4.0], [1.0, 2.0]);
        assert!(logits.abs() < 1e-6 && map.abs() < 1e-6, "{logits} {map}");
    }

    #[test]
    fn a_dead_map_gives_a_finite_term() {
        let [_, _, map] = terms([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]);
        assert_eq!(map, 0.0);
    }

    #[test]
    fn the_total_weighs_the_terms() {
        let one = |x: f32| Tensor::<1>::from_data([x], &Device::flex());
        let terms = Terms { label: one(2.0), logits: one(3.0), map: one(5.0) };
        let total = terms.total(&Mixture { alpha: 0.75, temperature: 2.0, beta: 10.0 });
        assert!((numbers(total)[0] - (0.25 * 2.0 + 0.75 * 4.0 * 3.0 + 50.0)).abs() < 1e-5);
    }
}
