//! Which replicas an open request asked for what, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use super::part_id;
use crate::id::{Digest, NodeId};
use crate::inference::{Fate, Route, Routing, Try};
use crate::time::{Duration, Instant};

/// One replica's try at one part.
#[derive(Debug)]
struct Attempt {
    part: usize,
    asked: Instant,
    expected: Duration,
    state: State,
    /// When it was over, and how.
    end: Option<(Instant, Fate)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Asked; an answer is expected.
    Waiting,
    /// Not expected any more, but still taken: the link broke, or the replica is not routed to.
    Lost,
    /// Lost, but routed to again: may be asked anew.
    Back,
    /// Answered, refused or cancelled: nothing more is taken from it.
    Over,
}

/// All attempts of one request.
#[derive(Debug, Default)]
pub(super) struct Attempts(BTreeMap<(NodeId, Digest), Attempt>);

impl Attempts {
    /// The replica is asked for the part now.
    pub(super) fn begin(&mut self, now: Instant, part: usize, route: Route) {
        let Route { replica, student, expected } = route;
        self.0.insert((replica, student), Attempt { part, asked: now, expected, state: State::Waiting, end: None });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether the replica was not asked yet, or was lost and is back.
    pub(super) fn is_fresh(&self, route: &Route) -> bool {
        self.0.get(&(route.replica, route.student)).is_none_or(|attempt| attempt.state == State::Back)
    }

    /// Whether anybody was ever asked for the part.
    pub(super) fn was_asked(&self, part: usize) -> bool {
        self.0.values().any(|attempt| attempt.part == part)
    }

    /// Whether an answer for the part is expected.
    pub(super) fn is_expected(&self, part: usize) -> bool {
        self.waiting_for(part).next().is_some()
    }

    /// Who is expected to answer for the part, with which student.
    pub(super) fn waiting_for(&self, part: usize) -> impl Iterator<Item = (NodeId, Digest)> {
        self.waiting().filter(move |(_, attempt)| attempt.part == part).map(|(who, _)| who)
    }

    fn waiting(&self) -> impl Iterator<Item = ((NodeId, Digest), &Attempt)> {
        self.0.iter().filter(|(_, attempt)| attempt.state == State::Waiting).map(|(who, attempt)| (*who, attempt))
    }

    /// Jobs that the replica owes, asked for after `since`.
    pub(super) fn owed_since(&self, replica: NodeId, since: Instant) -> usize {
        self.waiting().filter(|((who, _), attempt)| *who == replica && attempt.asked > since).count()
    }

    /// Who owes a job; once for each.
    pub(super) fn owing(&self) -> impl Iterator<Item = NodeId> {
        self.waiting().map(|((replica, _), _)| replica)
    }

    /// Who was asked early enough for a part that counts, and has said nothing.
    pub(super) fn silent(
        &self,
        is_early: impl Fn(Instant) -> bool,
        counts: impl Fn(usize) -> bool,
    ) -> BTreeSet<NodeId> {
        let silent = self.waiting().filter(|(_, attempt)| is_early(attempt.asked) && counts(attempt.part));
        silent.map(|((replica, _), _)| replica).collect()
    }

    /// The replica has had its say: for which part, and when it was asked. `None` if nothing is taken from it.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        (replica, student): (NodeId, Digest),
        fate: Fate,
    ) -> Option<(usize, Instant)> {
        let attempt = self.0.get_mut(&(replica, student)).filter(|attempt| attempt.state != State::Over)?;
        attempt.state = State::Over;
        attempt.end = Some((now, fate));
        Some((attempt.part, attempt.asked))
    }

    /// The link to the peer broke; the parts that waited for it.
    pub(super) fn lose(&mut self, peer: NodeId) -> Vec<usize> {
        let mut parts = Vec::new();
        for (_, attempt) in self.0.iter_mut().filter(|((replica, _), _)| *replica == peer) {
            if attempt.state == State::Waiting {
                parts.push(attempt.part);
            }
            if attempt.state != State::Over {
                attempt.state = State::Lost;
            }
        }
        parts
    }

    /// Follows a new routing of the same bundle; the parts that waited for somebody who is not routed to any more.
    pub(super) fn reroute(&mut self, routing: &Routing) -> Vec<usize> {
        let mut lost = Vec::new();
        for (&(replica, student), attempt) in &mut self.0 {
            let routed = routing.parts[attempt.part].iter().any(|r| (r.replica, r.student) == (replica, student));
            attempt.state = match (attempt.state, routed) {
                (State::Lost | State::Back, true) => State::Back,
                (State::Lost | State::Back, false) => State::Lost,
                (State::Waiting, false) => {
                    lost.push(attempt.part);
                    State::Lost
                }
                (kept @ (State::Waiting | State::Over), _) => kept,
            };
        }
        lost
    }

    /// What became of all of them, as times after the request.
    pub(super) fn tries(&self, started: Instant) -> impl Iterator<Item = Try> {
        self.0.iter().map(move |(&(replica, _), attempt)| {
            let still = match attempt.state {
                State::Lost | State::Back => Fate::Lost,
                State::Waiting | State::Over => Fate::Open,
            };
            Try {
                part: part_id(attempt.part),
                replica,
                asked: attempt.asked.since(started),
                ended: attempt.end.map(|(at, _)| at.since(started)),
                fate: attempt.end.map_or(still, |(_, fate)| fate),
            }
        })
    }

    /// Gives up every job at devices that have none for a part of those; what was given up, each after how long.
    pub(super) fn cancel_all_but(&mut self, now: Instant, of_use: impl Fn(usize) -> bool) -> Vec<(Route, Duration)> {
        let useful: BTreeSet<NodeId> = (self.0.iter())
            .filter(|(_, attempt)| attempt.state != State::Over && of_use(attempt.part))
            .map(|((replica, _), _)| *replica)
            .collect();
        let mut cancelled = Vec::new();
        for (&(replica, student), attempt) in &mut self.0 {
            if attempt.state == State::Waiting && !useful.contains(&replica) {
                attempt.state = State::Over;
                attempt.end = Some((now, Fate::Cancelled));
                let route = Route { replica, student, expected: attempt.expected };
                cancelled.push((route, now.since(attempt.asked)));
            }
        }
        cancelled
    }
}
