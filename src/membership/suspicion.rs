//! How long a suspicion lasts before its subject is given up.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Config;
use crate::bugs::Bug;
use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// A suspicion that another has waited out already lasts no less than so many probe intervals here: the accused hears of ours and refutes it.
/// Ours; far longer than a round trip.
const REFUTED_WITHIN: u32 = 2;

/// A running suspicion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suspicion {
    started: Instant,
    not_before: Instant,
    accusers: BTreeSet<NodeId>,
    /// A probe of our own failed since it started, and no answer has come since then. Without it there is no verdict.
    pub(super) witnessed: bool,
    /// An accuser has waited its own suspicion out.
    pub(super) waited_out: bool,
}

impl Suspicion {
    /// First raised by `accuser`.
    pub(super) fn new(now: Instant, accuser: NodeId) -> Self {
        let accusers = BTreeSet::from([accuser]);
        Self { started: now, not_before: now, accusers, witnessed: false, waited_out: false }
    }

    /// Takes in a further accuser; true if it is news worth passing on.
    pub(super) fn confirm(&mut self, accuser: NodeId, wanted: u32) -> bool {
        self.confirmations() < wanted && self.accusers.insert(accuser)
    }

    /// Independent accusers after the first.
    pub(super) fn confirmations(&self) -> u32 {
        u32::try_from(self.accusers.len()).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// When it is over, unless refuted. `size` counts this node; `wanted` confirmations make it shortest.
    pub(super) fn deadline(&self, config: &Config, size: usize, wanted: u32) -> Instant {
        if self.waited_out && self.witnessed && config.bugs.has(Bug::VerdictAtOnce) {
            return self.not_before;
        }
        if self.waited_out && self.witnessed && self.confirmations() >= wanted {
            return (self.started + config.probe_interval * REFUTED_WITHIN).max(self.not_before);
        }
        (self.started + timeout(config, size, self.confirmations(), wanted)).max(self.not_before)
    }

    /// This node itself stood still for `late`: the suspicion lasts longer by that, and at least for `grace` from now.
    pub(super) fn delay(&mut self, now: Instant, late: Duration, grace: Duration) {
        self.started = self.started + late;
        self.not_before = self.not_before.max(now + grace);
    }
}

/// Confirmations that make a suspicion shortest, if so many others could give one.
pub(super) fn confirmations_wanted(config: &Config, others_alive: usize) -> u32 {
    /// As memberlist has it: two intervals of the nominal wait are spent on the confirmations.
    const SPENT: u32 = 2;
    config.suspicion_mult.saturating_sub(SPENT).min(u32::try_from(others_alive).unwrap_or(u32::MAX))
}

/// When each suspicion ends, so that none has to be looked for.
#[derive(Debug, Default)]
pub(super) struct Ends {
    of: BTreeMap<NodeId, Instant>,
    order: BTreeSet<(Instant, NodeId)>,
    /// The size and the confirmations wanted that they were reckoned with.
    reckoned: (usize, u32),
}

impl Ends {
    /// Whether all have to be reckoned anew, since these are others than before.
    pub(super) fn depend_on(&mut self, size: usize, wanted: u32) -> bool {
        std::mem::replace(&mut self.reckoned, (size, wanted)) != (size, wanted) && !self.of.is_empty()
    }

    /// The member's suspicion ends then; `None` if there is none.
    pub(super) fn set(&mut self, id: NodeId, end: Option<Instant>) {
        let before = match end {
            Some(end) => self.of.insert(id, end),
            None => self.of.remove(&id),
        };
        before.map(|before| self.order.remove(&(before, id)));
        self.order.extend(end.map(|end| (end, id)));
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.order.first().map(|(end, _)| *end)
    }

    /// Whose suspicion has ended.
    pub(super) fn over(&self, now: Instant) -> Vec<NodeId> {
        self.order.iter().take_while(|(end, _)| *end <= now).map(|(_, id)| *id).collect()
    }
}

/// After Lifeguard: max − (max − min) · log(confirmations + 1) / log(wanted + 1), in whole milliseconds.
fn timeout(config: &Config, size: usize, confirmations: u32, wanted: u32) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a fleet's size is small")]
    let scale = (size.max(1) as f64).log10().max(1.0);
    let min = config.probe_interval.mul_f64(f64::from(config.suspicion_mult) * scale);
    if confirmations >= wanted {
        return whole_millis(min);
    }
    let max = min * config.suspicion_max_mult.max(1);
    let share = f64::from(confirmations + 1).ln() / f64::from(wanted + 1).ln();
    whole_millis(max - (max - min).mul_f64(share))
}

fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_shorten_it_from_six_times_to_the_least() {
        let config = Config::default();
        let ms = |size, confirmations, wanted| timeout(&config, size, confirmations, wanted).as_millis();
        for (size, confirmations, wanted, expected) in
            [(8, 0, 2, 7200), (8, 1, 2, 3414), (8, 2, 2, 1200), (2, 0, 0, 1200), (32, 2, 2, 1806), (100, 2, 2, 2400)]
        {
            assert_eq!(ms(size, confirmations, wanted), expected, "{size} {confirmations} {wanted}");
        }
    }

    #[test]
    fn one_accuser_counts_once() {
        let id = |b| NodeId([b; 32]);
        let mut suspicion = Suspicion::new(Instant::ZERO, id(1));
        assert!(!suspicion.confirm(id(1), 2));
        assert!(suspicion.confirm(id(2), 2));
        assert!(!suspicion.confirm(id(2), 2));
        assert!(suspicion.confirm(id(3), 2));
        assert!(!suspicion.confirm(id(4), 2), "enough");
        assert_eq!(suspicion.confirmations(), 2);
    }

    #[test]
    fn our_own_standstill_does_not_count() {
        let (config, late, grace) = (Config::default(), Duration::from_secs(30), Duration::from_millis(300));
        let mut suspicion = Suspicion::new(Instant::ZERO, NodeId([1; 32]));
        let before = suspicion.deadline(&config, 2, 0);
        suspicion.delay(before + late, late, grace);
        assert!(suspicion.deadline(&config, 2, 0) >= before + late + grace);
    }

    #[test]
    fn what_another_has_waited_for_still_leaves_the_accused_time_to_refute() {
        let config = Config::default();
        let (id, started) = (|b| NodeId([b; 32]), Instant::from_nanos(1_000_000_000));
        let mut suspicion = Suspicion::new(started, id(1));
        (suspicion.witnessed, suspicion.waited_out) = (true, true);
        assert!(suspicion.confirm(id(2), 1));
        assert_eq!(suspicion.deadline(&config, 4, 1), started + config.probe_interval * 2);
    }
}
