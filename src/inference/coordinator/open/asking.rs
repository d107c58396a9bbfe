//! Whom an open request asks, and when the next replica has its turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::super::Output;
use super::super::forecast::Forecast;
use super::{Open, part_id};
use crate::bugs::Bug;
use crate::id::{Digest, NodeId};
use crate::inference::{Event, Loss, Message, Mode, Route};
use crate::time::{Duration, Instant};

impl Open {
    /// Asks whom the mode wants asked at the start: every replica of every part; in mode `all` none that is distrusted, if there are
    /// others. Mode `hedged` leaves it to [`Self::ask_next`].
    pub(in super::super) fn ask_all(&mut self, now: Instant, forecast: &Forecast, out: &mut VecDeque<Output>) {
        let routing = Arc::clone(&self.routing);
        let parts = || routing.parts.iter().enumerate();
        match self.mode {
            Mode::All => {
                let routes = parts().flat_map(|(part, routes)| forecast.trusted(routes).map(move |r| (part, *r)));
                self.ask(now, routes.collect(), out);
            }
            Mode::Verify => {
                self.ask(now, parts().flat_map(|(part, routes)| routes.iter().map(move |r| (part, *r))).collect(), out);
            }
            Mode::Hedged => {}
        }
    }

    /// Whether [`Self::ask_next`] would ask somebody.
    pub(in super::super) fn wants_more(&self, now: Instant) -> bool {
        (0..self.parts.len()).any(|part| self.wants_another(now, part))
    }

    fn wants_another(&self, now: Instant, part: usize) -> bool {
        self.lacks(part) && (!self.attempts.is_expected(part) || self.is_overdue(now, part)) && self.has_fresh(part)
    }

    /// Mode `hedged`: another replica's turn has come.
    fn is_overdue(&self, now: Instant, part: usize) -> bool {
        self.mode == Mode::Hedged && self.parts[part].due.is_some_and(|due| due <= now)
    }

    /// Asks another replica for each part that has lost all that were asked, or whose answer is overdue; says for how many of the
    /// former.
    pub(in super::super) fn ask_next(
        &mut self,
        now: Instant,
        forecast: &mut Forecast,
        out: &mut VecDeque<Output>,
    ) -> u64 {
        let (mut routes, mut failovers) = (Vec::new(), 0);
        for part in (0..self.parts.len()).filter(|&part| self.wants_another(now, part)).collect::<Vec<_>>() {
            let was_asked = self.attempts.was_asked(part);
            let is_lost = was_asked && !self.attempts.is_expected(part);
            let picked = self.pick(now, part, forecast);
            if self.mode == Mode::Hedged {
                let first = usize::from(!was_asked);
                self.hedges += u32::try_from(picked.len() - first.min(picked.len())).unwrap_or(u32::MAX);
            }
            if let Some(route) = picked.first().filter(|_| is_lost) {
                failovers += 1;
                let (request, to) = (self.id, route.replica);
                // A part that nobody is expected to answer has lost somebody.
                let loss = self.parts[part].loss.unwrap_or(Loss::Routing);
                out.push_back(Output::Event(Event::Failover { request, part: part_id(part), to, loss }));
            }
            routes.extend(picked.into_iter().map(|route| (part, route)));
        }
        self.ask(now, routes, out);
        failovers
    }

    /// The best replica of the part that was not asked yet, or was lost and is back. In mode `hedged` also when the one after it has its
    /// turn; if that is at once, that one too, and so on.
    fn pick(&mut self, now: Instant, part: usize, forecast: &mut Forecast) -> Vec<Route> {
        let mut fresh: Vec<Route> = self.fresh(part).copied().collect();
        let mut picked = Vec::new();
        while let Some(route) = forecast.best(&fresh) {
            picked.push(route);
            if self.mode != Mode::Hedged {
                break;
            }
            fresh.retain(|other| *other != route);
            let wait = self.patience(now, route, &fresh, forecast);
            forecast.take(route);
            self.parts[part].due = (!fresh.is_empty()).then(|| now + wait);
            if !wait.is_zero() {
                break;
            }
        }
        if self.bugs.has(Bug::HedgeNeverFires) {
            self.parts[part].due = None;
        }
        picked
    }

    /// How long a replica that is asked now is waited for until the next has its turn: its 95th percentile, and no longer than leaves time
    /// for all the others. They are all asked by half of the deadline, and early enough for the slowest.
    fn patience(&self, now: Instant, route: Route, others: &[Route], forecast: &Forecast) -> Duration {
        let Some(slowest) = others.iter().map(|other| forecast.overdue_after(*other)).max() else {
            return Duration::MAX;
        };
        let left = self.deadline.since(now);
        let half = (self.deadline - self.started) / 2;
        let spare = left.saturating_sub(slowest.max(half));
        let turns = u32::try_from(others.len()).unwrap_or(u32::MAX);
        forecast.overdue_after(route).min(spare / turns)
    }

    /// One message a device, with the input once and all the students it is asked for, in part order. The inputs leave one after the other,
    /// and what the answer waits for is the first replica of each part, most of all the slowest of these: so they are asked in that order.
    fn ask(&mut self, now: Instant, routes: Vec<(usize, Route)>, out: &mut VecDeque<Output>) {
        let mut quickest: BTreeMap<usize, (Duration, NodeId)> = BTreeMap::new();
        for (part, route) in &routes {
            let one = (route.expected, route.replica);
            quickest.entry(*part).and_modify(|other| *other = one.min(*other)).or_insert(one);
        }
        let mut devices: BTreeMap<NodeId, Vec<Digest>> = BTreeMap::new();
        for (part, route) in routes {
            self.asked += 1;
            self.attempts.begin(now, part, route);
            if part == 1 && self.bugs.has(Bug::NeverAskPart) {
                continue;
            }
            devices.entry(route.replica).or_default().push(route.student);
        }
        let awaited = |device: NodeId| quickest.values().filter(|one| one.1 == device).map(|one| one.0).max();
        let mut devices: Vec<(NodeId, Vec<Digest>)> = devices.into_iter().collect();
        devices.sort_by_key(|(device, _)| Reverse(awaited(*device)));
        let remaining = self.deadline.since(now);
        out.extend(devices.into_iter().map(|(to, students)| Output::Send {
            to,
            message: Message::Ask { request: self.id, bundle: self.routing.bundle, students, remaining },
            blob: self.input.clone(),
        }));
    }

    /// Replicas of the part that were not asked yet, or were lost and are back.
    pub(super) fn fresh(&self, part: usize) -> impl Iterator<Item = &Route> {
        self.routing.parts[part].iter().filter(|route| self.attempts.is_fresh(route))
    }

    pub(super) fn has_fresh(&self, part: usize) -> bool {
        self.fresh(part).next().is_some()
    }

    /// The replicas that [`Self::ask_next`] may ask.
    pub(in super::super) fn candidates(&self, now: Instant) -> impl Iterator<Item = Route> {
        let parts = (0..self.parts.len()).filter(move |&part| self.wants_another(now, part));
        parts.flat_map(|part| self.fresh(part)).copied()
    }

    /// One that was asked for the part will not answer; in mode `hedged` the next has its turn at once.
    pub(super) fn hurry(&mut self, part: usize, loss: Loss) {
        self.parts[part].loss = Some(loss);
        if self.mode == Mode::Hedged && self.parts[part].due.is_some() {
            self.parts[part].due = Some(self.started);
        }
    }
}
