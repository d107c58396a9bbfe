//! What turns a student's features into partial logits.

/// `partial logits = weight · features + constant`, folded into the student's ONNX.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PartialHead {
    /// `[classes, filters]`, row by row.
    pub weight: Vec<f32>,
    /// `[classes]`; goes missing with its part.
    pub constant: Vec<f32>,
}

impl PartialHead {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.constant.len()
    }

    /// Features `[N, filters]` to partial logits `[N, classes]`, row by row.
    pub fn partial_logits(&self, features: &[f32]) -> Vec<f32> {
        let filters = self.weight.len() / self.classes();
        let logit = |row: &[f32], class: usize| {
            let weights = &self.weight[class * filters..][..filters];
            self.constant[class] + weights.iter().zip(row).map(|(w, f)| w * f).sum::<f32>()
        };
        features.chunks_exact(filters).flat_map(|row| (0..self.classes()).map(move |class| logit(row, class))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_logits_are_a_weighted_sum_and_a_constant() {
        let head = PartialHead { weight: vec![1.0, 2.0, 3.0, 4.0], constant: vec![10.0, 20.0] };
        assert_eq!(head.partial_logits(&[1.0, 0.5, 0.0, 1.0]), [12.0, 25.0, 12.0, 24.0]);
    }
}
