//! The one source of chance of a simulated world: ChaCha, seeded once and forked.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use rocoin::time::Duration;

/// A stream of random numbers. Equal seeds and labels give equal streams.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `seed` that is called `label`; streams of other labels are independent of it.
    pub fn new(seed: u64, label: &str) -> Self {
        let mut text = seed.to_le_bytes().to_vec();
        text.extend(label.as_bytes());
        Self(ChaCha8Rng::from_seed(rocoin::id::Digest::of(&text).0))
    }

    /// 32 random bytes: a seed for something else.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// In `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.0.next_u64() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// In `0..below`; 0 if `below` is 0. (The bias of the remainder is far below what any scenario could show.)
    pub fn below(&mut self, below: usize) -> usize {
        let below = u64::try_from(below.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.0.next_u64() % below).unwrap_or(0)
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// From `low` to `high`, uniform in the logarithm: as devices and links differ.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// A time uniform in `[low, high)`.
    pub fn time(&mut self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.unit())
    }

    /// Exponentially distributed with this mean, as the waits between independent events are.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }

    /// One of them; `None` if there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// Puts them in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_and_labels_give_equal_streams_and_others_do_not() {
        let draw = |seed, label| Random::new(seed, label).seed();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_moves_some() {
        let mut items: Vec<_> = (0..100).collect();
        Random::new(1, "shuffle").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn exponential_waits_have_their_mean() {
        let mut random = Random::new(7, "waits");
        let total: f64 = (0..20_000).map(|_| random.exponential(Duration::from_secs(2)).as_secs_f64()).sum();
        assert!((total / 20_000.0 - 2.0).abs() < 0.06, "{total}");
    }
}
