//! A student's forward pass on tensors: in training with the batch's statistics, at inference with the running ones.

use burn::tensor::{Device, Tensor, TensorData};

use super::ops;
use super::weights::Weights;
use super::wrn::{Layers, Wrn};

/// One differentiable pass: parameters as leaves of the gradient graph, in the order of [`Weights`].
pub(crate) struct Training {
    /// The convolutions.
    pub(crate) convs: Vec<Tensor<4>>,
    /// γ and β of each norm.
    pub(crate) norms: Vec<Tensor<1>>,
    /// The batch's mean and variance at each norm, after the pass.
    pub(crate) statistics: Vec<Option<[Tensor<1>; 2]>>,
    strides: Vec<usize>,
}

impl Training {
    /// Puts the weights on an autodiff device.
    pub(crate) fn new(net: &Wrn, weights: &Weights, device: &Device) -> Self {
        let (convs, norms) = weights.trained.split_at(weights.conv_count());
        let convs = net.convs().iter().zip(convs).map(|(conv, values)| {
            let shape = [conv.outputs, conv.inputs, conv.kernel, conv.kernel];
            Tensor::from_data(TensorData::new(values.clone(), shape), device).require_grad()
        });
        let norms = norms.iter().map(|values| vector(values, device).require_grad());
        Self {
            convs: convs.collect(),
            norms: norms.collect(),
            statistics: vec![None; net.norms().len()],
            strides: net.convs().iter().map(|conv| conv.stride).collect(),
        }
    }
}

impl Layers for Training {
    type Map = Tensor<4>;

    fn conv(&mut self, conv: usize, x: Tensor<4>) -> Tensor<4> {
        ops::conv2d(x, self.convs[conv].clone(), self.strides[conv])
    }

    fn norm_relu(&mut self, norm: usize, x: Tensor<4>) -> Tensor<4> {
        let [gamma, beta] = [0, 1].map(|i| self.norms[2 * norm + i].clone());
        let (y, mean, variance) = ops::batch_norm_relu(x, gamma, beta);
        self.statistics[norm] = Some([mean, variance]);
        y
    }

    fn add(&mut self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        a + b
    }
}

/// One pass with running statistics, nothing recorded.
pub(crate) struct Inference<'a> {
    pub(crate) net: &'a Wrn,
    pub(crate) weights: &'a Weights,
    pub(crate) device: Device,
}

impl Layers for Inference<'_> {
    type Map = Tensor<4>;

    fn conv(&mut self, conv: usize, x: Tensor<4>) -> Tensor<4> {
        let shape = self.net.convs()[conv];
        let weight = TensorData::new(
            self.weights.conv(conv).to_vec(),
            [shape.outputs, shape.inputs, shape.kernel, shape.kernel],
        );
        ops::conv2d(x, Tensor::from_data(weight, &self.device), shape.stride)
    }

    fn norm_relu(&mut self, norm: usize, x: Tensor<4>) -> Tensor<4> {
        let (scale, shift) = self.weights.affine(norm);
        ops::affine_relu(x, vector(&scale, &self.device), vector(&shift, &self.device))
    }

    fn add(&mut self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        a + b
    }
}

pub(crate) fn vector(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}
