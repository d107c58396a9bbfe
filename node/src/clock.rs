//! The system's monotonic clock, as the core wants its time.

use rocoin::time;
use tokio::time::Instant;

/// The core's instants count from this clock's start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> time::Instant {
        time::Instant::ZERO + self.origin.elapsed()
    }

    pub(crate) fn deadline(&self, instant: time::Instant) -> Instant {
        self.origin + instant.since(time::Instant::ZERO)
    }
}
