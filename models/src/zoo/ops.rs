//! The few tensor operations a student is made of, and the only place that knows how its maps lie in memory.
//!
//! Here: `[N, C, H, W]`, burn's own operations.

use burn::tensor::activation::relu;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};

use super::weights::NORM_EPSILON;

/// A batch of maps from numbers that lie as `[N, C, H, W]`.
pub(crate) fn maps(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Weights of a convolution, `[outputs, inputs, kernel, kernel]`, padded by half the kernel.
pub(crate) fn conv2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    let padding = weight.dims()[2] / 2;
    module::conv2d(x, weight, None, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1))
}

/// Batch norm with the batch's own statistics, then ReLU: the result, and the batch's mean and variance.
pub(crate) fn batch_norm_relu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let normed = module::batch_norm_train(x, gamma, beta, f64::from(NORM_EPSILON));
    (relu(normed.output), normed.mean, normed.variance)
}

/// `relu(scale · x + shift)` per channel.
pub(crate) fn affine_relu(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>) -> Tensor<4> {
    let channels = scale.dims()[0];
    let shape = [1, channels, 1, 1];
    relu(x * scale.reshape(shape) + shift.reshape(shape))
}

/// Global average: `[N, C]`.
pub(crate) fn pool(x: Tensor<4>) -> Tensor<2> {
    let [images, channels, _, _] = x.dims();
    module::adaptive_avg_pool2d(x, [1, 1]).reshape([images, channels])
}

/// Adaptive average to a smaller `[H, W]`.
pub(crate) fn shrink(x: Tensor<4>, extent: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if extent == [height, width] { x } else { module::adaptive_avg_pool2d(x, extent) }
}

/// A tensor's numbers, in its logical order.
pub(crate) fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.try_into_vec_as().expect("a tensor of f32 on the CPU can be read")
}
