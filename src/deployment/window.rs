//! How many bytes may be under way at once: found out by how long they take, so that what else goes over the link waits little.
//!
//! A chunk that takes longer than the fastest of late has waited in a queue on its way. While the queue is short the window grows, and
//! when it is long the window shrinks, as in LEDBAT (RFC 6817), so that chunks take what others leave of a link. Deliberately
//! absent: any idea of how fast the link is, and clocks of two devices compared with each other.

use crate::time::{Duration, Instant};

/// The least that a window is, bytes: two of the smallest chunks, so that one is on its way while the other is confirmed. They keep a link of 1 Mbit/s
/// busy for 16 ms.
const BYTES_MIN: u64 = 2 * 1024;
/// The most, bytes: fills a 1 Gbit/s link up to a round trip of 4 ms.
const BYTES_MAX: u64 = 512 * 1024;
/// How long a chunk may wait in queues. Ours: a tenth of a probe's time-out.
const WAIT: Duration = Duration::from_millis(15);
/// Or this share of the fastest round trip, where that is more: there nobody notices.
const WAIT_SHARE: u32 = 4;
/// The fastest round trip is that of the last one or two such spans: routes change. LEDBAT's ten minutes, about.
const SPAN: Duration = Duration::from_secs(300);
/// The shortest of so many waits counts, since a single one may be a lost packet or a busy receiver.
const WAITS: usize = 8;

/// How many bytes may be under way at once.
#[derive(Debug, Clone)]
pub(super) struct Window {
    bytes: u64,
    /// Nothing has waited yet: it doubles with each round trip.
    is_starting: bool,
    waits: [Duration; WAITS],
    next: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: BYTES_MIN, is_starting: true, waits: [Duration::MAX; WAITS], next: 0 }
    }
}

impl Window {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long the fastest chunk of late waited.
    pub(super) fn waited(&self) -> Duration {
        self.waits.iter().min().copied().filter(|waited| *waited < Duration::MAX).unwrap_or_default()
    }

    /// So many bytes have come, with `under_way` of them under way until then, and waited so long where `allowed` is no harm.
    pub(super) fn adapt(&mut self, came: u64, under_way: u64, waited: Duration, allowed: Duration) {
        self.waits[self.next] = waited;
        self.next = (self.next + 1) % WAITS;
        // A single one that waited ends the start: while the window doubles, eight would come too late.
        self.is_starting &= 2 * waited < allowed;
        let waited = self.waited();
        let is_used = 2 * under_way >= self.bytes;
        if waited > allowed {
            let excess = share(waited - allowed, allowed).min(1.0);
            self.bytes = self.bytes.saturating_sub(scaled(came, excess / 2.0));
        } else if is_used && self.is_starting {
            self.bytes += came;
        } else if is_used {
            let step = BYTES_MIN / 2 * came;
            self.bytes += scaled(step, share(allowed - waited, allowed)) / self.bytes;
        }
        self.bytes = self.bytes.clamp(BYTES_MIN, BYTES_MAX);
    }

    /// Something under way was lost.
    pub(super) fn collapse(&mut self) {
        self.bytes = BYTES_MIN;
        self.is_starting = false;
    }
}

/// The fastest round trip of late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fastest {
    since: Instant,
    now: Duration,
    before: Duration,
}

impl Fastest {
    /// From the first round trip, in which a chunk waited so long behind others on the way out.
    pub(super) fn new(took: Duration, waited: Duration, now: Instant) -> Self {
        Self { since: now, now: took.saturating_sub(waited), before: Duration::MAX }
    }

    /// Takes in a round trip; says how much longer than the fastest it took, and what is allowed.
    pub(super) fn compare(&mut self, took: Duration, now: Instant) -> (Duration, Duration) {
        if now.since(self.since) >= SPAN {
            *self = Self { since: now, now: Duration::MAX, before: self.now };
        }
        self.now = self.now.min(took);
        let fastest = self.now.min(self.before);
        (took - fastest, WAIT.max(fastest / WAIT_SHARE))
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "windows and chunks are small"
)]
fn scaled(bytes: u64, share: f64) -> u64 {
    (bytes as f64 * share) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 1024;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A link with a rate in bytes/s and a delay; what it queues beside the window is `others` bytes. Round trip by round trip.
    fn settle(window: &mut Window, rate: u64, delay: Duration, others: u64) {
        let mut fastest = Fastest::new(delay, Duration::ZERO, Instant::ZERO);
        for round in 0..200 {
            let bytes = window.bytes();
            let carried = rate * u64::try_from(delay.as_millis()).unwrap() / 1000;
            let queued = (bytes + others).saturating_sub(carried);
            let took = delay + Duration::from_millis(queued * 1000 / rate);
            for _ in 0..bytes / PIECE {
                let (waited, allowed) = fastest.compare(took, Instant::from_nanos(round));
                window.adapt(PIECE, bytes, waited, allowed);
            }
        }
    }

    #[test]
    fn it_grows_until_what_is_under_way_waits_and_no_further() {
        for (rate, delay) in [(125_000, ms(10)), (125_000, ms(100)), (1_250_000, ms(2)), (12_500_000, ms(10))] {
            let mut window = Window::default();
            settle(&mut window, rate, delay, 0);
            let carried = rate * u64::try_from(delay.as_millis()).unwrap() / 1000;
            let wait_ms = window.bytes().saturating_sub(carried) * 1000 / rate;
            let allowed = 15.max(u64::try_from(delay.as_millis()).unwrap() / 4);
            assert!(window.bytes() >= carried, "{rate} B/s, {delay:?}: the link is not used, {window:?}");
            assert!(wait_ms <= allowed + 16, "{rate} B/s, {delay:?}: {wait_ms} ms, {window:?}");
        }
    }

    #[test]
    fn it_shrinks_to_its_least_while_others_fill_the_link_and_grows_again() {
        let mut window = Window::default();
        settle(&mut window, 12_500_000, ms(10), 0);
        let alone = window.bytes();
        settle(&mut window, 12_500_000, ms(10), 12_500_000);
        assert_eq!(window.bytes(), BYTES_MIN);
        settle(&mut window, 12_500_000, ms(10), 0);
        assert!(2 * window.bytes() > alone, "{} of {alone}", window.bytes());
    }

    #[test]
    fn what_is_not_used_does_not_grow_and_nothing_grows_beyond_the_most() {
        let mut window = Window::default();
        (0..100).for_each(|_| window.adapt(PIECE, 512, Duration::ZERO, WAIT));
        assert_eq!(window.bytes(), BYTES_MIN);
        (0..10_000).for_each(|_| window.adapt(PIECE, u64::MAX / 2, Duration::ZERO, WAIT));
        assert_eq!(window.bytes(), BYTES_MAX);
        window.collapse();
        assert_eq!(window.bytes(), BYTES_MIN);
    }

    #[test]
    fn one_late_chunk_of_many_changes_nothing() {
        let mut window = Window::default();
        (0..20).for_each(|_| window.adapt(PIECE, window.bytes(), Duration::ZERO, WAIT));
        let before = window.bytes();
        window.adapt(PIECE, before, Duration::from_secs(1), WAIT);
        assert!(window.bytes() >= before);
    }

    #[test]
    fn the_fastest_round_trip_is_forgotten_after_a_while() {
        let mut fastest = Fastest::new(ms(12), ms(2), Instant::ZERO);
        assert_eq!(fastest.compare(ms(10), Instant::ZERO).0, ms(0));
        assert_eq!(fastest.compare(ms(30), Instant::ZERO).0, ms(20));
        let later = |spans: u32| Instant::ZERO + SPAN * spans;
        assert_eq!(fastest.compare(ms(30), later(1)).0, ms(20));
        assert_eq!(fastest.compare(ms(30), later(2)).0, ms(0));
    }
}
