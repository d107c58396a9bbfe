//! What to believe of what is claimed.

use super::*;
use crate::bugs::Bug;
use crate::membership::port::Claimant;

/// Others can tell us of counters that are higher by this much than those we know, and no more: a wrong or hostile
/// word must not use the numbers up. The member's own word is not bounded.
const JUMP_MAX: u32 = 1 << 16;
/// Messages of an earlier start may be under way for this long after a restart without meaning that two devices have
/// one identity. Ours.
const RESTART_OVERLAP: Duration = Duration::from_secs(2);
/// A clash of identities is told again after this, or once the other's name is known.
const CLASH_REPEAT: Duration = Duration::from_secs(60);
/// Clashes remembered. When there are more all are forgotten, and told once more.
const CLASHES_MAX: usize = 64;

impl Membership {
    pub(super) fn on_claim(&mut self, now: Instant, from: NodeId, update: Update) {
        let Update { member, claim } = update;
        match claim {
            Claim::Alive { stamp, record } => self.hear_of(now, from, member, stamp, record),
            Claim::Left { generation } => self.on_farewell(now, from, member, generation),
            Claim::Suspect { generation, incarnation, by } => {
                self.on_accusation(now, from, member, (generation, incarnation), by, false);
            }
            Claim::Down { generation, incarnation, by } => {
                self.on_accusation(now, from, member, (generation, incarnation), by, true);
            }
        }
    }

    /// `teller` says that the member is alive at `stamp`. The member's own word if they are the same.
    pub(super) fn hear_of(
        &mut self,
        now: Instant,
        teller: NodeId,
        id: NodeId,
        stamp: Stamp,
        record: Option<Arc<Record>>,
    ) {
        if id == self.me {
            return self.hear_of_me(now, stamp, record.as_deref());
        }
        if record.as_ref().is_some_and(|r| r.validate().is_err()) {
            self.counters.records_refused += 1;
            return;
        }
        let at = (stamp.start.generation, stamp.incarnation);
        // What comes after its link has gone was said before the member died: no word of its own that it is back.
        let first_hand = teller == id && self.links.contains(&id);
        if self.tombstones.covers(id, at, first_hand) {
            return;
        }
        let Some(known) = self.members.get(&id) else { return self.meet(now, teller, id, stamp, record) };
        let (start, down) = (known.stamp.start, known.state == State::Down);
        if stamp.start == start {
            self.hear_more(now, teller, id, stamp, record);
        } else if stamp.start.generation > start.generation
            || (down && (stamp.start.generation == start.generation || first_hand))
        {
            let jump = stamp.start.generation.0.saturating_sub(start.generation.0);
            if teller != id && jump > u64::from(JUMP_MAX) {
                self.counters.updates_refused += 1;
            } else {
                self.meet(now, teller, id, stamp, record);
            }
        } else {
            let early = now.since(known.started) < RESTART_OVERLAP;
            let restart = stamp.start.generation < start.generation && (early || teller != id);
            if !restart {
                self.clash(now, id, stamp.start, record.as_deref());
            }
        }
    }

    /// Of somebody new, or of a new start.
    fn meet(&mut self, now: Instant, teller: NodeId, id: NodeId, stamp: Stamp, record: Option<Arc<Record>>) {
        let Some(record) = record else { return self.want(now, teller, id) };
        if !self.members.contains_key(&id) && !self.make_room(now) {
            self.counters.members_refused += 1;
            return;
        }
        self.tombstones.lift(id);
        let mut member = Member::new(id, stamp, Arc::clone(&record), self.links.contains(&id), now);
        if let Some(before) = self.members.get(&id) {
            (member.routable, member.rtt) = (before.routable, before.rtt);
        }
        member.dial_at = now + self.dial_delay(id);
        self.members.insert(member);
        self.event(Event::Joined { member: id, stamp });
        self.settle(id);
        self.tell(Update { member: id, claim: Claim::Alive { stamp, record: Some(record) } });
    }

    /// Of a start that we know.
    fn hear_more(&mut self, now: Instant, teller: NodeId, id: NodeId, mut stamp: Stamp, record: Option<Arc<Record>>) {
        let Some(mut member) = self.members.get_mut(&id) else { return };
        let known = member.stamp;
        let lied = teller != id
            && (stamp.incarnation.0.saturating_sub(known.incarnation.0) > JUMP_MAX
                || stamp.version.saturating_sub(known.version) > JUMP_MAX);
        if lied {
            self.counters.updates_refused += 1;
            return;
        }
        let (risen, newer) = (stamp.incarnation > known.incarnation, stamp.version > known.version);
        stamp.incarnation = stamp.incarnation.max(known.incarnation);
        let fresh = record.filter(|_| newer);
        let behind = newer && fresh.is_none();
        stamp.version = if fresh.is_some() { stamp.version } else { known.version };
        member.stamp = stamp;
        if let Some(record) = &fresh {
            member.record = Arc::clone(record);
        }
        let before = member.state;
        if risen && before != State::Alive {
            member.enter(State::Alive, now);
            (member.dial_at, member.dials) = (now, 0);
            // Its own word proves life; whether our way to it works is asked at once.
            (member.retry_at, member.retries) = (Some(now), 0);
        }
        drop(member);
        if behind {
            self.want(now, teller, id);
        }
        if risen && before != State::Alive {
            let was_down = before == State::Down;
            self.event(if was_down {
                Event::Alive { member: id, stamp }
            } else {
                Event::Refuted { member: id, stamp }
            });
            self.settle(id);
        }
        if fresh.is_some() {
            self.event(Event::RecordChanged { member: id });
        }
        if risen || fresh.is_some() {
            self.tell(Update { member: id, claim: Claim::Alive { stamp, record: fresh } });
        }
    }

    /// Somebody says that we are alive at `stamp`. We know better: what exceeds it comes from another device.
    pub(super) fn hear_of_me(&mut self, now: Instant, stamp: Stamp, record: Option<&Record>) {
        let (theirs, ours) = (stamp.start, self.stamp.start);
        if theirs.generation > ours.generation || (theirs.generation == ours.generation && theirs != ours) {
            self.clash(now, self.me, theirs, record);
        }
    }

    fn clash(&mut self, now: Instant, id: NodeId, other: Start, record: Option<&Record>) {
        let named = record.is_some();
        let told = self.clashes.get(&(id, other));
        if told.is_some_and(|(at, told_name)| now.since(*at) < CLASH_REPEAT && (*told_name || !named)) {
            return;
        }
        if self.clashes.len() >= CLASHES_MAX {
            self.clashes.clear();
        }
        self.clashes.insert((id, other), (now, named));
        let claimant = |start, record: Option<&Record>| Claimant {
            start,
            name: record.map(|r| r.name.clone()),
            addresses: record.map_or_else(Vec::new, |r| r.addresses.clone()),
        };
        let known = match self.members.get(&id) {
            Some(member) => claimant(member.start(), Some(&member.record)),
            None => claimant(self.stamp.start, Some(&self.record)),
        };
        self.event(Event::IdentityClash { member: id, known, other: claimant(other, record) });
    }

    fn on_accusation(
        &mut self,
        now: Instant,
        from: NodeId,
        id: NodeId,
        at: (Generation, Incarnation),
        by: NodeId,
        down: bool,
    ) {
        if id == self.me && self.config.bugs.has(Bug::NeverRefute) {
            return;
        }
        if id == self.me {
            return self.refute(at);
        }
        let Some(mut member) = self.members.get_mut(&id) else { return };
        let known = (member.generation(), member.incarnation());
        if at.0 > known.0 {
            drop(member);
            return self.want(now, from, id);
        }
        if at < known || by == id {
            return;
        }
        if at.1.0 - known.1.0 > JUMP_MAX {
            drop(member);
            self.counters.updates_refused += 1;
            return;
        }
        member.stamp.incarnation = at.1;
        drop(member);
        if by == self.me || !(by == from || self.members.contains_key(&by)) {
            return;
        }
        let state = self.members.get(&id).map(Member::state);
        match state {
            Some(State::Alive | State::Suspect) if down && self.config.bugs.has(Bug::BelieveVerdict) => {
                self.give_up(now, id)
            }
            Some(State::Alive) if down => self.doubt(now, id, at, by),
            Some(State::Alive | State::Suspect) => {
                self.suspect(now, id, at, by);
                self.suspicion(id, |suspicion| suspicion.waited_out |= down);
            }
            Some(State::Down) | None => {}
        }
    }

    /// Another has given up a member that we hold alive: it is asked before anything is believed, and told of the
    /// verdict so that it can refute. Whoever heals a partition meets such verdicts on all of the other side; none of
    /// them may cost a request.
    fn doubt(&mut self, now: Instant, id: NodeId, at: (Generation, Incarnation), by: NodeId) {
        let claim = Claim::Down { generation: at.0, incarnation: at.1, by };
        self.question(now, id, Update { member: id, claim });
    }

    fn refute(&mut self, at: (Generation, Incarnation)) {
        let (own, incarnation) = (self.stamp.start.generation, self.stamp.incarnation);
        if at.0 != own || at.1 < incarnation || at.1.0 - incarnation.0 > JUMP_MAX {
            return;
        }
        self.stamp.incarnation = Incarnation(at.1.0.saturating_add(1));
        self.counters.refutations += 1;
        self.health.worsen(1);
        let update = self.own_update(false);
        self.tell(update);
    }

    /// The member's own word is final; that of others is believed only where we have lost it as well.
    fn on_farewell(&mut self, now: Instant, from: NodeId, id: NodeId, generation: Generation) {
        let Some(member) = self.members.get(&id) else { return };
        if id == self.me || member.generation() != generation {
            return;
        }
        let believed = from == id || (!member.linked && member.state != State::Alive);
        if !believed {
            if member.is_alive() {
                self.probe_on_evidence(now, id);
            }
            return;
        }
        if !self.config.bugs.has(Bug::ForgetTombstone) {
            self.tombstones.leave(id, generation, now + self.config.forget_after);
        }
        self.bury(id);
        self.tell(Update { member: id, claim: Claim::Left { generation } });
    }

    /// Takes a member out of the view.
    pub(super) fn bury(&mut self, id: NodeId) {
        let Some(member) = self.members.remove(&id) else { return };
        if member.routable {
            self.event(Event::Unroutable { member: id, reason: Reason::State });
        }
        self.probes.retain(|_, p| p.target != id);
        self.event(Event::Left { member: id });
    }
}
