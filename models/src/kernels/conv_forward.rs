//! Convolution, forward: windows of the padded input image gathered into output pixels.

use pulp::Arch;

use super::buffers;
use super::gather::{BLOCK, Gather, Pixels};
use super::geometry::{Geometry, PaddedImage};

/// `[batch, height, width, in]` and `[out, in, kernel height, kernel width]` to `[batch, height', width', out]`.
pub(super) fn conv_forward(geometry: &Geometry, input: &[f32], weight: &[f32]) -> Vec<f32> {
    let g = geometry;
    let [height, width] = g.output();
    let mut padded = PaddedImage::new(g.input, g.in_channels, g.halo());
    let run_pitch = padded.row_pitch();
    let mut pixels = Pixels::default();
    for row in 0..height {
        for column in 0..width {
            let source = row * g.stride[0] * run_pitch + column * g.stride[1] * g.in_channels;
            pixels.push(source, (row * width + column) * g.out_channels);
        }
    }
    let weights = pack(g, weight);
    let mut output = buffers::take(g.batch * height * width * g.out_channels);
    let arch = Arch::new();
    let inputs = input.chunks_exact(g.input[0] * g.input[1] * g.in_channels);
    for (image, target) in inputs.zip(output.chunks_exact_mut(height * width * g.out_channels)) {
        arch.dispatch(Gather {
            source: padded.fill(image),
            target,
            pixels: &pixels,
            runs: g.kernel_rows().len(),
            run_length: g.kernel[1] * g.in_channels,
            run_pitch,
            weights: &weights,
            target_channels: g.out_channels,
        });
    }
    output
}

/// `[block of out, kernel row, kernel column, in, BLOCK]`.
fn pack(g: &Geometry, weight: &[f32]) -> Vec<f32> {
    let mut packed = Vec::with_capacity(weight.len().next_multiple_of(BLOCK));
    for block in (0..g.out_channels).step_by(BLOCK) {
        for row in g.kernel_rows() {
            for column in 0..g.kernel[1] {
                for channel in 0..g.in_channels {
                    packed.extend((block..block + BLOCK).map(|out| {
                        if out < g.out_channels { weight[g.weight_index(out, channel, row, column)] } else { 0.0 }
                    }));
                }
            }
        }
    }
    packed
}
