//! How many holders are worth asking at once: no more than bring something.
//!
//! Several holders with slow links bring more together than one. But where this device's own link is the slow one they only queue up on
//! it, which no holder can see. So one more holder is tried now and then, and one less, and kept is the number beyond which what comes
//! does not come notably faster.

use crate::time::{Duration, Instant};

/// Holders asked for one artifact at once, at most.
const MOST: usize = 4;
/// What comes is measured over so long. Ours.
const SPAN: Duration = Duration::from_millis(1000);
/// When nothing came for so long, what was measured says nothing.
const PAUSE: Duration = Duration::from_secs(2);
/// After a try that failed the next one, the other way, waits so many spans.
const REST_SPANS: u32 = 8;
/// One more holder has to bring so much more, %.
const GAIN_MIN: u64 = 120;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    /// Windows still open up, or a number of holders just changed.
    Settling,
    Measuring,
    /// One more, or one less, against so many bytes in the span before.
    More {
        before: u64,
    },
    Less {
        before: u64,
    },
}

/// How many holders are asked at once.
#[derive(Debug)]
pub(super) struct Helpers {
    count: usize,
    trying: Try,
    /// What is tried next is one less.
    is_less_next: bool,
    rest: u32,
    since: Instant,
    heard_at: Instant,
    bytes: u64,
}

impl Helpers {
    pub(super) fn new(now: Instant) -> Self {
        Self { count: 1, trying: Try::Settling, is_less_next: false, rest: 0, since: now, heard_at: now, bytes: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Something came.
    pub(super) fn came(&mut self, bytes: usize, now: Instant) {
        if now.since(self.heard_at) >= PAUSE {
            self.revert();
            self.begin(Try::Settling, now);
        }
        self.heard_at = now;
        self.bytes += bytes as u64;
        let took = now.since(self.since);
        if took < SPAN {
            return;
        }
        let per_span = u64::try_from(u128::from(self.bytes) * SPAN.as_millis() / took.as_millis().max(1));
        let next = self.judge(per_span.unwrap_or(u64::MAX));
        self.begin(next, now);
    }

    /// What was tried and not judged is taken back.
    fn revert(&mut self) {
        match self.trying {
            Try::More { .. } => self.count -= 1,
            Try::Less { .. } => self.count += 1,
            Try::Settling | Try::Measuring => {}
        }
    }

    fn begin(&mut self, next: Try, now: Instant) {
        (self.trying, self.since, self.bytes) = (next, now, 0);
    }

    /// A span is over, in which so much came.
    fn judge(&mut self, came: u64) -> Try {
        let is_more = |much: u64, little: u64| much.saturating_mul(100) >= little.saturating_mul(GAIN_MIN);
        let failed = match self.trying {
            Try::Settling => return Try::Measuring,
            Try::Measuring if self.rest > 0 => {
                self.rest -= 1;
                return Try::Measuring;
            }
            Try::Measuring => return self.next_try(came),
            Try::More { before } => !is_more(came, before),
            Try::Less { before } => is_more(before, came),
        };
        if failed {
            self.revert();
            self.is_less_next = !self.is_less_next;
            self.rest = REST_SPANS;
        }
        Try::Settling
    }

    fn next_try(&mut self, before: u64) -> Try {
        if self.is_less_next && self.count > 1 {
            self.count -= 1;
            return Try::Less { before };
        }
        self.is_less_next = false;
        if self.count == MOST {
            self.is_less_next = true;
            self.rest = REST_SPANS;
            return Try::Measuring;
        }
        self.count += 1;
        Try::More { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets so much come in a second with each number of holders; says how many are asked in the end, and on average.
    fn settle(helpers: &mut Helpers, from_s: u64, per_s: impl Fn(usize) -> usize) -> (usize, f64) {
        let (mut sum, mut count) = (0, 0_u32);
        for tick in 0..10 * 120 {
            let now = Instant::from_nanos(from_s * 1_000_000_000 + tick * 100_000_000);
            helpers.came(per_s(helpers.count()) / 10, now);
            sum += helpers.count();
            count += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        (helpers.count(), sum as f64 / f64::from(count))
    }

    #[test]
    fn holders_with_slow_links_are_asked_together() {
        let (_, mean) = settle(&mut Helpers::new(Instant::ZERO), 0, |n| n * 100_000);
        assert!(mean > 3.5, "{mean}");
    }

    #[test]
    fn where_the_own_link_is_the_slow_one_a_single_holder_does() {
        let (last, mean) = settle(&mut Helpers::new(Instant::ZERO), 0, |_| 100_000);
        assert!(last <= 2 && mean < 1.25, "{mean}");
    }

    #[test]
    fn the_number_follows_the_link() {
        let mut helpers = Helpers::new(Instant::ZERO);
        let (_, mean) = settle(&mut helpers, 0, |n| n.min(2) * 100_000);
        assert!((1.6..2.4).contains(&mean), "{mean}");
        settle(&mut helpers, 130, |n| n * 100_000);
        let (_, mean) = settle(&mut helpers, 260, |n| n * 100_000);
        assert!(mean > 3.5, "{mean}");
        settle(&mut helpers, 390, |_| 100_000);
        let (_, mean) = settle(&mut helpers, 520, |_| 100_000);
        assert!(mean < 1.5, "{mean}");
    }
}
