//! The members as leadership needs them: who may lead, who is best, since when that has been stable.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::message::Claim;
use super::port::ViewMember;
use crate::bugs::{Bug, Bugs};
use crate::fleet::Capability;
use crate::id::{Generation, NodeId};
use crate::membership::State;
use crate::time::{Duration, Instant};

/// A suspect is planned with for so long: moving students for a suspicion that is refuted costs more than it brings,
/// and requests are routed around it meanwhile. Ours; above the longest time that a confirmation usually takes.
const SUSPECT_LONG: Duration = Duration::from_secs(5);

/// Candidates that may claim in the stead of better ones, one after the other. Ours.
const PLACES_MAX: usize = 32;

/// What the best candidate is the greatest of: (configured priority, uptime class, id).
type Rank = (i32, u8, NodeId);

/// The members, this node included. A clone shares them until either side changes one.
#[derive(Debug, Clone)]
pub(super) struct View {
    members: OrdMap<NodeId, Arc<ViewMember>>,
    suspect_since: BTreeMap<NodeId, Instant>,
    /// Identities that two devices have, with the latest start seen of them.
    barred: BTreeMap<NodeId, Generation>,
    /// The best last.
    candidates: OrdSet<(Rank, Generation)>,
    /// Since when `candidates` has been what it is.
    stable_since: Instant,
    /// Since when its last has been last.
    best_since: Instant,
    bugs: Bugs,
    /// Rises whenever the members to plan with change.
    revision: u64,
}

impl View {
    pub(super) fn new(bugs: Bugs, now: Instant) -> Self {
        Self {
            members: OrdMap::new(),
            suspect_since: BTreeMap::new(),
            barred: BTreeMap::new(),
            candidates: OrdSet::new(),
            stable_since: now,
            best_since: now,
            bugs,
            revision: 0,
        }
    }

    /// Takes in members that are new or have changed.
    pub(super) fn update(&mut self, me: NodeId, members: Vec<ViewMember>, now: Instant) {
        for member in members {
            match member.state {
                State::Suspect => drop(self.suspect_since.entry(member.id).or_insert(now)),
                State::Alive | State::Down => drop(self.suspect_since.remove(&member.id)),
            }
            let is_over = |barred: &Generation| member.state == State::Down || member.generation > *barred;
            if member.id != me && self.barred.get(&member.id).is_some_and(is_over) {
                self.barred.remove(&member.id);
            }
            let before = self.members.get(&member.id).map(|before| **before);
            if before != Some(member) {
                self.members.insert(member.id, Arc::new(member));
                self.refresh(before, Some(member), now);
            }
        }
    }

    /// Forgets a member.
    pub(super) fn remove(&mut self, member: NodeId, now: Instant) {
        self.suspect_since.remove(&member);
        self.barred.remove(&member);
        let before = self.members.remove(&member).map(|before| *before);
        self.refresh(before, None, now);
    }

    /// Takes the right to lead from an identity: for good if it is our own, else until a later start of it appears.
    pub(super) fn bar(&mut self, id: NodeId, now: Instant) {
        let member = self.members.get(&id).map(|member| **member);
        self.barred.insert(id, member.map_or(Generation::default(), |m| m.generation));
        self.refresh(member, member, now);
    }

    /// Puts a member that has changed in its place among the candidates, and notes whether that changed them.
    fn refresh(&mut self, before: Option<ViewMember>, after: Option<ViewMember>, now: Instant) {
        let best = self.candidates.get_max().copied();
        let place = |m: ViewMember| ((m.priority, m.uptime_class, m.id), m.generation);
        let was = before.map(place).filter(|place| self.candidates.contains(place));
        let is = after.filter(|m| m.state == State::Alive && self.may_lead(m)).map(place);
        if was != is {
            was.map(|was| self.candidates.remove(&was));
            is.map(|is| self.candidates.insert(is));
            self.stable_since = now;
        }
        if self.candidates.get_max().copied() != best {
            self.best_since = now;
        }
        let planned = |m: Option<ViewMember>| m.map(|m| (m.state, m.draining, m.capability));
        self.revision += u64::from(planned(before) != planned(after));
    }

    fn may_lead(&self, member: &ViewMember) -> bool {
        member.state != State::Down && !member.draining && !self.barred.contains_key(&member.id)
    }

    /// Whether a claim may be followed: its leader is alive or only suspect, is not leaving, and has not restarted.
    pub(super) fn follows(&self, claim: &Claim) -> bool {
        self.members.get(&claim.leader).is_some_and(|m| self.may_lead(m) && claim.generation >= m.generation)
    }

    /// How many candidates are better than this one; `None` if it is none, or far down.
    pub(super) fn place(&self, id: NodeId) -> Option<u32> {
        let place = self.candidates.iter().rev().take(PLACES_MAX).position(|((.., candidate), _)| *candidate == id)?;
        u32::try_from(place).ok()
    }

    /// Whether this one is the best candidate.
    pub(super) fn is_best(&self, id: NodeId) -> bool {
        self.candidates.get_max().is_some_and(|((.., best), _)| *best == id)
    }

    pub(super) fn stable_since(&self) -> Instant {
        self.stable_since
    }

    pub(super) fn best_since(&self) -> Instant {
        self.best_since
    }

    pub(super) fn of(&self, id: NodeId) -> Option<&ViewMember> {
        self.members.get(&id).map(|member| &**member)
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Everybody who is not given up, in order of ids.
    pub(super) fn up(&self) -> impl Iterator<Item = NodeId> {
        self.members.values().filter(|m| m.state != State::Down).map(|m| m.id)
    }

    /// Whether to talk to somebody: there is a link, and it is not given up.
    pub(super) fn is_reachable(&self, id: NodeId) -> bool {
        self.members.get(&id).is_some_and(|m| m.linked && m.state != State::Down)
    }

    /// Whom to talk to, but us: those after `last` in order of ids, then those before.
    pub(super) fn reachable_after(&self, me: NodeId, last: NodeId) -> impl Iterator<Item = NodeId> {
        let later = self.members.range((Bound::Excluded(last), Bound::Unbounded));
        let all = later.chain(self.members.range(..=last)).map(|(id, _)| *id);
        all.filter(move |id| *id != me && self.is_reachable(*id))
    }

    /// What changes whenever [`Self::plannable`] does.
    pub(super) fn revision(&self, now: Instant) -> (u64, usize) {
        (self.revision, self.suspect_since.values().filter(|since| now >= **since + SUSPECT_LONG).count())
    }

    /// The members to plan with, in order of ids.
    pub(super) fn plannable(&self, now: Instant) -> impl Iterator<Item = (NodeId, Capability)> {
        self.members
            .values()
            .filter(move |m| {
                let in_time = match m.state {
                    State::Alive => true,
                    State::Suspect => self.suspect_since.get(&m.id).is_none_or(|since| now < *since + SUSPECT_LONG),
                    State::Down => self.bugs.has(Bug::PlanWithDown),
                };
                in_time && !m.draining
            })
            .map(|m| (m.id, m.capability))
    }

    /// When the next suspect stops being planned with.
    pub(super) fn suspect_due(&self, now: Instant) -> Option<Instant> {
        self.suspect_since.values().map(|since| *since + SUSPECT_LONG).filter(|due| *due > now).min()
    }
}
