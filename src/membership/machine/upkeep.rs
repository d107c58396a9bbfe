//! What is done now and then: gossip, dials, calls to members held down, our own record, forgetting.

use super::*;

/// Links dialled in one step; further ones follow after [`DIAL_PAUSE`].
const DIALS_MAX: usize = 16;
/// Between two steps with too many dials.
const DIAL_PAUSE: Duration = Duration::from_millis(50);
/// The node with the greater id lets the other dial first, so that seldom two links come up for one. Ours.
const DIAL_POLITENESS: Duration = Duration::from_millis(300);

impl Membership {
    pub(super) fn on_link_down(&mut self, now: Instant, peer: NodeId) {
        self.links.remove(&peer);
        let delay = self.dial_delay(peer);
        let Some(mut member) = self.members.get_mut(&peer) else { return };
        (member.linked, member.dial_at, member.dials) = (false, now + delay, 0);
        drop(member);
        self.on_evidence(now, peer, Reason::LinkDown);
    }

    pub(super) fn on_record(&mut self, now: Instant, record: Record) {
        let record = record.clamped();
        self.record_pending = self.record.differs_materially(&record).then_some(record);
        self.record_due(now);
    }

    pub(super) fn record_due(&mut self, now: Instant) {
        let Some(record) = self.record_pending.take_if(|_| self.record_at <= now) else { return };
        self.record = Arc::new(record);
        self.stamp.version = self.stamp.version.saturating_add(1);
        self.record_at = now + self.config.record_interval;
        let update = self.own_update(true);
        self.tell(update);
    }

    pub(super) fn on_leave(&mut self) {
        let generation = self.stamp.start.generation;
        let farewell = Update { member: self.me, claim: Claim::Left { generation } };
        for peer in self.links.clone() {
            self.send(peer, Kind::Gossip, vec![farewell.clone()]);
        }
        self.left = true;
    }

    /// Tells a few members the news; nobody is told anything while there are none.
    pub(super) fn gossip_due(&mut self, now: Instant) {
        if self.queue.is_empty() || now < self.gossip_at {
            return;
        }
        self.gossip_at = now + self.config.gossip_interval;
        let told = self.pick(self.config.gossip_fanout, |m| m.is_alive() && m.linked);
        if told.is_empty() {
            self.queue.clear();
        }
        for peer in told {
            if !self.queue.is_empty() {
                self.send(peer, Kind::Gossip, Vec::new());
            }
        }
    }

    /// Before the first dial.
    pub(super) fn dial_delay(&mut self, peer: NodeId) -> Duration {
        let jitter = self.random_share(DIAL_PAUSE);
        if self.me < peer { jitter } else { DIAL_POLITENESS + jitter }
    }

    pub(super) fn dials_due(&mut self, now: Instant) {
        let mut due: Vec<_> = self.members.dials().iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        due.sort_unstable();
        for (i, id) in due.into_iter().enumerate() {
            let (first, longest) = self.config.dial_backoff;
            let jitter = self.random_share(first);
            let Some(mut member) = self.members.get_mut(&id) else { continue };
            if i >= DIALS_MAX {
                member.dial_at = now + DIAL_PAUSE;
                continue;
            }
            let backoff = first.saturating_mul(1 << member.dials.min(16)).min(longest);
            member.dials = member.dials.saturating_add(1);
            member.dial_at = now + backoff + jitter;
            drop(member);
            self.dial(id);
        }
    }

    fn dial(&mut self, peer: NodeId) {
        let addresses = self.members.get(&peer).map(|m| m.record.addresses.clone()).unwrap_or_default();
        self.outputs.push_back(Output::Dial { peer, addresses });
    }

    /// Calls some of the members held down: whoever is back hears that it was given up, and refutes.
    pub(super) fn announcement_due(&mut self, now: Instant) {
        if now < self.announce_at || self.members.down().is_empty() {
            return;
        }
        let down = self.members.down().iter().copied().collect();
        self.announce_at = now + self.config.announce_interval;
        for peer in self.pick_of(down, self.config.announce_fanout) {
            if self.links.contains(&peer) {
                self.send(peer, Kind::Ping { seq: 0, round: self.round }, Vec::new());
            } else {
                self.dial(peer);
            }
        }
    }

    pub(super) fn forget_deadline(&self) -> Option<Instant> {
        let down = self.members.down_since().first().map(|(since, _)| *since + self.config.forget_after);
        down.into_iter().chain(self.tombstones.next()).min()
    }

    /// Members that have been down for long leave the view; later their tombstones expire.
    pub(super) fn forgetting_due(&mut self, now: Instant) {
        self.tombstones.expire(now);
        let age = self.config.forget_after;
        let due = self.members.down_since().iter().take_while(|(since, _)| *since + age <= now).map(|(_, id)| *id);
        for id in due.collect::<Vec<_>>() {
            self.forget(now, id);
        }
    }

    fn forget(&mut self, now: Instant, id: NodeId) {
        let Some(member) = self.members.get(&id) else { return };
        let (generation, incarnation) = (member.generation(), member.incarnation());
        self.tombstones.forget(id, generation, incarnation, now + self.config.forget_after);
        self.bury(id);
    }

    /// Room for one more member, if need be in place of the one that has been down longest.
    pub(super) fn make_room(&mut self, now: Instant) -> bool {
        if self.members.len() < MEMBERS_MAX {
            return true;
        }
        let longest = self.members.down_since().first().map(|(_, id)| *id);
        longest.into_iter().for_each(|id| self.forget(now, id));
        longest.is_some()
    }
}
