//! Images with labels, as training needs them from whoever has them.

/// Labelled images (or series) in a fixed order, raw as the data set has them.
pub trait Samples: Sync {
    /// How many.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of each: `[C, H, W]` or `[C, L]`.
    fn shape(&self) -> &[usize];

    /// The class of sample `index`.
    fn label(&self, index: usize) -> usize;

    /// Writes the raw numbers of sample `index` to `image`, which is of the right length.
    fn image(&self, index: usize, image: &mut [f32]);
}
