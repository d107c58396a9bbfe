//! Some images of a split, as training takes them.

use crate::data::Split;
use crate::train::Samples;

/// The images `indices` of `split`, in that order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subset<'a> {
    pub(super) split: &'a Split,
    pub(super) indices: &'a [usize],
}

impl Samples for Subset<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn shape(&self) -> &[usize] {
        &self.split.shape
    }

    fn label(&self, index: usize) -> usize {
        self.split.label(self.indices[index])
    }

    fn image(&self, index: usize, image: &mut [f32]) {
        self.split.image(self.indices[index], image);
    }
}

impl Subset<'_> {
    /// The labels, in order.
    pub(super) fn labels(&self) -> Vec<usize> {
        self.indices.iter().map(|&index| self.split.label(index)).collect()
    }

    /// The images `range`, one after another.
    pub(super) fn images(&self, range: std::ops::Range<usize>) -> Vec<f32> {
        let size = self.split.elements();
        let mut images = vec![0.0; range.len() * size];
        for (image, index) in images.chunks_exact_mut(size).zip(range) {
            self.image(index, image);
        }
        images
    }
}
