//! A student's numbers, apart from any tensor library: what is trained, saved, folded and exported.

use super::random::Random;
use super::wrn::Wrn;

/// Added to a variance before its root is taken; PyTorch's default.
pub(crate) const NORM_EPSILON: f32 = 1e-5;

/// The share of the newest batch in the running statistics; PyTorch's default.
const RUNNING_SHARE: f32 = 0.1;

/// Weights, in the order of [`Wrn::convs`] and [`Wrn::norms`].
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The convolutions (output, input, kernel row, kernel column), then γ and β of each norm.
    pub(crate) trained: Vec<Vec<f32>>,
    /// Running mean and variance of each norm.
    pub(crate) running: Vec<Vec<f32>>,
    convs: usize,
}

impl Weights {
    /// He's normal initialisation by fan-out, as wide residual networks use it; norms start as the identity.
    pub fn new(net: &Wrn, seed: u64) -> Self {
        let mut trained = Vec::new();
        for (stream, conv) in (0..).zip(net.convs()) {
            let mut random = Random::new(seed, stream);
            let deviation = (2.0 / (conv.kernel * conv.kernel * conv.outputs) as f32).sqrt();
            trained.push((0..conv.len()).map(|_| deviation * random.normal()).collect());
        }
        let mut running = Vec::new();
        for &channels in net.norms() {
            trained.extend([vec![1.0; channels], vec![0.0; channels]]);
            running.extend([vec![0.0; channels], vec![1.0; channels]]);
        }
        Self { trained, running, convs: net.convs().len() }
    }

    /// Weights of a convolution, output-major.
    pub fn conv(&self, conv: usize) -> &[f32] {
        &self.trained[conv]
    }

    /// γ and β of a norm.
    pub fn norm(&self, norm: usize) -> [&[f32]; 2] {
        [0, 1].map(|i| self.trained[self.convs + 2 * norm + i].as_slice())
    }

    /// How many of the trained lists are convolutions: those come first.
    pub(crate) fn conv_count(&self) -> usize {
        self.convs
    }

    /// A norm at inference, as `scale · x + shift` per channel.
    pub(crate) fn affine(&self, norm: usize) -> (Vec<f32>, Vec<f32>) {
        let [gamma, beta] = self.norm(norm);
        let [mean, variance] = [0, 1].map(|i| &self.running[2 * norm + i]);
        let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + NORM_EPSILON).sqrt()).collect();
        let shift = beta.iter().zip(&scale).zip(mean).map(|((b, s), m)| b - s * m).collect();
        (scale, shift)
    }

    /// Takes a batch's statistics of a norm into the running ones.
    pub(crate) fn update_running(&mut self, norm: usize, mean: &[f32], variance: &[f32]) {
        for (i, batch) in [mean, variance].into_iter().enumerate() {
            for (running, new) in self.running[2 * norm + i].iter_mut().zip(batch) {
                *running += RUNNING_SHARE * (new - *running);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rocoin::planner::zoo::ZOO;

    use super::*;

    #[test]
    fn one_seed_gives_one_initialisation() {
        let net = Wrn::new(ZOO[0], 3, 8);
        assert_eq!(Weights::new(&net, 7), Weights::new(&net, 7));
        assert_ne!(Weights::new(&net, 7), Weights::new(&net, 8));
    }

    #[test]
    fn the_spread_of_a_convolution_is_by_its_fan_out() {
        let net = Wrn::new(ZOO[0], 3, 8);
        let weights = Weights::new(&net, 1);
        let last = net.convs().len() - 2;
        let values = weights.conv(last);
        let variance = values.iter().map(|w| w * w).sum::<f32>() / values.len() as f32;
        let expected = 2.0 / (net.convs()[last].outputs * net.convs()[last].kernel.pow(2)) as f32;
        assert!((variance / expected - 1.0).abs() < 0.05, "{variance} against {expected}");
    }

    #[test]
    fn a_norm_at_inference_uses_its_running_statistics() {
        let net = Wrn::new(ZOO[0], 3, 8);
        let mut weights = Weights::new(&net, 1);
        for _ in 0..200 {
            weights.update_running(0, &[3.0; 16], &[4.0; 16]);
        }
        let (scale, shift) = weights.affine(0);
        assert!((scale[0] - 0.5).abs() < 1e-4 && (shift[0] + 1.5).abs() < 1e-3, "{} {}", scale[0], shift[0]);
    }
}
