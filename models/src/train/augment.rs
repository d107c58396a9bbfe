//! Views of an image: shifted and mirrored, the same for the same seed.

use serde::{Deserialize, Serialize};

use crate::zoo::extent;
use crate::zoo::random::Random;

/// How an image may be changed without changing what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augment {
    /// Most positions an image is shifted in each axis, zeros moving in: a random crop of the padded image.
    pub shift: usize,
    /// Whether it may be mirrored left to right.
    pub flip: bool,
}

impl Augment {
    /// Every view is the image itself.
    pub const NONE: Self = Self { shift: 0, flip: false };

    /// What is usual for small images (shift by 4, mirror); a series is shifted only.
    pub fn usual(shape: &[usize]) -> Self {
        Self { shift: 4, flip: shape.len() == 3 }
    }

    /// View `view` of image `index`; view 0 is the image itself.
    pub(crate) fn apply(&self, shape: &[usize], image: &[f32], seed: u64, view: u32, index: usize) -> Vec<f32> {
        if view == 0 || *self == Self::NONE {
            return image.to_vec();
        }
        let [_, height, width] = extent(shape).expect("samples are [C, H, W] or [C, L]");
        let mut random = Random::new(seed, u64::from(view) << 40 | index as u64);
        let mut offset = || random.below(2 * self.shift + 1).cast_signed() - self.shift.cast_signed();
        let (down, right) = (if height > 1 { offset() } else { 0 }, offset());
        let flip = self.flip && random.below(2) == 1;
        let mut out = vec![0.0; image.len()];
        for (from, to) in image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width)) {
            for y in 0..height {
                let Some(source) = y.checked_add_signed(down).filter(|&y| y < height) else { continue };
                for x in 0..width {
                    let column = if flip { width - 1 - x } else { x };
                    if let Some(column) = column.checked_add_signed(right).filter(|&x| x < width) {
                        to[y * width + x] = from[source * width + column];
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_depends_on_seed_view_and_index_alone() {
        let image: Vec<f32> = (0..64_u8).map(f32::from).collect();
        let augment = Augment { shift: 2, flip: true };
        let view = |seed, view, index| augment.apply(&[1, 8, 8], &image, seed, view, index);
        assert_eq!(view(1, 1, 5), view(1, 1, 5));
        let distinct: Vec<_> = (0..8).map(|i| view(1, 1, i)).collect();
        assert!(distinct.iter().any(|other| *other != distinct[0]));
        assert!((0..8).any(|i| view(1, 2, i) != view(1, 1, i)));
        assert!((0..8).any(|i| view(2, 1, i) != view(1, 1, i)));
    }

    #[test]
    fn view_zero_is_the_image_itself() {
        let image = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(Augment { shift: 2, flip: true }.apply(&[1, 2, 2], &image, 3, 0, 9), image);
    }

    #[test]
    fn a_shifted_series_keeps_its_order_and_takes_in_zeros() {
        let series = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let augment = Augment { shift: 2, flip: false };
        for index in 0..20 {
            let view = augment.apply(&[1, 6], &series, 0, 1, index);
            let kept: Vec<f32> = view.iter().copied().filter(|&x| x != 0.0).collect();
            assert!(kept.len() >= 4 && kept.windows(2).all(|pair| pair[1] == pair[0] + 1.0), "{view:?}");
        }
    }

    #[test]
    fn all_channels_move_together() {
        let image: Vec<f32> = (0..32_u8).map(|i| f32::from(i % 16) + 1.0).collect();
        let view = Augment { shift: 1, flip: true }.apply(&[2, 4, 4], &image, 0, 3, 1);
        assert_eq!(view[..16], view[16..]);
    }
}
