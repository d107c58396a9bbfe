//! Training kernels for the CPU: convolution and batch normalisation with ReLU on `[batch, height, width, channels]`.
//!
//! Burn's own CPU convolution spends most of a training step on rearranging small images for a matrix product. With the
//! channels innermost the small residual networks of the zoo need no rearranging, and these kernels come close to the
//! processor's peak on one thread. They are ordinary operations on burn's autodiff tape and run on the calling thread
//! only: students train side by side.
//!
//! Deliberately not here: other devices than the CPU (`Flex`), other number types than `f32`, kernels other than 3×3
//! and 1×1, anything for inference (tract runs the students). The methods are textbook direct convolution; the code is
//! ours. Vector instructions come from `pulp`, chosen when the program runs.

mod batch_norm;
mod buffers;
mod conv_forward;
mod conv_input;
mod conv_weight;
mod gather;
mod geometry;
mod ops;
mod tape;
#[cfg(test)]
mod tests;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

pub use ops::KernelOps;

/// Convolution of `input`, `[batch, height, width, in]`, with `weight`, `[out, in, kernel height, kernel width]`.
///
/// Returns `[batch, height', width', out]`. The kernel is 3×3 with one pixel of zero padding or 1×1 without; `stride`
/// is 1 or 2 for height and width each. No bias. Gradients flow to both tensors that ask for them.
///
/// # Panics
/// If the channels differ, the kernel or stride is another, the tensors are not `f32`, or the device is not the CPU.
#[must_use]
pub fn conv2d(input: Tensor<4>, weight: Tensor<4>, stride: [usize; 2]) -> Tensor<4> {
    let output = <Dispatch as KernelOps>::conv2d(input.into_dispatch(), weight.into_dispatch(), stride);
    Tensor::from_dispatch(output)
}

/// Batch normalisation by the batch's own statistics, then ReLU, of `input`, `[batch, height, width, channels]`.
///
/// `gamma` and `beta` are the scale and shift, `[channels]`. Returns the output and, detached from the tape, the mean
/// and the biased variance of each channel, for running statistics.
///
/// # Panics
/// If the channels differ, the tensors are not `f32`, or the device is not the CPU.
#[must_use]
pub fn batch_norm_relu(
    input: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let (output, mean, variance) = <Dispatch as KernelOps>::batch_norm_relu(
        input.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}
