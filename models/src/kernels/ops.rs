//! The kernels as an extension of burn's CPU backend, without gradients (those are in [`super::tape`]).

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::TensorData;

use super::batch_norm::batch_norm_forward;
use super::conv_forward::conv_forward;
use super::geometry::Geometry;

/// Operations on `[batch, height, width, channels]` that this crate adds to burn's backends; see the functions of the
/// same names in [`crate::kernels`].
#[backend_extension(Autodiff, Flex)]
pub trait KernelOps: Backend {
    /// Convolution without bias.
    fn conv2d(input: FloatTensor<Self>, weight: FloatTensor<Self>, stride: [usize; 2]) -> FloatTensor<Self>;

    /// Batch normalisation and ReLU: output, mean, biased variance.
    fn batch_norm_relu(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl KernelOps for Flex {
    fn conv2d(input: FloatTensor<Self>, weight: FloatTensor<Self>, stride: [usize; 2]) -> FloatTensor<Self> {
        let geometry = Geometry::new(dims(&input), dims(&weight), stride);
        let (input, weight) = (input.to_contiguous(), weight.to_contiguous());
        let output = conv_forward(&geometry, values(&input), values(&weight));
        let [height, width] = geometry.output();
        tensor(output, [geometry.batch, height, width, geometry.out_channels])
    }

    fn batch_norm_relu(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let shape: [usize; 4] = dims(&input);
        let channels = shape[3];
        assert_eq!([channels; 2], [dims::<1>(&gamma)[0], dims::<1>(&beta)[0]], "batch_norm_relu: channels differ");
        let (input, gamma, beta) = (input.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous());
        let result = batch_norm_forward(values(&input), values(&gamma), values(&beta), single(epsilon));
        (tensor(result.output, shape), tensor(result.mean, [channels]), tensor(result.variance, [channels]))
    }
}

/// The sizes of a tensor whose rank the caller fixed.
pub(super) fn dims<const D: usize>(tensor: &FloatTensor<Flex>) -> [usize; D] {
    tensor.shape().dims()
}

/// The values of a contiguous tensor.
pub(super) fn values(tensor: &FloatTensor<Flex>) -> &[f32] {
    tensor.as_slice().expect("the training kernels take contiguous f32 tensors")
}

/// A tensor that takes over the values.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, dims: [usize; D]) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, dims))
}

/// Burn passes scalars in double precision; the tensors are in single.
#[expect(clippy::cast_possible_truncation, reason = "a small constant, which the kernels use in single precision")]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}
