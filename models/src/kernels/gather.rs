//! The kernel under the forward pass and the gradient of the input: every output pixel is a sum, over the values of a
//! window of the source image, of value × a vector of weights.
//!
//! It does not know about strides or padding: the caller lists where each window starts and where its result goes.

use pulp::{Simd, WithSimd};

/// Output channels computed together: one AVX-512 register, two of AVX2, four of NEON.
pub(super) const BLOCK: usize = 16;

/// Window values read per step of the inner loop; the loop over them is unrolled.
const STEP: usize = 16;

/// Where windows start in the source and where their results go in the target, pixel by pixel.
#[derive(Debug, Clone, Default)]
pub(super) struct Pixels {
    pub(super) sources: Vec<usize>,
    pub(super) targets: Vec<usize>,
}

impl Pixels {
    pub(super) fn push(&mut self, source: usize, target: usize) {
        self.sources.push(source);
        self.targets.push(target);
    }
}

/// One image's worth of work.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    pub(super) source: &'a [f32],
    pub(super) target: &'a mut [f32],
    pub(super) pixels: &'a Pixels,
    /// A window is this many runs of consecutive values …
    pub(super) runs: usize,
    /// … of this length …
    pub(super) run_length: usize,
    /// … and this far apart.
    pub(super) run_pitch: usize,
    /// `[block of target channels, run, value of the run, BLOCK]`, the last block filled up with zeros.
    pub(super) weights: &'a [f32],
    pub(super) target_channels: usize,
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Pixels × registers per block: as many sums as the architecture's registers hold beside a weight and a value.
        match S::F32_LANES {
            16 => self.run::<S, 8, 1>(simd),
            8 => self.run::<S, 6, 2>(simd),
            4 => self.run::<S, 4, 4>(simd),
            _ => self.run::<S, 1, BLOCK>(simd),
        }
    }
}

impl Gather<'_> {
    #[inline(always)]
    fn run<S: Simd, const P: usize, const V: usize>(self, simd: S) {
        let block_weights = self.runs * self.run_length * BLOCK;
        for (block, weights) in self.weights.chunks_exact(block_weights).enumerate() {
            let (weights, _) = S::as_simd_f32s(weights);
            let first = block * BLOCK;
            let width = BLOCK.min(self.target_channels - first);
            let mut start = 0;
            while start < self.pixels.sources.len() {
                // The last tile overlaps the one before rather than being smaller; fewer pixels than a tile repeat.
                let pixel: [usize; P] = tile(start, self.pixels.sources.len());
                let mut sources = [0; P];
                for p in 0..P {
                    sources[p] = self.pixels.sources[pixel[p]];
                }
                let mut sums = [[simd.splat_f32s(0.0); V]; P];
                for run in 0..self.runs {
                    let weights = &weights[run * self.run_length * V..][..self.run_length * V];
                    sums = self.add_run::<S, P, V>(simd, &sources, run * self.run_pitch, weights, sums);
                }
                for p in 0..P {
                    let target = self.pixels.targets[pixel[p]] + first;
                    store::<S, V>(&sums[p], &mut self.target[target..target + width]);
                }
                start += P;
            }
        }
    }

    #[inline(always)]
    fn add_run<S: Simd, const P: usize, const V: usize>(
        &self,
        simd: S,
        sources: &[usize; P],
        offset: usize,
        weights: &[S::f32s],
        mut sums: [[S::f32s; V]; P],
    ) -> [[S::f32s; V]; P] {
        let whole = self.run_length / STEP * STEP;
        let (steps, rest) = weights.split_at(whole * V);
        for (step, weights) in steps.chunks_exact(STEP * V).enumerate() {
            sums = self.add_step::<S, P, V, STEP>(simd, sources, offset + step * STEP, weights, sums);
        }
        for (step, weights) in rest.chunks_exact(V).enumerate() {
            sums = self.add_step::<S, P, V, 1>(simd, sources, offset + whole + step, weights, sums);
        }
        sums
    }

    #[inline(always)]
    fn add_step<S: Simd, const P: usize, const V: usize, const N: usize>(
        &self,
        simd: S,
        sources: &[usize; P],
        offset: usize,
        weights: &[S::f32s],
        mut sums: [[S::f32s; V]; P],
    ) -> [[S::f32s; V]; P] {
        let mut values = [&[0.0; N]; P];
        for p in 0..P {
            values[p] = window(self.source, sources[p] + offset);
        }
        for (n, weights) in weights.chunks_exact(V).enumerate().take(N) {
            for p in 0..P {
                let value = simd.splat_f32s(values[p][n]);
                for v in 0..V {
                    sums[p][v] = simd.mul_add_e_f32s(value, weights[v], sums[p][v]);
                }
            }
        }
        sums
    }
}

/// Numbers of the pixels of a tile.
#[inline(always)]
fn tile<const P: usize>(start: usize, count: usize) -> [usize; P] {
    let start = start.min(count.saturating_sub(P));
    let mut pixel = [0; P];
    for (p, pixel) in pixel.iter_mut().enumerate() {
        *pixel = (start + p).min(count - 1);
    }
    pixel
}

/// `N` values from `start` on, as an array, so that reading them needs no further check.
#[inline(always)]
pub(super) fn window<const N: usize>(values: &[f32], start: usize) -> &[f32; N] {
    values[start..].first_chunk().expect("a window lies inside its padded image")
}

/// Writes a block of sums, of which the target may want only the first.
#[inline(always)]
fn store<S: Simd, const V: usize>(sums: &[S::f32s; V], target: &mut [f32]) {
    if target.len() == BLOCK {
        let (vectors, _) = S::as_mut_simd_f32s(target);
        for (vector, &sum) in vectors.iter_mut().zip(sums) {
            *vector = sum;
        }
    } else {
        let mut whole = [0.0; BLOCK];
        let (vectors, _) = S::as_mut_simd_f32s(&mut whole);
        for (vector, &sum) in vectors.iter_mut().zip(sums) {
            *vector = sum;
        }
        target.copy_from_slice(&whole[..target.len()]);
    }
}
