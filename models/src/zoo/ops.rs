//! The few tensor operations a student is made of, and the only place that knows how its maps lie in memory.
//!
//! Here: `[N, H, W, C]`, which [`crate::kernels`] are made for.

use burn::tensor::activation::relu;
use burn::tensor::module;
use burn::tensor::{Device, Tensor, TensorData};

use super::weights::NORM_EPSILON;
use crate::kernels;

/// A batch of maps from numbers that lie as `[N, C, H, W]`.
pub(crate) fn maps(values: Vec<f32>, [images, channels, height, width]: [usize; 4], device: &Device) -> Tensor<4> {
    let positions = height * width;
    let mut swapped = vec![0.0; values.len()];
    let size = channels * positions;
    for (to, from) in swapped.chunks_exact_mut(size).zip(values.chunks_exact(size)) {
        for (channel, plane) in from.chunks_exact(positions).enumerate() {
            for (pixel, value) in to.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = *value;
            }
        }
    }
    Tensor::from_data(TensorData::new(swapped, [images, height, width, channels]), device)
}

/// Weights of a convolution, `[outputs, inputs, kernel, kernel]`, padded by half the kernel.
pub(crate) fn conv2d(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    kernels::conv2d(x, weight, [stride; 2])
}

/// Batch norm with the batch's own statistics, then ReLU: the result, and the batch's mean and variance.
pub(crate) fn batch_norm_relu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    kernels::batch_norm_relu(x, gamma, beta, f64::from(NORM_EPSILON))
}

/// `relu(scale · x + shift)` per channel.
pub(crate) fn affine_relu(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>) -> Tensor<4> {
    let shape = [1, 1, 1, scale.dims()[0]];
    relu(x * scale.reshape(shape) + shift.reshape(shape))
}

/// Global average: `[N, C]`.
pub(crate) fn pool(x: Tensor<4>) -> Tensor<2> {
    let [images, height, width, channels] = x.dims();
    x.reshape([images, height * width, channels]).mean_dim(1).reshape([images, channels])
}

/// Adaptive average to a smaller `[H, W]`.
pub(crate) fn shrink(x: Tensor<4>, extent: [usize; 2]) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    if extent == [height, width] {
        return x;
    }
    module::adaptive_avg_pool2d(x.permute([0, 3, 1, 2]), extent).permute([0, 2, 3, 1])
}

/// A tensor's numbers, in its logical order.
pub(crate) fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.try_into_vec_as().expect("a tensor of f32 on the CPU can be read")
}
