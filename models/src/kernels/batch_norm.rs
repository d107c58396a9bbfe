//! Batch normalisation in training mode with the ReLU after it, forward and backward, over rows of channels.
//!
//! The normalised values are not kept: the backward pass computes them again from the input, which the tape holds
//! anyway. Running statistics are the caller's affair.

use pulp::Arch;

use super::buffers;
use super::gather::{BLOCK, window};

/// Rows summed in single precision before the sum goes to double precision.
const ROWS_PER_SUM: usize = 1024;

/// What the forward pass computes.
#[derive(Debug)]
pub(super) struct Normalised {
    /// ReLU of the normalised, scaled and shifted input, `[rows, channels]`.
    pub(super) output: Vec<f32>,
    pub(super) mean: Vec<f32>,
    /// Biased: the squares are divided by the number of rows.
    pub(super) variance: Vec<f32>,
}

/// Gradients of the input, of gamma and of beta.
#[derive(Debug)]
pub(super) struct Gradients {
    pub(super) input: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
}

/// Normalises each column of `input`, `[rows, channels]`, where gamma and beta are one value per channel.
pub(super) fn batch_norm_forward(input: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> Normalised {
    let channels = gamma.len();
    let mut result =
        Normalised { output: buffers::take(input.len()), mean: vec![0.0; channels], variance: vec![0.0; channels] };
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let whole = channels / BLOCK * BLOCK;
            for first in (0..whole).step_by(BLOCK) {
                forward_block::<BLOCK>(input, gamma, beta, epsilon, first, &mut result);
            }
            for first in whole..channels {
                forward_block::<1>(input, gamma, beta, epsilon, first, &mut result);
            }
        },
    );
    result
}

/// The backward pass: gradients given that of the output, and the statistics the forward pass returned.
pub(super) fn batch_norm_backward(
    input: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    statistics: [&[f32]; 2],
    output_gradient: &[f32],
) -> Gradients {
    let channels = gamma.len();
    let mut result =
        Gradients { input: buffers::take(input.len()), gamma: vec![0.0; channels], beta: vec![0.0; channels] };
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let whole = channels / BLOCK * BLOCK;
            for first in (0..whole).step_by(BLOCK) {
                let affine = Affine::<BLOCK>::new(gamma, beta, epsilon, statistics, first);
                affine.backward(input, output_gradient, channels, first, &mut result);
            }
            for first in whole..channels {
                let affine = Affine::<1>::new(gamma, beta, epsilon, statistics, first);
                affine.backward(input, output_gradient, channels, first, &mut result);
            }
        },
    );
    result
}

#[inline(always)]
fn forward_block<const B: usize>(
    input: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    first: usize,
    result: &mut Normalised,
) {
    let channels = gamma.len();
    let (mean, variance) = statistics::<B>(input, channels, first);
    result.mean[first..first + B].copy_from_slice(&mean);
    result.variance[first..first + B].copy_from_slice(&variance);
    let affine = Affine::<B>::new(gamma, beta, epsilon, [&result.mean, &result.variance], first);
    for (to, from) in result.output.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
        let from: &[f32; B] = window(from, first);
        let to = &mut to[first..first + B];
        for b in 0..B {
            to[b] = affine.rescale(affine.normalise(from[b], b), b).max(0.0);
        }
    }
}

/// Mean and biased variance of `B` columns, by sums around the first row (which keeps the squares small).
#[inline(always)]
fn statistics<const B: usize>(input: &[f32], channels: usize, first: usize) -> ([f32; B], [f32; B]) {
    let pivot: [f32; B] = *window(input, first);
    let mut sum = [0.0_f64; B];
    let mut squares = [0.0_f64; B];
    for rows in input.chunks(ROWS_PER_SUM * channels) {
        let mut part = [0.0_f32; B];
        let mut part_squares = [0.0_f32; B];
        for row in rows.chunks_exact(channels) {
            let row: &[f32; B] = window(row, first);
            for b in 0..B {
                let difference = row[b] - pivot[b];
                part[b] += difference;
                part_squares[b] += difference * difference;
            }
        }
        for b in 0..B {
            sum[b] += f64::from(part[b]);
            squares[b] += f64::from(part_squares[b]);
        }
    }
    let rows = count(input, channels);
    let mut mean = [0.0; B];
    let mut variance = [0.0; B];
    for b in 0..B {
        let shift = sum[b] / rows;
        mean[b] = single(f64::from(pivot[b]) + shift);
        variance[b] = single((squares[b] / rows - shift * shift).max(0.0));
    }
    (mean, variance)
}

/// Normalisation, scale and shift of `B` channels.
struct Affine<const B: usize> {
    mean: [f32; B],
    /// 1 ÷ standard deviation.
    inverse: [f32; B],
    gamma: [f32; B],
    beta: [f32; B],
}

impl<const B: usize> Affine<B> {
    #[inline(always)]
    fn new(gamma: &[f32], beta: &[f32], epsilon: f32, [mean, variance]: [&[f32]; 2], first: usize) -> Self {
        let mut inverse: [f32; B] = *window(variance, first);
        for value in &mut inverse {
            *value = 1.0 / (*value + epsilon).sqrt();
        }
        Self { mean: *window(mean, first), inverse, gamma: *window(gamma, first), beta: *window(beta, first) }
    }

    /// The normalised value.
    #[inline(always)]
    fn normalise(&self, value: f32, b: usize) -> f32 {
        (value - self.mean[b]) * self.inverse[b]
    }

    /// What goes into the ReLU, given the normalised value.
    #[inline(always)]
    fn rescale(&self, normalised: f32, b: usize) -> f32 {
        normalised * self.gamma[b] + self.beta[b]
    }

    #[inline(always)]
    fn backward(&self, input: &[f32], gradient: &[f32], channels: usize, first: usize, result: &mut Gradients) {
        let (gamma, beta) = self.parameter_gradients(input, gradient, channels, first);
        result.gamma[first..first + B].copy_from_slice(&gamma);
        result.beta[first..first + B].copy_from_slice(&beta);
        let share = single(1.0 / count(input, channels));
        let scale: [f32; B] = std::array::from_fn(|b| self.gamma[b] * self.inverse[b]);
        let rows = input.chunks_exact(channels).zip(gradient.chunks_exact(channels));
        for (to, (value, gradient)) in result.input.chunks_exact_mut(channels).zip(rows) {
            let value: &[f32; B] = window(value, first);
            let gradient: &[f32; B] = window(gradient, first);
            let mut row = [0.0; B];
            for b in 0..B {
                let normalised = self.normalise(value[b], b);
                let passed = gradient[b] * step(self.rescale(normalised, b));
                row[b] = scale[b] * (passed - (beta[b] + normalised * gamma[b]) * share);
            }
            to[first..first + B].copy_from_slice(&row);
        }
    }

    /// Gradients of gamma and beta: sums of what passes the ReLU, with and without the normalised value as a factor.
    #[inline(always)]
    fn parameter_gradients(
        &self,
        input: &[f32],
        gradient: &[f32],
        channels: usize,
        first: usize,
    ) -> ([f32; B], [f32; B]) {
        let mut gamma = [0.0_f64; B];
        let mut beta = [0.0_f64; B];
        let chunk = ROWS_PER_SUM * channels;
        for (values, gradients) in input.chunks(chunk).zip(gradient.chunks(chunk)) {
            let mut part_gamma = [0.0_f32; B];
            let mut part_beta = [0.0_f32; B];
            for (value, gradient) in values.chunks_exact(channels).zip(gradients.chunks_exact(channels)) {
                let value: &[f32; B] = window(value, first);
                let gradient: &[f32; B] = window(gradient, first);
                for b in 0..B {
                    let normalised = self.normalise(value[b], b);
                    let passed = gradient[b] * step(self.rescale(normalised, b));
                    part_gamma[b] += passed * normalised;
                    part_beta[b] += passed;
                }
            }
            for b in 0..B {
                gamma[b] += f64::from(part_gamma[b]);
                beta[b] += f64::from(part_beta[b]);
            }
        }
        (gamma.map(single), beta.map(single))
    }
}

/// Slope of the ReLU; a factor rather than a branch, so that the loops become vector instructions.
#[inline(always)]
fn step(value: f32) -> f32 {
    if value > 0.0 { 1.0 } else { 0.0 }
}

/// Rows of the input, as a divisor.
#[inline(always)]
fn count(input: &[f32], channels: usize) -> f64 {
    (input.len() / channels) as f64
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a sum was taken in double precision to be rounded once")]
fn single(value: f64) -> f32 {
    value as f32
}
