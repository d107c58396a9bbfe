//! Convolution, gradient of the input: windows of the padded output gradient gathered into input pixels.
//!
//! With stride 2 input pixels of even and odd position meet different taps of the kernel. Each such phase is a small
//! convolution of its own, so no multiplication with an inserted zero is ever done.

use pulp::Arch;

use super::buffers;
use super::gather::{BLOCK, Gather, Pixels};
use super::geometry::{Geometry, PaddedImage};

/// The pixels of one phase, and the part of the kernel they meet.
struct Phase {
    pixels: Pixels,
    runs: usize,
    run_length: usize,
    weights: Vec<f32>,
}

/// `[batch, height', width', out]` and `[out, in, kernel height, kernel width]` to `[batch, height, width, in]`.
pub(super) fn conv_input_gradient(geometry: &Geometry, output_gradient: &[f32], weight: &[f32]) -> Vec<f32> {
    let g = geometry;
    let [height, width] = g.output();
    let mut padded = PaddedImage::new(g.output(), g.out_channels, g.halo());
    let run_pitch = padded.row_pitch();
    let phases: Vec<Phase> = (0..g.stride[0])
        .flat_map(|row| (0..g.stride[1]).map(move |column| [row, column]))
        .filter_map(|phase| Phase::new(g, phase, run_pitch, weight))
        .collect();
    let mut gradient = buffers::take(g.batch * g.input[0] * g.input[1] * g.in_channels);
    if phases.len() < g.stride[0] * g.stride[1] {
        gradient.fill(0.0);
    }
    let arch = Arch::new();
    let images = output_gradient.chunks_exact(height * width * g.out_channels);
    for (image, target) in images.zip(gradient.chunks_exact_mut(g.input[0] * g.input[1] * g.in_channels)) {
        let source = padded.fill(image);
        for phase in &phases {
            arch.dispatch(Gather {
                source,
                target: &mut *target,
                pixels: &phase.pixels,
                runs: phase.runs,
                run_length: phase.run_length,
                run_pitch,
                weights: &phase.weights,
                target_channels: g.in_channels,
            });
        }
    }
    gradient
}

impl Phase {
    /// `None` if no pixel has this phase, or none of its pixels meets the kernel (their gradient is zero).
    fn new(g: &Geometry, phase: [usize; 2], run_pitch: usize, weight: &[f32]) -> Option<Self> {
        let (rows, columns) = (g.taps(0, phase[0]), g.taps(1, phase[1]));
        let start = [g.first_met(0, phase[0], *rows.first()?), g.first_met(1, phase[1], *columns.first()?)];
        let mut pixels = Pixels::default();
        for (i, row) in (phase[0]..g.input[0]).step_by(g.stride[0]).enumerate() {
            for (j, column) in (phase[1]..g.input[1]).step_by(g.stride[1]).enumerate() {
                let source = (start[0] + i) * run_pitch + (start[1] + j) * g.out_channels;
                pixels.push(source, (row * g.input[1] + column) * g.in_channels);
            }
        }
        if pixels.sources.is_empty() {
            return None;
        }
        let weights = pack(g, &rows, &columns, weight);
        Some(Self { pixels, runs: rows.len(), run_length: columns.len() * g.out_channels, weights })
    }
}

/// `[block of in, tap row, tap column, out, BLOCK]`.
fn pack(g: &Geometry, rows: &[usize], columns: &[usize], weight: &[f32]) -> Vec<f32> {
    let mut packed = Vec::new();
    for block in (0..g.in_channels).step_by(BLOCK) {
        for &row in rows {
            for &column in columns {
                for out in 0..g.out_channels {
                    packed.extend((block..block + BLOCK).map(|channel| {
                        if channel < g.in_channels { weight[g.weight_index(out, channel, row, column)] } else { 0.0 }
                    }));
                }
            }
        }
    }
    packed
}
