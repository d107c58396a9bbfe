//! The merge rule: logits = bias + Σ partial logits, in part order (ours; NoNN's head folded into the students).

/// Bias plus the partial logits, added one after the other as `f32` in the order given, which has to be part order: the same
/// parts then give the same bits on every node. An absent part is left out; its constant goes with it.
///
/// # Panics
/// If a vector of partial logits is not as long as the bias.
pub fn merge<'a>(bias: &[f32], partials: impl IntoIterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut logits = bias.to_vec();
    for partial in partials {
        assert_eq!(partial.len(), logits.len(), "partial logits are checked against the bias before they are merged");
        for (sum, value) in logits.iter_mut().zip(partial) {
            *sum += value;
        }
    }
    logits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_any_part_the_bias_remains() {
        assert_eq!(merge(&[1.5, -2.0], []), [1.5, -2.0]);
    }

    proptest! {
        #[test]
        fn every_class_is_the_bias_and_then_each_part_in_order(
            bias in prop::collection::vec(-1e6_f32..1e6, 3),
            partials in prop::collection::vec(prop::collection::vec(-1e6_f32..1e6, 3), 0..6),
        ) {
            let merged = merge(&bias, partials.iter().map(Vec::as_slice));
            for class in 0..3 {
                let reference = partials.iter().fold(bias[class], |sum, partial| sum + partial[class]);
                prop_assert_eq!(merged[class].to_bits(), reference.to_bits());
            }
        }
    }
}
