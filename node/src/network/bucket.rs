//! A token bucket: how many frames a peer may send.

use std::time::Duration;

use rocoin::node::Lane;
use tokio::time::Instant;

/// Frames a second that a peer may send on average in one lane, and at once. A peer beyond it is disconnected and named.
/// Ours: some hundred times what an idle member sends in control; more requests and chunks than a device can serve.
const fn limits(lane: Lane) -> (u32, u32) {
    match lane {
        Lane::Control => (1_000, 4_000),
        Lane::Inference => (20_000, 40_000),
        Lane::Bulk => (50_000, 100_000),
    }
}

/// Fills at a steady rate, holds a burst.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Instant,
    per_s: f64,
    burst: f64,
}

impl Bucket {
    pub(super) fn of(lane: Lane, now: Instant) -> Self {
        let (per_s, burst) = limits(lane);
        Self { tokens: burst.into(), filled: now, per_s: per_s.into(), burst: burst.into() }
    }

    /// Takes one token; `false` if there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.filled);
        self.filled = now;
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_s).min(self.burst);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate_alone() {
        let start = Instant::now();
        let mut bucket = Bucket::of(Lane::Control, start);
        assert_eq!((0..5_000).filter(|_| bucket.take(start)).count(), 4_000);
        let later = start + Duration::from_millis(100);
        assert_eq!((0..5_000).filter(|_| bucket.take(later)).count(), 100);
    }

    #[test]
    fn a_peer_within_the_rate_is_never_held_up() {
        let start = Instant::now();
        let mut bucket = Bucket::of(Lane::Control, start);
        assert!((0..10_000).all(|i| bucket.take(start + Duration::from_millis(i))));
    }
}
