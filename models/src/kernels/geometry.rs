//! The sizes of one convolution, and what follows from them.
//!
//! Only what this crate trains is covered: square 3×3 kernels with one pixel of zero padding and 1×1 kernels without,
//! each with stride 1 or 2 per axis. No dilation, no groups, no bias.

use std::ops::Range;

/// The sizes of one convolution. Images are `[batch, height, width, channels]`, weights `[out, in, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    /// Height and width of an input image.
    pub(super) input: [usize; 2],
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    /// Height and width of the kernel.
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
}

impl Geometry {
    /// Reads the sizes off the dimensions of the input and of the weight.
    ///
    /// # Panics
    /// If the channels of the two differ, or kernel or stride are not among those covered.
    pub(super) fn new(input: [usize; 4], weight: [usize; 4], stride: [usize; 2]) -> Self {
        let [batch, height, width, in_channels] = input;
        let [out_channels, weight_in, kernel_height, kernel_width] = weight;
        assert_eq!(in_channels, weight_in, "conv2d: the input has {in_channels} channels, the weight {weight_in}");
        let kernel = [kernel_height, kernel_width];
        assert!(kernel == [1, 1] || kernel == [3, 3], "conv2d: kernel {kernel:?} is neither 1×1 nor 3×3");
        assert!(stride.iter().all(|s| [1, 2].contains(s)), "conv2d: stride {stride:?} is neither 1 nor 2");
        assert!(input.iter().all(|&size| size > 0) && out_channels > 0, "conv2d: empty input {input:?} or weight");
        Self { batch, input: [height, width], in_channels, out_channels, kernel, stride }
    }

    /// Zero padding on each side: as many pixels as keep the size at stride 1.
    fn padding(&self) -> [usize; 2] {
        self.kernel.map(|size| size / 2)
    }

    /// Height and width of an output image.
    pub(super) fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.input[axis] - 1) / self.stride[axis] + 1)
    }

    /// Kernel rows that ever meet data: images one pixel high (series) touch only the middle one.
    pub(super) fn kernel_rows(&self) -> Range<usize> {
        if self.input[0] == 1 { self.padding()[0]..self.padding()[0] + 1 } else { 0..self.kernel[0] }
    }

    /// Zero pixels to put around an image so that no window of [`Self::kernel_rows`] leaves it.
    pub(super) fn halo(&self) -> [usize; 2] {
        [self.padding()[0] - self.kernel_rows().start, self.padding()[1]]
    }

    /// Kernel rows and columns with which an input pixel of the given phase (its position modulo the stride) meets
    /// output pixels, in the order of those output pixels, which are neighbours.
    pub(super) fn taps(&self, axis: usize, phase: usize) -> Vec<usize> {
        let range = if axis == 0 { self.kernel_rows() } else { 0..self.kernel[1] };
        let position = phase + self.padding()[axis];
        range.rev().filter(|tap| position % self.stride[axis] == tap % self.stride[axis]).collect()
    }

    /// Where the first of [`Self::taps`] meets the output, for the first input pixel of the phase; counted from the
    /// start of the output's halo.
    pub(super) fn first_met(&self, axis: usize, phase: usize, first_tap: usize) -> usize {
        let ahead = phase + self.padding()[axis] + self.halo()[axis] * self.stride[axis];
        (ahead - first_tap) / self.stride[axis]
    }

    /// Place of one weight in the `[out, in, height, width]` array.
    pub(super) fn weight_index(&self, out: usize, channel: usize, row: usize, column: usize) -> usize {
        ((out * self.in_channels + channel) * self.kernel[0] + row) * self.kernel[1] + column
    }
}

/// One image with its halo of zeros, reused for image after image.
#[derive(Debug)]
pub(super) struct PaddedImage {
    size: [usize; 2],
    channels: usize,
    halo: [usize; 2],
    pixels: Vec<f32>,
}

impl PaddedImage {
    pub(super) fn new(size: [usize; 2], channels: usize, halo: [usize; 2]) -> Self {
        let pixels = vec![0.0; (size[0] + 2 * halo[0]) * (size[1] + 2 * halo[1]) * channels];
        Self { size, channels, halo, pixels }
    }

    /// Values from one row to the next.
    pub(super) fn row_pitch(&self) -> usize {
        (self.size[1] + 2 * self.halo[1]) * self.channels
    }

    /// Puts another image inside the halo.
    pub(super) fn fill(&mut self, image: &[f32]) -> &[f32] {
        let (row, pitch) = (self.size[1] * self.channels, self.row_pitch());
        let start = self.halo[0] * pitch + self.halo[1] * self.channels;
        for (to, from) in self.pixels[start..].chunks_mut(pitch).zip(image.chunks_exact(row)) {
            to[..row].copy_from_slice(from);
        }
        &self.pixels
    }
}
