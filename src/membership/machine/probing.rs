//! Asking members whether they are there, and what follows from silence.

use super::*;
use crate::membership::probe::{LATE_ANSWER, NACK_SHARE, PROBES_KEPT_MAX, PROBES_MAX, RELAYS_MAX, Stage};
use crate::membership::ring;
use crate::membership::rtt::Rtt;
use crate::membership::suspicion::{Suspicion, confirmations_wanted};

/// A member that was only heard of is not blamed for silence before a first link could come up. Ours: several dials.
const FIRST_MEETING: Duration = Duration::from_secs(5);
/// A member whose direct way is broken, but which others reach, is tried again at most this many intervals apart.
const RETRY_BACKOFF_MAX: u32 = 16;

impl Membership {
    /// A link closed, or a request failed: no routing from now on, and a probe to know.
    pub(super) fn on_evidence(&mut self, now: Instant, peer: NodeId, reason: Reason) {
        let Some(mut member) = self.members.get_mut(&peer) else { return };
        // Many requests fail together: one probe is enough.
        let known = reason == Reason::RequestFailed && member.evidence.is_some() && member.retry_at.is_some();
        member.evidence = Some(reason);
        member.retries = 0;
        let up = member.is_up();
        drop(member);
        self.settle(peer);
        if up && !known {
            self.probe_on_evidence(now, peer);
        }
    }

    /// Probes a member outside the rounds, others asked at once; later if too many such probes are under way.
    pub(super) fn probe_on_evidence(&mut self, now: Instant, target: NodeId) {
        let retry_at = now + self.health.stretch(self.config.probe_interval);
        let Some(mut member) = self.members.get_mut(&target) else { return };
        member.retry_at = Some(retry_at);
        drop(member);
        let under_way = self.probe_of(target);
        if under_way.is_none() && self.probes_open() >= PROBES_MAX {
            return;
        }
        let seq = under_way.unwrap_or_else(|| self.start_probe(now, target, true));
        self.ask_others(now, seq);
    }

    /// The next round, when its time has come.
    pub(super) fn round_due(&mut self, now: Instant) {
        if now < self.probe_at || self.members.is_empty() {
            return;
        }
        let interval = self.health.stretch(self.config.probe_interval);
        let punctual = self.probe_at + interval;
        self.probe_at = if punctual > now { punctual } else { now + interval };
        self.round = ring::later(self.round.wrapping_add(1), self.round_heard);
        self.round_heard = self.round;
        let Some(target) = self.round_target() else { return };
        let Some(member) = self.members.get(&target) else { return };
        let unmet = !member.met && !member.linked && now.since(member.started) < FIRST_MEETING;
        if !unmet && self.probe_of(target).is_none() {
            self.start_probe(now, target, true);
        }
    }

    fn round_target(&self) -> Option<NodeId> {
        let (mine, size) = (self.members.rank(self.me), self.size());
        let target = (mine + ring::offset(self.round, size)?) % size;
        // This node itself has a place in the ring, and none among the members.
        self.members.ranked(if target > mine { target - 1 } else { target })
    }

    /// Looks again at members that are suspect, or whose direct way is broken.
    pub(super) fn retries_due(&mut self, now: Instant) {
        let mut due: Vec<_> =
            self.members.retries().iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        due.sort_unstable();
        for id in due {
            self.retry(now, id);
        }
    }

    fn retry(&mut self, now: Instant, id: NodeId) {
        let interval = self.health.stretch(self.config.probe_interval);
        let Some(mut member) = self.members.get_mut(&id) else { return };
        member.retry_at = None;
        let unsettled = match member.state {
            State::Suspect => true,
            State::Alive => member.evidence.is_some() && member.linked,
            State::Down => false,
        };
        if !unsettled {
            return;
        }
        if member.suspicion.as_ref().is_some_and(|s| !s.witnessed) || !member.linked {
            drop(member);
            self.probe_on_evidence(now, id);
            return;
        }
        let wait = if member.is_alive() { 1 << member.retries.min(RETRY_BACKOFF_MAX.ilog2()) } else { 1 };
        member.retry_at = Some(now + interval * wait);
        drop(member);
        if self.probes_open() < PROBES_MAX && self.probe_of(id).is_none() {
            self.start_probe(now, id, false);
            self.members.get_mut(&id).into_iter().for_each(|mut m| m.retries = m.retries.saturating_add(1));
        }
    }

    fn probes_open(&self) -> usize {
        self.probes.values().filter(|p| p.stage != Stage::Over).count()
    }

    /// The probe of the member that is under way.
    fn probe_of(&self, target: NodeId) -> Option<u64> {
        self.probes.iter().find(|(_, p)| p.target == target && p.stage != Stage::Over).map(|(seq, _)| *seq)
    }

    fn start_probe(&mut self, now: Instant, target: NodeId, thorough: bool) -> u64 {
        self.seq += 1;
        let seq = self.seq;
        if self.probes.len() >= PROBES_KEPT_MAX {
            self.probes.pop_first();
        }
        let deadline = now + self.patience(target);
        let probe = Probe { target, sent: now, deadline, stage: Stage::Direct, thorough, helpers: BTreeMap::new() };
        self.probes.insert(seq, probe);
        if self.links.contains(&target) {
            self.send(target, Kind::Ping { seq, round: self.round }, Vec::new());
        } else {
            self.ask_others(now, seq);
        }
        seq
    }

    /// Passes an accusation on to the accused, so that it can refute, and probes it.
    pub(super) fn question(&mut self, now: Instant, target: NodeId, accusation: Update) {
        if self.links.contains(&target) {
            self.send(target, Kind::Gossip, vec![accusation]);
        }
        if self.probes_open() < PROBES_MAX && self.probe_of(target).is_none() {
            self.start_probe(now, target, true);
        }
    }

    /// How long to wait for an answer of the member to a direct ping.
    fn patience(&self, target: NodeId) -> Duration {
        let measured = self.members.get(&target).and_then(|m| m.rtt).map_or(Duration::ZERO, Rtt::timeout);
        self.health.stretch(self.config.probe_timeout.max(measured))
    }

    fn ask_others(&mut self, now: Instant, seq: u64) {
        let Some(target) = self.probes.get(&seq).filter(|p| p.stage == Stage::Direct).map(|p| p.target) else { return };
        let fit = |m: &Member| m.is_alive() && m.linked && m.id != target && m.evidence.is_none();
        let helpers = self.pick(self.config.indirect_probes, fit);
        let deadline = now + self.patience(target);
        let Some(probe) = self.probes.get_mut(&seq) else { return };
        probe.stage = Stage::Indirect;
        probe.deadline = deadline;
        probe.helpers = helpers.iter().map(|h| (*h, false)).collect();
        for helper in helpers {
            self.send(helper, Kind::PingRequest { seq, target }, Vec::new());
        }
    }

    pub(super) fn probe_deadline(&self) -> Option<Instant> {
        self.probes.values().map(|p| p.deadline).min()
    }

    pub(super) fn probes_due(&mut self, now: Instant) {
        let due: Vec<_> = self.probes.iter().filter(|(_, p)| p.deadline <= now).map(|(seq, _)| *seq).collect();
        for seq in due {
            let Some((stage, thorough)) = self.probes.get(&seq).map(|p| (p.stage, p.thorough)) else { continue };
            match stage {
                Stage::Direct if thorough => self.ask_others(now, seq),
                Stage::Direct | Stage::Indirect => self.probe_failed(now, seq),
                Stage::Over => drop(self.probes.remove(&seq)),
            }
        }
    }

    fn probe_failed(&mut self, now: Instant, seq: u64) {
        let Some(probe) = self.probes.get_mut(&seq) else { return };
        let (target, thorough, silent) = (probe.target, probe.thorough, probe.silent_helpers());
        let alone = probe.helpers.is_empty();
        probe.stage = Stage::Over;
        probe.deadline = now + LATE_ANSWER;
        if !thorough {
            return;
        }
        self.counters.probes_failed += 1;
        let linked = self.links.contains(&target);
        self.health.worsen(if alone { u32::from(linked) } else { silent });
        let generation_and_incarnation = match self.members.get_mut(&target) {
            Some(mut member) if member.is_up() => {
                member.evidence.get_or_insert(Reason::NoAnswer);
                (member.generation(), member.incarnation())
            }
            _ => return,
        };
        self.suspect(now, target, generation_and_incarnation, self.me);
        self.suspicion(target, |suspicion| suspicion.witnessed = true);
    }

    /// The answer to a direct ping: life, and a way to it. Of another start of the device (an old state was restored, say) it is no
    /// life of the one that is known: that one has to go down before the other can be met.
    pub(super) fn on_ack(&mut self, now: Instant, from: NodeId, seq: u64, stamp: Stamp) {
        if let Some(relay) = self.relays.get(&seq).copied().filter(|r| r.target == from) {
            self.relays.remove(&seq);
            self.send(relay.asker, Kind::Reached { seq: relay.asker_seq, stamp }, Vec::new());
            return;
        }
        let Some(probe) = self.probes.get(&seq).filter(|p| p.target == from).cloned() else { return };
        self.probes.remove(&seq);
        if probe.stage != Stage::Over {
            self.health.improve();
        }
        let Some(mut member) = self.members.get_mut(&from).filter(|m| m.start() == stamp.start) else { return };
        let sample = now.since(probe.sent);
        member.rtt = Some(member.rtt.map_or(Rtt::new(sample), |rtt| rtt.with(sample)));
        member.evidence = None;
        member.retries = 0;
        if let Some(suspicion) = &mut member.suspicion {
            suspicion.witnessed = false;
        }
        drop(member);
        self.settle(from);
    }

    /// Life, by way of another; our own way to it stays in doubt.
    pub(super) fn on_reached(&mut self, now: Instant, helper: NodeId, seq: u64, stamp: Stamp) {
        let Some(probe) = self.probes.get(&seq).filter(|p| p.helpers.contains_key(&helper)).cloned() else { return };
        if probe.stage != Stage::Over {
            self.health.improve();
            self.probes.remove(&seq);
        }
        self.hear_of(now, helper, probe.target, stamp, None);
        let interval = self.config.probe_interval;
        let patience = self.patience(probe.target);
        let Some(mut member) = self.members.get_mut(&probe.target).filter(|m| m.start() == stamp.start) else { return };
        if now.since(probe.sent) >= patience {
            member.evidence.get_or_insert(Reason::NoAnswer);
        }
        if let Some(suspicion) = &mut member.suspicion {
            suspicion.witnessed = false;
        }
        if member.evidence.is_some() && member.retry_at.is_none() {
            member.retry_at = Some(now + interval);
        }
        drop(member);
        self.settle(probe.target);
    }

    pub(super) fn on_nack(&mut self, now: Instant, helper: NodeId, seq: u64) {
        let Some(probe) = self.probes.get_mut(&seq) else { return };
        let Some(nacked) = probe.helpers.get_mut(&helper) else { return };
        *nacked = true;
        let unlinked = !self.links.contains(&probe.target);
        let (hopeless, waited) = (probe.is_hopeless(), now.since(probe.sent));
        let target = probe.target;
        if hopeless && (unlinked || waited >= self.patience(target)) {
            self.probe_failed(now, seq);
        }
    }

    pub(super) fn on_ping_request(&mut self, now: Instant, asker: NodeId, asker_seq: u64, target: NodeId) {
        let linked = self.links.contains(&target);
        if !linked || self.relays.len() >= RELAYS_MAX {
            self.counters.relays_refused += u64::from(linked);
            self.send(asker, Kind::Nack { seq: asker_seq }, Vec::new());
            return;
        }
        self.seq += 1;
        let seq = self.seq;
        let deadline = now + self.patience(target).mul_f64(NACK_SHARE);
        self.relays.insert(seq, Relay { asker, asker_seq, target, deadline });
        self.send(target, Kind::Ping { seq, round: self.round }, Vec::new());
    }

    pub(super) fn relays_due(&mut self, now: Instant) {
        let due: Vec<_> = self.relays.iter().filter(|(_, r)| r.deadline <= now).map(|(seq, r)| (*seq, *r)).collect();
        for (seq, relay) in due {
            self.relays.remove(&seq);
            self.send(relay.asker, Kind::Nack { seq: relay.asker_seq }, Vec::new());
        }
    }

    /// `by` accuses the member at this generation and incarnation: a new suspicion, or one more confirmation.
    pub(super) fn suspect(&mut self, now: Instant, id: NodeId, at: (Generation, Incarnation), by: NodeId) {
        let wanted = confirmations_wanted(&self.config, self.alive());
        let (stamp, begins, news) = {
            let Some(mut member) = self.members.get_mut(&id) else { return };
            let begins = member.suspicion.is_none() && member.is_up();
            if begins {
                member.enter(State::Suspect, now);
                member.suspicion = Some(Box::new(Suspicion::new(now, by)));
            }
            (
                member.stamp,
                begins,
                begins || member.suspicion.as_mut().is_some_and(|suspicion| suspicion.confirm(by, wanted)),
            )
        };
        if begins {
            self.event(Event::Suspected { member: id, stamp, by });
            self.settle(id);
            self.look_again(now, id, by);
        }
        if news {
            self.tell(Update { member: id, claim: Claim::Suspect { generation: at.0, incarnation: at.1, by } });
        }
    }

    /// A suspicion of others is checked at once, one of our own in the next interval.
    fn look_again(&mut self, now: Instant, id: NodeId, by: NodeId) {
        if by != self.me {
            self.probe_on_evidence(now, id);
        } else if let Some(mut member) = self.members.get_mut(&id) {
            member.retry_at = Some(now + self.health.stretch(self.config.probe_interval));
        }
    }

    /// Changes a suspicion that runs.
    pub(super) fn suspicion(&mut self, id: NodeId, change: impl FnOnce(&mut Suspicion)) {
        if let Some(mut member) = self.members.get_mut(&id)
            && let Some(suspicion) = &mut member.suspicion
        {
            change(suspicion);
        }
    }

    /// Notes when each suspicion ends: of those that changed, or of all if that depends on how many members are left.
    pub(super) fn note_suspicions(&mut self) {
        let (size, wanted) = (self.size(), confirmations_wanted(&self.config, self.alive()));
        let mut doubted = self.members.take_doubted();
        if self.suspicions.depend_on(size, wanted) {
            doubted.extend(self.members.suspects());
        }
        for id in doubted {
            let suspicion = self.members.get(&id).and_then(|member| member.suspicion.as_ref());
            self.suspicions.set(id, suspicion.map(|s| s.deadline(&self.config, size, wanted)));
        }
    }

    /// Gives up members whose suspicion is over, if we have asked them ourselves in vain.
    pub(super) fn suspicions_due(&mut self, now: Instant) {
        self.note_suspicions();
        let mut suspects = self.suspicions.over(now);
        suspects.sort_unstable();
        let mut verdicts = Vec::new();
        for id in suspects {
            let Some(suspicion) = self.members.get(&id).and_then(|member| member.suspicion.as_ref()) else { continue };
            if suspicion.witnessed {
                verdicts.push(id);
                continue;
            }
            let interval = self.config.probe_interval;
            self.suspicion(id, |suspicion| suspicion.delay(now, Duration::ZERO, interval));
            if let Some(mut member) = self.members.get_mut(&id) {
                member.retry_at.get_or_insert(now);
            }
        }
        for id in verdicts {
            self.give_up(now, id);
        }
    }

    pub(super) fn give_up(&mut self, now: Instant, id: NodeId) {
        let Some(mut member) = self.members.get_mut(&id) else { return };
        member.enter(State::Down, now);
        member.retry_at = None;
        let stamp = member.stamp;
        drop(member);
        self.event(Event::Down { member: id, stamp });
        self.settle(id);
        let verdict = self.members.get(&id).and_then(|m| self.accusation(m));
        verdict.into_iter().for_each(|update| self.tell(update));
    }

    /// We stood still for `late`: answers may be waiting to be read.
    pub(super) fn put_off_verdicts(&mut self, now: Instant, late: Duration) {
        let (timeout, interval) = (self.config.probe_timeout, self.config.probe_interval);
        for probe in self.probes.values_mut() {
            probe.deadline = probe.deadline.max(now + timeout);
        }
        let suspects: Vec<_> = self.members.suspects().iter().copied().collect();
        for id in suspects {
            self.suspicion(id, |suspicion| suspicion.delay(now, late, interval));
        }
    }
}
