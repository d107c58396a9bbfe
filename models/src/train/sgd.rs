//! Stochastic gradient descent with Nesterov momentum, and the one-cycle learning rate.

/// Plain SGD over lists of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sgd {
    /// The velocity of each parameter.
    pub(crate) velocity: Vec<Vec<f32>>,
    momentum: f32,
    weight_decay: f32,
}

impl Sgd {
    /// At rest, for parameters of these lengths.
    pub(crate) fn new(parameters: &[Vec<f32>], momentum: f32, weight_decay: f32) -> Self {
        let velocity = parameters.iter().map(|list| vec![0.0; list.len()]).collect();
        Self { velocity, momentum, weight_decay }
    }

    /// One step of list `index`; only where `decays` is true do the weights decay.
    pub(crate) fn step(&mut self, index: usize, values: &mut [f32], gradient: &[f32], rate: f32, decays: bool) {
        let decay = if decays { self.weight_decay } else { 0.0 };
        let momentum = self.momentum;
        for ((value, velocity), gradient) in values.iter_mut().zip(&mut self.velocity[index]).zip(gradient) {
            let gradient = gradient + decay * *value;
            *velocity = momentum * *velocity + gradient;
            *value -= rate * (gradient + momentum * *velocity);
        }
    }
}

/// A learning rate that rises to its peak over the first 30 % of the steps and falls to almost nothing, both along a cosine
/// (Smith, arXiv 1708.07120; the shares are PyTorch's defaults).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneCycle {
    /// The largest rate.
    pub peak: f32,
    /// Steps in all.
    pub steps: usize,
}

impl OneCycle {
    const RISE: f32 = 0.3;
    const START_SHARE: f32 = 1.0 / 25.0;
    const END_SHARE: f32 = 1.0 / 250_000.0;

    /// The rate of step `step`, from 0.
    pub fn rate(&self, step: usize) -> f32 {
        let summit = Self::RISE * self.steps as f32;
        let step = step as f32;
        let (from, to, share) = if step < summit {
            (self.peak * Self::START_SHARE, self.peak, step / summit)
        } else {
            (self.peak, self.peak * Self::END_SHARE, (step - summit) / (self.steps as f32 - summit))
        };
        to + (from - to) * 0.5 * (1.0 + (core::f32::consts::PI * share.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_with_nesterov_momentum_is_as_computed_by_hand() {
        let mut values = vec![vec![1.0_f32]];
        let mut sgd = Sgd::new(&values, 0.9, 0.5);
        // g = 2 + 0.5; v = 2.5; step = 2.5 + 0.9 · 2.5 = 4.75.
        sgd.step(0, &mut values[0], &[2.0], 0.1, true);
        assert!((values[0][0] - 0.525).abs() < 1e-6);
        // g = 1; v = 0.9 · 2.5 + 1 = 3.25; step = 1 + 0.9 · 3.25 = 3.925.
        sgd.step(0, &mut values[0], &[1.0], 0.1, false);
        assert!((values[0][0] - 0.1325).abs() < 1e-6);
    }

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_almost_nothing() {
        let cycle = OneCycle { peak: 0.1, steps: 100 };
        assert!((cycle.rate(0) - 0.004).abs() < 1e-6);
        assert!((cycle.rate(30) - 0.1).abs() < 1e-6);
        assert!(cycle.rate(99) < 1e-3);
        assert!((0..30).all(|s| cycle.rate(s) < cycle.rate(s + 1)));
        assert!((30..99).all(|s| cycle.rate(s) > cycle.rate(s + 1)));
    }
}
