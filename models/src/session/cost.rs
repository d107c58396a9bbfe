//! What a network costs to run, told from its operators: no run, no clock.

use tract_onnx::prelude::{InferenceModelExt as _, TractError, TypedModel};
use tract_onnx::tract_core::ops::Cost;

use super::graph::load_error;
use super::{OnnxGraph, SessionError};

/// For one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkCost {
    /// 2 × multiply-accumulates of convolutions and matrix products.
    pub flops: u64,
    /// Weights and the largest operator's inputs and output, as they are computed with.
    pub memory_bytes: u64,
}

impl OnnxGraph {
    /// What the network costs for one image of `input_shape`.
    ///
    /// # Errors
    /// As [`OnnxGraph::into_session`].
    pub fn cost(&self, input_shape: &[usize]) -> Result<NetworkCost, SessionError> {
        let model = self.shaped(input_shape)?.into_typed().and_then(TypedModel::into_decluttered);
        model.and_then(|model| cost(&model)).map_err(|error| load_error(&error))
    }
}

fn cost(model: &TypedModel) -> Result<NetworkCost, TractError> {
    let (mut flops, mut weights, mut activations) = (0, 0, 0);
    for node in &model.nodes {
        let facts = model.node_input_facts(node.id)?;
        for (cost, amount) in node.op.cost(&facts)? {
            let amount = u64::try_from(amount.to_i64()?).unwrap_or_default();
            match cost {
                Cost::FMA(_) => flops += 2 * amount,
                Cost::Params(kind) => weights += amount * kind.size_of() as u64,
                Cost::Div(_) | Cost::Buffer(_) | Cost::Custom(..) => {}
            }
        }
        let given = node.outputs.iter().map(|output| &output.fact);
        // What is constant is counted among the weights.
        let live = facts.into_iter().chain(given).filter(|fact| fact.konst.is_none());
        let bytes = live.map(|fact| {
            let elements = fact.shape.as_concrete().map_or(0, |shape| shape.iter().product::<usize>());
            (elements * fact.datum_type.size_of()) as u64
        });
        activations = activations.max(bytes.sum());
    }
    Ok(NetworkCost { flops, memory_bytes: weights + activations })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_teachers_cost_is_that_of_its_architecture() {
        let teacher = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("teachers/fashion_wrn_16_2.onnx");
        let graph = OnnxGraph::parse(&std::fs::read(teacher).unwrap()).unwrap();
        let cost = graph.cost(&[1, 28, 28]).unwrap();
        // WRN-16-2: 0.69 million parameters; 101 million multiply-accumulates at 32×32, so 77 million at 28×28.
        assert!((140_000_000..170_000_000).contains(&cost.flops), "{cost:?}");
        assert!((2_700_000..3_300_000).contains(&cost.memory_bytes), "{cost:?}");
    }
}
