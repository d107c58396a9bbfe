//! Comparing views: what gossip lost, and what a new link has missed.
//!
//! Only what members say of themselves is compared. It is ordered, so two views become one by taking the greater.

use super::*;
use crate::membership::message::{Entry, MESSAGE_BYTES_MAX};

/// What a message holds beside its updates, at most: the stamp, the view, the kind's tag, and the accusation in front.
const HEADER_BYTES_MAX: usize = 192;
/// Messages that answer one digest or one want. What does not fit is asked for again with the next comparison.
const ANSWER_MESSAGES_MAX: usize = 32;
/// Members asked for and not yet told. When there are more, further ones are asked for with the next comparison.
const WANTED_MAX: usize = 1024;
/// Asked again after this. Ours: several round trips.
const WANT_REPEAT: Duration = Duration::from_millis(300);

/// New links with which views are compared at once, within one sync interval. Ours.
const GREETINGS_MAX: u32 = 16;
/// While there is news, views differ for good reason: they are compared so many times more seldom. Ours.
const BUSY: u32 = 4;

impl Membership {
    /// A hash of the stamps of all held alive or suspect, this node included; no order in it.
    pub(super) fn view(&self) -> u64 {
        self.members.view() ^ fingerprint(self.me, self.stamp)
    }

    /// Compares views in full if they differ though there is no news to tell, or has been news for long.
    pub(super) fn compare(&mut self, now: Instant, peer: NodeId, view: u64) {
        let busy = if self.queue.is_empty() { Duration::ZERO } else { self.config.sync_interval * BUSY };
        if now < self.sync_at + busy || view == self.view() {
            return;
        }
        // A little chance, lest two nodes always compare at the same time.
        self.sync_at = now + self.config.sync_interval + self.random_share(self.config.sync_interval / 4);
        self.send_digest(peer);
    }

    pub(super) fn on_link_up(&mut self, now: Instant, peer: NodeId) {
        if peer == self.me {
            return;
        }
        self.links.insert(peer);
        if let Some(mut member) = self.members.get_mut(&peer) {
            (member.linked, member.met, member.dials) = (true, true, 0);
        }
        self.settle(peer);
        let mine = self.own_update(true);
        self.send(peer, Kind::State, vec![mine]);
        if self.may_greet(now) {
            self.send_digest(peer);
        }
        if self.members.get(&peer).is_some_and(|m| m.is_up() && m.obstacle().is_some()) {
            self.probe_on_evidence(now, peer);
        }
    }

    /// Whether to compare views with a new link at once: of many that come up together a few suffice.
    fn may_greet(&mut self, now: Instant) -> bool {
        if now >= self.greet_at {
            (self.greet_at, self.greetings) = (now + self.config.sync_interval, 0);
        }
        self.greetings += 1;
        self.greetings <= GREETINGS_MAX
    }

    fn send_digest(&mut self, peer: NodeId) {
        let mut entries: Vec<_> = self.members.values().filter(|m| m.is_up()).map(|m| (m.id, m.stamp)).collect();
        let mine = entries.partition_point(|(id, _)| *id < self.me);
        entries.insert(mine, (self.me, self.stamp));
        let (mut first, mut last) = (NodeId([0; 32]), NodeId([255; 32]));
        if entries.len() > ENTRIES_MAX {
            let starts = u64::try_from(entries.len() - ENTRIES_MAX + 1).unwrap_or(1);
            let start = usize::try_from(self.rng.next_u64() % starts).unwrap_or(0);
            let end = start + ENTRIES_MAX;
            first = if start > 0 { entries[start].0 } else { first };
            last = if end < entries.len() { entries[end - 1].0 } else { last };
            entries = entries.drain(start..end).collect();
        }
        let entries = entries.into_iter().map(|(member, stamp)| Entry { member, stamp }).collect();
        self.counters.digests += 1;
        self.send(peer, Kind::Digest { first, last, entries }, Vec::new());
    }

    pub(super) fn on_digest(&mut self, now: Instant, from: NodeId, window: (NodeId, NodeId), entries: &[Entry]) {
        let ordered = entries.is_sorted_by(|a, b| a.member < b.member);
        let inside = entries.iter().all(|e| (window.0..=window.1).contains(&e.member));
        if !ordered || !inside || window.0 > window.1 {
            self.counters.messages_refused += 1;
            return;
        }
        let mut answer = Vec::new();
        let mut wanted = Vec::new();
        for entry in entries {
            match self.weigh(entry) {
                Weight::Same => {}
                Weight::Ours(update) => answer.push(update),
                Weight::Theirs => wanted.push(entry.member),
            }
            self.hear_of_known(now, from, entry);
        }
        let named = |id: NodeId| entries.binary_search_by_key(&id, |e| e.member).is_ok();
        let missed = self.members.range(window.0, window.1).filter(|m| m.is_up() && !named(m.id));
        answer.extend(missed.map(|m| m.own_claim(true)));
        if (window.0..=window.1).contains(&self.me) && !named(self.me) {
            answer.push(self.own_update(true));
        }
        self.send_state(from, answer);
        let wanted: Vec<_> = wanted.into_iter().filter(|id| self.may_want(now, *id)).collect();
        if !wanted.is_empty() {
            self.send(from, Kind::Want { members: wanted }, Vec::new());
        }
    }

    /// Which of the two knows a member of a digest better.
    fn weigh(&self, entry: &Entry) -> Weight {
        let (id, theirs) = (entry.member, entry.stamp);
        if id == self.me {
            return if theirs == self.stamp { Weight::Same } else { Weight::Ours(self.own_update(true)) };
        }
        if let Some(generation) = self.tombstones.left(id).filter(|left| theirs.start.generation <= *left) {
            return Weight::Ours(Update { member: id, claim: Claim::Left { generation } });
        }
        let Some(member) = self.members.get(&id) else { return Weight::Theirs };
        let ours = member.stamp;
        if theirs.start.generation != ours.start.generation {
            let better = ours.start.generation > theirs.start.generation;
            return if better { Weight::Ours(member.own_claim(true)) } else { Weight::Theirs };
        }
        if theirs.version > ours.version {
            return Weight::Theirs;
        }
        if member.state == State::Down && ours.incarnation >= theirs.incarnation {
            return self.accusation(member).map_or(Weight::Same, Weight::Ours);
        }
        if ours.version > theirs.version || ours.incarnation > theirs.incarnation {
            return Weight::Ours(member.own_claim(ours.version > theirs.version));
        }
        Weight::Same
    }

    /// An entry can refute, without a record, for those that we know.
    fn hear_of_known(&mut self, now: Instant, from: NodeId, entry: &Entry) {
        let known = self.members.get(&entry.member).map(|m| m.stamp);
        if entry.member == self.me {
            self.hear_of_me(now, entry.stamp, None);
        } else if known.is_some_and(|k| k.start == entry.stamp.start && k.version >= entry.stamp.version) {
            self.hear_of(now, from, entry.member, entry.stamp, None);
        }
    }

    pub(super) fn on_want(&mut self, from: NodeId, wanted: &[NodeId]) {
        let known = |id: &NodeId| match self.members.get(id) {
            _ if *id == self.me => Some(self.own_update(true)),
            member => member.filter(|m| m.is_up()).map(|m| m.own_claim(true)),
        };
        let answer = wanted.iter().filter_map(known).collect();
        self.send_state(from, answer);
    }

    /// In as many messages as it takes.
    fn send_state(&mut self, to: NodeId, updates: Vec<Update>) {
        let mut messages: Vec<Vec<Update>> = Vec::new();
        let mut bytes = MESSAGE_BYTES_MAX;
        for update in updates {
            bytes += update.bytes_max();
            let full = bytes > MESSAGE_BYTES_MAX || messages.last().is_none_or(|m| m.len() == UPDATES_MAX - 1);
            if full && messages.len() == ANSWER_MESSAGES_MAX {
                break;
            }
            if full {
                bytes = HEADER_BYTES_MAX + update.bytes_max();
                messages.push(Vec::new());
            }
            if let Some(last) = messages.last_mut() {
                last.push(update);
            }
        }
        for updates in messages {
            self.send(to, Kind::State, updates);
        }
    }

    /// Asks for what is known of a member.
    pub(super) fn want(&mut self, now: Instant, from: NodeId, id: NodeId) {
        if self.may_want(now, id) {
            self.send(from, Kind::Want { members: vec![id] }, Vec::new());
        }
    }

    fn may_want(&mut self, now: Instant, id: NodeId) -> bool {
        if self.wanted.len() >= WANTED_MAX {
            self.wanted.retain(|_, asked| now.since(*asked) < WANT_REPEAT);
        }
        let is_asked = self.wanted.get(&id).is_some_and(|asked| now.since(*asked) < WANT_REPEAT);
        let may = self.wanted.len() < WANTED_MAX && !is_asked;
        if may {
            self.wanted.insert(id, now);
        }
        may
    }
}

/// Which of two nodes knows a member better, and what it says.
enum Weight {
    Same,
    Ours(Update),
    Theirs,
}

impl Member {
    /// What it says of itself, as last heard.
    fn own_claim(&self, record: bool) -> Update {
        let record = record.then(|| Arc::clone(&self.record));
        Update { member: self.id, claim: Claim::Alive { stamp: self.stamp, record } }
    }
}
