//! How long a peer takes to answer a direct ping.

use crate::time::Duration;

/// The longest wait that a measured round-trip time asks for: beyond it a peer is of no use to a request either. Ours.
const TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// Smoothed round-trip time and its deviation, as TCP keeps them (RFC 6298).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rtt {
    smooth: Duration,
    deviation: Duration,
}

impl Rtt {
    /// From the first sample.
    pub(super) fn new(sample: Duration) -> Self {
        Self { smooth: sample, deviation: sample / 2 }
    }

    /// With one more sample.
    pub(super) fn with(self, sample: Duration) -> Self {
        let error = self.smooth.abs_diff(sample);
        Self { smooth: (self.smooth * 7 + sample) / 8, deviation: (self.deviation * 3 + error) / 4 }
    }

    pub(super) fn smooth(self) -> Duration {
        self.smooth
    }

    /// How long to wait for an answer.
    pub(super) fn timeout(self) -> Duration {
        (self.smooth + self.deviation * 4).min(TIMEOUT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_a_link_that_becomes_slow() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::new(ms(1));
        assert!(rtt.timeout() < ms(10));
        for _ in 0..20 {
            rtt = rtt.with(ms(400));
        }
        assert!(rtt.timeout() > ms(400), "{rtt:?}");
        assert!((ms(350)..ms(410)).contains(&rtt.smooth()), "{rtt:?}");
    }

    #[test]
    fn the_wait_has_an_end() {
        assert_eq!(Rtt::new(Duration::from_secs(9)).timeout(), TIMEOUT_MAX);
    }
}
