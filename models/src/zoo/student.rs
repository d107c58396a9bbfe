//! A student: its topology and weights, and what it does to an image first.

use burn::tensor::Device;
use rocoin::bundle::Preprocess;
use rocoin::planner::zoo::Architecture;

use super::forward::Inference;
use super::ops;
use super::weights::Weights;
use super::wrn::{Wrn, extent};

/// Images in one pass at inference: enough to fill the kernels, small enough for the cache.
const BATCH: usize = 64;

/// A student that cannot be built. Nothing was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StudentError {
    /// Of a rank other than 2 and 3, or empty.
    #[error("the input shape is {0:?}; students take [C, H, W] or [C, L], none zero")]
    Shape(Vec<usize>),
    /// A knowledge part without filters.
    #[error("a knowledge part needs at least one filter")]
    NoFilters,
    /// Not one mean and one nonzero deviation a channel.
    #[error(
        "preprocessing has {means} means and {deviations} deviations for {channels} channels; give one a channel, no deviation zero"
    )]
    Preprocess {
        /// Means given.
        means: usize,
        /// Nonzero deviations given.
        deviations: usize,
        /// Channels of the input.
        channels: usize,
    },
}

/// A network that imitates the teacher's filters of one knowledge part.
#[derive(Debug, Clone, PartialEq)]
pub struct Student {
    architecture: Architecture,
    shape: Vec<usize>,
    preprocess: Preprocess,
    net: Wrn,
    /// Its numbers.
    pub weights: Weights,
}

impl Student {
    /// An untrained student for raw inputs of `shape` (`[C, H, W]` or `[C, L]`) and a part of `filters`.
    ///
    /// # Errors
    /// [`StudentError`], if such a network cannot be.
    pub fn new(
        architecture: Architecture,
        shape: &[usize],
        preprocess: Preprocess,
        filters: usize,
        seed: u64,
    ) -> Result<Self, StudentError> {
        let channels = match extent(shape) {
            Some([channels, height, width]) if channels * height * width > 0 => channels,
            Some(_) | None => return Err(StudentError::Shape(shape.to_vec())),
        };
        if filters == 0 {
            return Err(StudentError::NoFilters);
        }
        let deviations = preprocess.std.iter().filter(|&&d| d != 0.0 && d.is_finite()).count();
        if preprocess.mean.len() != channels || preprocess.std.len() != channels || deviations != channels {
            return Err(StudentError::Preprocess { means: preprocess.mean.len(), deviations, channels });
        }
        let net = Wrn::new(architecture, channels, filters);
        let weights = Weights::new(&net, seed);
        Ok(Self { architecture, shape: shape.to_vec(), preprocess, net, weights })
    }

    /// Which of the zoo.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// Of one raw input: `[C, H, W]` or `[C, L]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its topology.
    pub fn net(&self) -> &Wrn {
        &self.net
    }

    /// Width of its features: the filters of its part.
    pub fn filters(&self) -> usize {
        self.net.filters()
    }

    /// Preprocessing as `factor · x + offset` per channel.
    pub(crate) fn preprocess_affine(&self) -> (Vec<f32>, Vec<f32>) {
        let factor = self.preprocess.std.iter().map(|deviation| self.preprocess.scale / deviation).collect();
        let offset = self.preprocess.mean.iter().zip(&self.preprocess.std).map(|(mean, d)| -mean / d).collect();
        (factor, offset)
    }

    /// Raw images to what the network takes, in place; `images` is `[N, C, …]`.
    pub(crate) fn preprocess(&self, images: &mut [f32]) {
        let (factor, offset) = self.preprocess_affine();
        let positions = self.shape.iter().skip(1).product();
        for (plane, channel) in images.chunks_exact_mut(positions).zip((0..factor.len()).cycle()) {
            plane.iter_mut().for_each(|x| *x = factor[channel] * *x + offset[channel]);
        }
    }

    /// Raw images, one after another, to GAP(F_k), `[N, filters]`, row by row.
    ///
    /// # Panics
    /// If `images` is not a whole number of images.
    pub fn features(&self, images: &[f32]) -> Vec<f32> {
        let size: usize = self.shape.iter().product();
        assert_eq!(
            images.len() % size,
            0,
            "{} numbers are no whole number of images of {:?}",
            images.len(),
            self.shape
        );
        let [channels, height, width] = extent(&self.shape).expect("checked when it was built");
        let mut inference = Inference { net: &self.net, weights: &self.weights, device: Device::flex() };
        let mut features = Vec::with_capacity(images.len() / size * self.filters());
        for batch in images.chunks(BATCH * size) {
            let mut values = batch.to_vec();
            self.preprocess(&mut values);
            let maps = ops::maps(values, [batch.len() / size, channels, height, width], &inference.device);
            let pooled = ops::pool(self.net.walk(&mut inference, maps));
            features.extend(ops::numbers(pooled));
        }
        features
    }
}
