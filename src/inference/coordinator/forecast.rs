//! Whom to ask next: what one request needs to know of the replicas at one moment.
//!
//! In modes `all` and `verify` it knows only whom not to trust, and the order is the routing's. In mode `hedged` the replica is asked
//! that will answer first by all that is known: the way there and back, the run, and the runs before it.

use std::collections::{BTreeMap, BTreeSet};

use super::times::Estimate;
use crate::id::{Digest, NodeId};
use crate::inference::Route;
use crate::time::Duration;

/// Replicas that answer within so many quarters of the best one's time are as good, and the request's number decides: else every
/// coordinator would ask the same one until its queue has told them all. Ours.
const AS_GOOD_QUARTERS: u32 = 5;

/// What is expected of the replicas a request may ask now.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    estimates: BTreeMap<(NodeId, Digest), Estimate>,
    distrusted: BTreeSet<NodeId>,
    /// Students that this very request has just asked each device for.
    taken: BTreeMap<NodeId, u32>,
    /// Decides between replicas that are as good.
    salt: u64,
}

impl Forecast {
    /// One that knows no times.
    pub(super) fn new(distrusted: BTreeSet<NodeId>, salt: u64) -> Self {
        Self { distrusted, salt, ..Self::default() }
    }

    /// An answer of that replica takes so long, the runs before it included.
    pub(super) fn expect(&mut self, route: Route, estimate: Estimate) {
        self.estimates.insert((route.replica, route.student), estimate);
    }

    /// Those that are trusted, or all if none is: a part is never without a replica for an accusation.
    pub(super) fn trusted<'a>(&self, routes: &'a [Route]) -> impl Iterator<Item = &'a Route> {
        let none = routes.iter().all(|route| self.distrusted.contains(&route.replica));
        routes.iter().filter(move |route| none || !self.distrusted.contains(&route.replica))
    }

    /// The one to ask next.
    pub(super) fn best(&self, routes: &[Route]) -> Option<Route> {
        let trusted: Vec<Route> = self.trusted(routes).copied().collect();
        if self.estimates.is_empty() {
            return trusted.first().copied();
        }
        let least = trusted.iter().map(|route| self.typical(*route)).min()?;
        let enough = least.saturating_mul(AS_GOOD_QUARTERS) / 4;
        let as_good = |route: &&Route| self.typical(**route) <= enough;
        trusted.iter().filter(as_good).min_by_key(|route| mix(self.salt, route.replica)).copied()
    }

    /// The request asks this replica for one more student: one more run is before the next.
    pub(super) fn take(&mut self, route: Route) {
        *self.taken.entry(route.replica).or_default() += 1;
    }

    /// Until an answer of the replica is overdue.
    pub(super) fn overdue_after(&self, route: Route) -> Duration {
        let p95 = self.estimate(route).map_or(route.expected, |estimate| estimate.p95);
        p95.max(self.typical(route))
    }

    fn typical(&self, route: Route) -> Duration {
        let before = self.taken.get(&route.replica).copied().unwrap_or(0);
        let run = |estimate: Estimate| estimate.typical.saturating_add(estimate.run.saturating_mul(before));
        self.estimate(route).map_or(route.expected, run)
    }

    fn estimate(&self, route: Route) -> Option<Estimate> {
        self.estimates.get(&(route.replica, route.student)).copied()
    }
}

/// A number that looks random, another for each request and replica (the finalizer of SplitMix64).
fn mix(salt: u64, replica: NodeId) -> u64 {
    let head = replica.0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut z = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ head;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn route(replica: u8) -> Route {
        Route { replica: NodeId([replica; 32]), student: Digest([7; 32]), expected: ms(10) }
    }

    fn forecast(salt: u64, typical_ms: &[u64]) -> (Forecast, Vec<Route>) {
        let mut forecast = Forecast::new(BTreeSet::new(), salt);
        let routes: Vec<Route> = (1..).zip(typical_ms).map(|(replica, _)| route(replica)).collect();
        for (route, typical) in routes.iter().zip(typical_ms) {
            forecast.expect(*route, Estimate { typical: ms(*typical), run: ms(5), p95: ms(*typical * 2) });
        }
        (forecast, routes)
    }

    #[test]
    fn the_quickest_is_asked_and_of_those_as_quick_another_one_each_time() {
        let asked: BTreeSet<NodeId> = (0..100)
            .filter_map(|salt| {
                let (forecast, routes) = forecast(salt, &[10, 12, 13, 100]);
                Some(forecast.best(&routes)?.replica)
            })
            .collect();
        assert_eq!(asked, [route(1).replica, route(2).replica].into());
    }

    #[test]
    fn a_device_that_was_just_asked_for_a_part_is_as_much_later_with_the_next() {
        let (mut forecast, routes) = forecast(1, &[10, 14]);
        assert_eq!(forecast.best(&routes), Some(route(1)));
        forecast.take(route(1));
        forecast.take(route(1));
        assert_eq!(forecast.best(&routes), Some(route(2)));
        assert_eq!(forecast.overdue_after(route(1)), ms(20));
    }

    #[test]
    fn who_is_distrusted_is_asked_only_where_nobody_else_is() {
        let forecast = Forecast::new([route(1).replica].into(), 0);
        assert_eq!(forecast.best(&[route(1), route(2)]), Some(route(2)));
        assert_eq!(forecast.best(&[route(1)]), Some(route(1)));
    }

    #[test]
    fn without_times_the_order_is_the_routings() {
        let forecast = Forecast::new(BTreeSet::new(), 5);
        assert_eq!(forecast.best(&[route(3), route(1), route(2)]), Some(route(3)));
        assert_eq!(forecast.best(&[]), None);
    }
}
