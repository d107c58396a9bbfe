//! Convolution, gradient of the weight: a sum over all pixels of window value × vector of output gradients.

use pulp::{Arch, Simd, WithSimd};

use super::gather::{BLOCK, window};
use super::geometry::{Geometry, PaddedImage};

/// `[batch, height, width, in]` and `[batch, height', width', out]` to `[out, in, kernel height, kernel width]`.
pub(super) fn conv_weight_gradient(geometry: &Geometry, input: &[f32], output_gradient: &[f32]) -> Vec<f32> {
    let g = geometry;
    let [height, width] = g.output();
    let mut padded = PaddedImage::new(g.input, g.in_channels, g.halo());
    let mut blocks = PaddedChannels::new(height * width, g.out_channels);
    let (runs, run_length) = (g.kernel_rows().len(), g.kernel[1] * g.in_channels);
    let mut sums = vec![0.0; runs * run_length * blocks.padded_channels()];
    let arch = Arch::new();
    let gradients = output_gradient.chunks_exact(height * width * g.out_channels);
    for (image, gradient) in input.chunks_exact(g.input[0] * g.input[1] * g.in_channels).zip(gradients) {
        let row_pitch = padded.row_pitch();
        arch.dispatch(Correlate {
            input: padded.fill(image),
            row_pitch,
            row_step: g.stride[0] * row_pitch,
            column_step: g.stride[1] * g.in_channels,
            gradient: blocks.fill(gradient),
            width,
            channels: g.out_channels.next_multiple_of(BLOCK),
            run_length,
            sums: &mut sums,
        });
    }
    unpack(g, &sums)
}

/// `[kernel row, kernel column, in, padded out]` to `[out, in, kernel height, kernel width]`.
fn unpack(g: &Geometry, sums: &[f32]) -> Vec<f32> {
    let mut gradient = vec![0.0; g.out_channels * g.in_channels * g.kernel[0] * g.kernel[1]];
    let mut vectors = sums.chunks_exact(g.out_channels.next_multiple_of(BLOCK));
    for row in g.kernel_rows() {
        for column in 0..g.kernel[1] {
            for (channel, vector) in (0..g.in_channels).zip(&mut vectors) {
                for (out, &sum) in vector[..g.out_channels].iter().enumerate() {
                    gradient[g.weight_index(out, channel, row, column)] = sum;
                }
            }
        }
    }
    gradient
}

/// An image whose channels are filled up with zeros to whole blocks, unless they are whole already.
struct PaddedChannels {
    channels: usize,
    pixels: Vec<f32>,
}

impl PaddedChannels {
    fn new(pixels: usize, channels: usize) -> Self {
        let padded = channels.next_multiple_of(BLOCK);
        Self { channels, pixels: vec![0.0; if padded == channels { 0 } else { pixels * padded }] }
    }

    fn padded_channels(&self) -> usize {
        self.channels.next_multiple_of(BLOCK)
    }

    fn fill<'a>(&'a mut self, image: &'a [f32]) -> &'a [f32] {
        if self.pixels.is_empty() {
            return image;
        }
        let padded = self.padded_channels();
        for (to, from) in self.pixels.chunks_exact_mut(padded).zip(image.chunks_exact(self.channels)) {
            to[..from.len()].copy_from_slice(from);
        }
        &self.pixels
    }
}

/// One image's worth of work: adds to `sums`, `[kernel row, value of the run, channels]`.
struct Correlate<'a> {
    input: &'a [f32],
    row_pitch: usize,
    /// From the window of one output pixel to that of the pixel below.
    row_step: usize,
    /// From the window of one output pixel to that of the next in its row.
    column_step: usize,
    /// `[height, width, channels]`.
    gradient: &'a [f32],
    width: usize,
    /// A multiple of [`BLOCK`].
    channels: usize,
    run_length: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Window values × registers per block: as many sums as the architecture's registers hold.
        match S::F32_LANES {
            16 => self.run::<S, 16, 1>(simd),
            8 => self.run::<S, 6, 2>(simd),
            4 => self.run::<S, 4, 4>(simd),
            _ => self.run::<S, 1, BLOCK>(simd),
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn run<S: Simd, const J: usize, const V: usize>(self, simd: S) {
        let Self { input, row_pitch, row_step, column_step, gradient, width, channels, run_length, sums } = self;
        let (gradient, _) = S::as_simd_f32s(gradient);
        let (sums, _) = S::as_mut_simd_f32s(sums);
        let pixels = Windows { input, row_step, column_step, gradient, width, channels: channels / BLOCK * V };
        let whole = run_length / J * J;
        for (run, sums) in sums.chunks_exact_mut(run_length * pixels.channels).enumerate() {
            let (tiles, rest) = sums.split_at_mut(whole * pixels.channels);
            for (tile, sums) in tiles.chunks_exact_mut(J * pixels.channels).enumerate() {
                pixels.add::<S, J, V>(simd, run * row_pitch + tile * J, sums);
            }
            for (value, sums) in rest.chunks_exact_mut(pixels.channels).enumerate() {
                pixels.add::<S, 1, V>(simd, run * row_pitch + whole + value, sums);
            }
        }
    }
}

/// The windows of an image beside the output gradients at their pixels.
struct Windows<'a, F> {
    input: &'a [f32],
    row_step: usize,
    column_step: usize,
    gradient: &'a [F],
    width: usize,
    /// Registers per pixel of the gradient.
    channels: usize,
}

impl<F: Copy> Windows<'_, F> {
    /// Adds to `sums`, `[J, channels]`, what the `J` window values from `offset` on contribute.
    #[inline(always)]
    fn add<S: Simd<f32s = F>, const J: usize, const V: usize>(&self, simd: S, offset: usize, sums: &mut [F]) {
        for block in (0..self.channels).step_by(V) {
            let mut tile = [[simd.splat_f32s(0.0); V]; J];
            for (row, gradients) in self.gradient.chunks_exact(self.width * self.channels).enumerate() {
                let mut start = offset + row * self.row_step;
                for gradient in gradients.chunks_exact(self.channels) {
                    let values: &[f32; J] = window(self.input, start);
                    let gradient: &[F] = &gradient[block..block + V];
                    for j in 0..J {
                        let value = simd.splat_f32s(values[j]);
                        for v in 0..V {
                            tile[j][v] = simd.mul_add_e_f32s(value, gradient[v], tile[j][v]);
                        }
                    }
                    start += self.column_step;
                }
            }
            for j in 0..J {
                for v in 0..V {
                    let sum = &mut sums[j * self.channels + block + v];
                    *sum = simd.add_f32s(*sum, tile[j][v]);
                }
            }
        }
    }
}
