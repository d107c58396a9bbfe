//! Whether this node itself is unwell: Lifeguard's local health multiplier.
//!
//! A node that is starved of CPU or cut off misses answers that were sent in time. It must not blame the others, so
//! it waits longer the more signs it has that the fault is its own.

use crate::time::Duration;

/// Signs of being unwell, from 0 (well) to one less than the greatest multiplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalHealth {
    score: u32,
    score_max: u32,
}

impl LocalHealth {
    /// Well. `multiplier_max` 1 turns local health off.
    pub(super) fn new(multiplier_max: u32) -> Self {
        Self { score: 0, score_max: multiplier_max.saturating_sub(1) }
    }

    /// So many new signs of being unwell.
    pub(super) fn worsen(&mut self, signs: u32) {
        self.score = self.score.saturating_add(signs).min(self.score_max);
    }

    /// One sign of being well.
    pub(super) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// A wait, stretched.
    pub(super) fn stretch(self, wait: Duration) -> Duration {
        wait * self.multiplier()
    }

    /// 1 when well.
    pub(super) fn multiplier(self) -> u32 {
        self.score + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stretch_with_each_sign_and_shrink_back() {
        let mut health = LocalHealth::new(8);
        let second = Duration::from_secs(1);
        assert_eq!(health.stretch(second), second);
        health.worsen(2);
        assert_eq!(health.stretch(second), 3 * second);
        health.worsen(100);
        assert_eq!(health.stretch(second), 8 * second);
        (0..9).for_each(|_| health.improve());
        assert_eq!(health.stretch(second), second);
    }

    #[test]
    fn a_greatest_multiplier_of_one_is_plain_time_outs() {
        let mut health = LocalHealth::new(1);
        health.worsen(5);
        assert_eq!(health.multiplier(), 1);
    }
}
