//! The members as leadership needs them: who may lead, who is best, since when that has been stable.

use std::collections::BTreeMap;

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

/// What the best candidate is the greatest of: (configured priority, uptime class, id).
type Rank = (i32, u8, NodeId);

/// The members, this node included.
#[derive(Debug)]
pub(super) struct View {
    members: BTreeMap<NodeId, ViewMember>,
    suspect_since: BTreeMap<NodeId, Instant>,
    /// Identities that two devices have, with the latest start seen of them.
    barred: BTreeMap<NodeId, Generation>,
    /// Best first.
    candidates: Vec<(Rank, Generation)>,
    /// Since when `candidates` has been what it is.
    stable_since: Instant,
    /// Since when its first has been first.
    best_since: Instant,
    bugs: Bugs,
}

impl View {
    pub(super) fn new(bugs: Bugs, now: Instant) -> Self {
        Self {
            members: BTreeMap::new(),
            suspect_since: BTreeMap::new(),
            barred: BTreeMap::new(),
            candidates: Vec::new(),
            stable_since: now,
            best_since: now,
            bugs,
        }
    }

    /// Replaces the members.
    pub(super) fn replace(&mut self, me: NodeId, members: Vec<ViewMember>, now: Instant) {
        self.members = members.into_iter().map(|m| (m.id, m)).collect();
        let suspects = self.members.values().filter(|m| m.state == State::Suspect);
        self.suspect_since = suspects.map(|m| (m.id, self.suspect_since.get(&m.id).copied().unwrap_or(now))).collect();
        let members = &self.members;
        self.barred.retain(|id, generation| {
            *id == me || members.get(id).is_some_and(|m| m.state != State::Down && m.generation <= *generation)
        });
        self.refresh(now);
    }

    /// Takes the right to lead from an identity: for good if it is our own, else until a later start of it appears.
    pub(super) fn bar(&mut self, member: NodeId, now: Instant) {
        let generation = self.members.get(&member).map_or(Generation::default(), |m| m.generation);
        self.barred.insert(member, generation);
        self.refresh(now);
    }

    fn refresh(&mut self, now: Instant) {
        let eligible = self.members.values().filter(|m| m.state == State::Alive && self.may_lead(m));
        let mut candidates: Vec<_> = eligible.map(|m| ((m.priority, m.uptime_class, m.id), m.generation)).collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        if candidates != self.candidates {
            self.stable_since = now;
        }
        if candidates.first() != self.candidates.first() {
            self.best_since = now;
        }
        self.candidates = candidates;
    }

    fn may_lead(&self, member: &ViewMember) -> bool {
        member.state != State::Down && !member.draining && !self.barred.contains_key(&member.id)
    }

    /// Whether a claim may be followed: its leader is alive or only suspect, is not leaving, and has not restarted.
    pub(super) fn follows(&self, claim: &Claim) -> bool {
        let old_too = self.bugs.has(Bug::FollowOldStart);
        let is_of_now = |m: &ViewMember| claim.generation >= m.generation || old_too;
        self.members.get(&claim.leader).is_some_and(|m| self.may_lead(m) && is_of_now(m))
    }

    /// How many candidates are better than this one; `None` if it is none.
    pub(super) fn place(&self, id: NodeId) -> Option<u32> {
        let place = self.candidates.iter().position(|((.., candidate), _)| *candidate == id)?;
        u32::try_from(place).ok()
    }

    pub(super) fn stable_since(&self) -> Instant {
        self.stable_since
    }

    pub(super) fn best_since(&self) -> Instant {
        self.best_since
    }

    pub(super) fn of(&self, id: NodeId) -> Option<&ViewMember> {
        self.members.get(&id)
    }

    /// Whom to talk to: everybody with a link who is not given up, but us.
    pub(super) fn reachable(&self, me: NodeId) -> impl Iterator<Item = &ViewMember> {
        self.members.values().filter(move |m| m.id != me && m.linked && m.state != State::Down)
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
