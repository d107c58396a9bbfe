//! The kernels on burn's autodiff tape: what each saves in the forward pass, and its backward pass.

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Flex};

use super::batch_norm::batch_norm_backward;
use super::buffers::recycle;
use super::conv_input::conv_input_gradient;
use super::conv_weight::conv_weight_gradient;
use super::geometry::Geometry;
use super::ops::{KernelOps, dims, single, tensor, values};

impl<C: CheckpointStrategy> KernelOps for Autodiff<Flex, C> {
    fn conv2d(input: FloatTensor<Self>, weight: FloatTensor<Self>, stride: [usize; 2]) -> FloatTensor<Self> {
        let (input, input_node) = input.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let saved = SavedConv { input: input.clone(), weight: weight.clone(), stride };
        let output = Flex::conv2d(input, weight, stride);
        match ConvBackward.prepare::<C>([input_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(saved, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn batch_norm_relu(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (input, input_node) = input.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (output, mean, variance) = Flex::batch_norm_relu(input.clone(), gamma.clone(), beta.clone(), epsilon);
        let nodes = [input_node, gamma_node, beta_node];
        let output = match BatchNormBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (mean, variance) = (mean.clone(), variance.clone());
                prep.finish(SavedBatchNorm { input, gamma, beta, mean, variance, epsilon }, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }
}

#[derive(Debug)]
struct ConvBackward;

#[derive(Debug, Clone)]
struct SavedConv {
    input: FloatTensor<Flex>,
    weight: FloatTensor<Flex>,
    stride: [usize; 2],
}

impl Backward<Flex, 2> for ConvBackward {
    type State = SavedConv;

    fn backward(self, ops: Ops<SavedConv, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let SavedConv { input, weight, stride } = ops.state;
        let geometry = Geometry::new(dims(&input), dims(&weight), stride);
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [input_node, weight_node] = ops.parents;
        if let Some(node) = input_node {
            let values = conv_input_gradient(&geometry, values(&gradient), values(&weight.to_contiguous()));
            grads.register::<Flex>(node.id, tensor::<4>(values, dims(&input)));
        }
        if let Some(node) = weight_node {
            let values = conv_weight_gradient(&geometry, values(&input.to_contiguous()), values(&gradient));
            grads.register::<Flex>(node.id, tensor::<4>(values, dims(&weight)));
        }
        recycle(gradient);
        recycle(input);
    }
}

#[derive(Debug)]
struct BatchNormBackward;

#[derive(Debug, Clone)]
struct SavedBatchNorm {
    input: FloatTensor<Flex>,
    gamma: FloatTensor<Flex>,
    beta: FloatTensor<Flex>,
    mean: FloatTensor<Flex>,
    variance: FloatTensor<Flex>,
    epsilon: f64,
}

impl Backward<Flex, 3> for BatchNormBackward {
    type State = SavedBatchNorm;

    fn backward(self, ops: Ops<SavedBatchNorm, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let SavedBatchNorm { input, gamma, beta, mean, variance, epsilon } = ops.state;
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let shape: [usize; 4] = dims(&input);
        let result = batch_norm_backward(
            values(&input.to_contiguous()),
            values(&gamma.to_contiguous()),
            values(&beta.to_contiguous()),
            single(epsilon),
            [values(&mean), values(&variance)],
            values(&gradient),
        );
        let [input_node, gamma_node, beta_node] = ops.parents;
        if let Some(node) = input_node {
            grads.register::<Flex>(node.id, tensor(result.input, shape));
        }
        if let Some(node) = gamma_node {
            grads.register::<Flex>(node.id, tensor(result.gamma, [shape[3]]));
        }
        if let Some(node) = beta_node {
            grads.register::<Flex>(node.id, tensor(result.beta, [shape[3]]));
        }
        recycle(gradient);
        recycle(input);
    }
}
