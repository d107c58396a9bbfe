//! The machine: takes inputs, keeps the view, hands out what is to be done.

mod claims;
mod exchange;
mod probing;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use imbl::OrdSet;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use super::config::Config;
use super::counters::Counters;
use super::dissemination::{PIGGYBACK_BYTES_MAX, QUEUE_MAX, Queue, told_max};
use super::health::LocalHealth;
use super::member::{Acquaintance, Me, Member, State};
use super::members::{Members, fingerprint};
use super::message::{Claim, ENTRIES_MAX, Kind, Message, Stamp, Start, UPDATES_MAX, Update};
use super::port::{Event, Input, Output, Reason};
use super::probe::{PROBES_KEPT_MAX, Probe, RELAYS_MAX, Relay};
use super::record::Record;
use super::suspicion::Ends;
use super::tombstones::Tombstones;
use crate::id::{Generation, Incarnation, NodeId};
use crate::queue;
use crate::time::{Duration, Instant};

/// Members known at a time. When the view is full the one that has been down longest goes; if none is down, a new one
/// is not taken in and counted.
pub const MEMBERS_MAX: usize = 16_384;

/// Members are drawn at random so many times for each that is wanted, before all are looked at for who is fit. Ours.
const TRIES: usize = 4;

/// The membership machine: see the module's docs.
#[derive(Debug)]
pub struct Membership {
    me: NodeId,
    stamp: Stamp,
    record: Arc<Record>,
    config: Config,
    rng: ChaCha8Rng,
    members: Members,
    tombstones: Tombstones,
    links: OrdSet<NodeId>,
    left: bool,
    last_step: Instant,

    health: LocalHealth,
    round: u32,
    round_heard: u32,
    probe_at: Instant,
    probes: BTreeMap<u64, Probe>,
    relays: BTreeMap<u64, Relay>,
    seq: u64,

    suspicions: Ends,
    queue: Queue,
    gossip_at: Instant,
    sync_at: Instant,
    /// Digests sent to new links, until when they are counted.
    greetings: u32,
    greet_at: Instant,
    wanted: BTreeMap<NodeId, Instant>,
    announce_at: Instant,
    record_at: Instant,
    record_pending: Option<Record>,
    /// When each was told last, and whether the other's name was known.
    clashes: BTreeMap<(NodeId, Start), (Instant, bool)>,

    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Membership {
    /// A node that knows nobody yet. `generation` is the persisted number of this start; `seed` must differ from start
    /// to start. The record is cut to the bounds of [`super::record`].
    pub fn new(
        me: NodeId,
        generation: Generation,
        record: Record,
        seed: [u8; 32],
        config: Config,
        now: Instant,
    ) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let start = Start { generation, nonce: rng.next_u64() };
        let health = LocalHealth::new(config.health_max);
        let mut new = Self {
            me,
            stamp: Stamp { start, incarnation: Incarnation(0), version: 1 },
            record: Arc::new(record.clamped()),
            config,
            rng,
            members: Members::default(),
            tombstones: Tombstones::default(),
            links: OrdSet::new(),
            left: false,
            last_step: now,
            health,
            round: 0,
            round_heard: 0,
            probe_at: now,
            probes: BTreeMap::new(),
            relays: BTreeMap::new(),
            seq: 0,
            suspicions: Ends::default(),
            queue: Queue::default(),
            gossip_at: now,
            sync_at: now,
            greetings: 0,
            greet_at: now,
            wanted: BTreeMap::new(),
            announce_at: now,
            record_at: now,
            record_pending: None,
            clashes: BTreeMap::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        };
        new.probe_at = now + new.random_share(new.config.probe_interval);
        new
    }

    /// Its queues, with their bounds.
    pub fn queues(&self) -> [queue::Queue; 3] {
        [
            queue::Queue::new("news", self.queue.len(), QUEUE_MAX),
            queue::Queue::new("probes", self.probes.len(), PROBES_KEPT_MAX),
            queue::Queue::new("probes for others", self.relays.len(), RELAYS_MAX),
        ]
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if self.left {
            return;
        }
        self.notice_standstill(now);
        match input {
            Input::Message { from, message } => self.on_message(now, from, message),
            Input::LinkUp { peer } => self.on_link_up(now, peer),
            Input::LinkDown { peer } => self.on_link_down(now, peer),
            Input::RequestFailed { peer } => self.on_evidence(now, peer, Reason::RequestFailed),
            Input::Record(record) => self.on_record(now, record),
            Input::Leave => self.on_leave(),
        }
        self.note_suspicions();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.left {
            return;
        }
        self.notice_standstill(now);
        self.probes_due(now);
        self.relays_due(now);
        self.suspicions_due(now);
        self.round_due(now);
        self.retries_due(now);
        self.dials_due(now);
        self.announcement_due(now);
        self.record_due(now);
        self.forgetting_due(now);
        self.gossip_due(now);
        self.note_suspicions();
    }

    /// When to call [`Self::handle_timeout`] next, and why; never once this node has left.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if self.left {
            return None;
        }
        let probe = self.probe_deadline().map(|at| (at, "a probe's answer is due"));
        let relay = self.relays.values().map(|r| r.deadline).min().map(|at| (at, "an answer for another node is due"));
        let suspicion = self.suspicions.first().map(|at| (at, "a suspicion ends"));
        let retry = self.members.retries().first().map(|(at, _)| (*at, "a member is probed again"));
        let dial = self.members.dials().first().map(|(at, _)| (*at, "a member is dialled"));
        let announce = (!self.members.down().is_empty()).then_some((self.announce_at, "members held down are called"));
        let record = self.record_pending.is_some().then_some((self.record_at, "our own record is told"));
        let forget = self.forget_deadline().map(|at| (at, "a member is forgotten"));
        let gossip = (!self.queue.is_empty()).then_some((self.gossip_at, "news are told"));
        let round = (!self.members.is_empty()).then_some((self.probe_at, "a round of probes begins"));
        let all = [probe, relay, suspicion, retry, dial, announce, record, forget, gossip, round];
        all.into_iter().flatten().min()
    }

    /// The next thing to do; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All members but this node, suspect and down ones included, in order of ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// One member.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// This node, as it tells the others.
    pub fn me(&self) -> Me<'_> {
        Me { id: self.me, stamp: self.stamp, record: &self.record }
    }

    /// Whether a request may be sent to this member now: alive, linked, and without evidence of failure since it last
    /// answered a direct ping.
    pub fn is_routable(&self, id: NodeId) -> bool {
        self.member(id).is_some_and(Member::is_routable)
    }

    /// Lifeguard's multiplier: 1 when this node is well, up to [`Config::health_max`] when it seems starved or cut off.
    pub fn health_multiplier(&self) -> u32 {
        self.health.multiplier()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes others for known, alive and linked, without a word: for a start in the middle of things. They replace what was
    /// known of them, and news that wait count as told.
    pub fn acquaint(&mut self, now: Instant, others: &[Acquaintance]) {
        for Acquaintance { id, stamp, record } in others.iter().filter(|other| other.id != self.me) {
            let mut member = Member::new(*id, *stamp, Arc::clone(record), true, now);
            member.routable = true;
            member.rtt = self.members.get(id).and_then(|known| known.rtt);
            self.links.insert(*id);
            self.members.insert(member);
        }
        self.queue.clear();
        self.note_suspicions();
    }

    /// Takes over what another knows of the members, and that it is one; both share it in memory until either hears something new. For
    /// a start in the middle of things with a clock in common.
    pub fn know_as(&mut self, other: &Self) {
        let Some(me) = other.members.get(&self.me) else { return };
        let mut member = Member::new(other.me, other.stamp, Arc::clone(&other.record), true, me.since());
        member.routable = true;
        self.members = other.members.clone();
        self.members.remove(&self.me);
        self.members.insert(member);
        self.links = other.links.clone();
        self.links.remove(&self.me);
        self.links.insert(other.me);
        self.queue.clear();
        self.suspicions = Ends::default();
        self.members.doubt_all();
        self.note_suspicions();
    }

    /// This node, as [`Self::acquaint`] makes it known.
    pub fn acquaintance(&self) -> Acquaintance {
        Acquaintance { id: self.me, stamp: self.stamp, record: Arc::clone(&self.record) }
    }

    fn on_message(&mut self, now: Instant, from: NodeId, message: Message) {
        self.counters.received += 1;
        let oversize = message.updates.len() > UPDATES_MAX
            || match &message.kind {
                Kind::Digest { entries, .. } => entries.len() > ENTRIES_MAX,
                Kind::Want { members } => members.len() > ENTRIES_MAX,
                Kind::Ping { .. } | Kind::Ack { .. } | Kind::PingRequest { .. } | Kind::Reached { .. } => false,
                Kind::Nack { .. } | Kind::Gossip | Kind::State => false,
            };
        if oversize {
            self.counters.messages_refused += 1;
            return;
        }
        if from == self.me {
            self.hear_of_me(now, message.stamp, None);
            return;
        }
        let Message { stamp, view, kind, updates } = message;
        let records = updates.iter().any(|u| u.member == from && matches!(u.claim, Claim::Alive { .. }));
        if !records {
            self.hear_of(now, from, from, stamp, None);
        }
        let incarnation = self.stamp.incarnation;
        let told_max = told_max(self.config.retransmit_mult, self.size());
        for update in updates {
            self.queue.heard(&update, told_max);
            self.on_claim(now, from, update);
        }
        let accused = self.stamp.incarnation > incarnation;
        let answered = matches!(kind, Kind::Ping { .. });
        self.on_kind(now, from, stamp, view, kind);
        let held_up = self.members.get(&from).is_none_or(Member::is_alive);
        if !answered && (accused || !held_up) {
            self.send(from, Kind::Gossip, Vec::new());
        }
    }

    fn on_kind(&mut self, now: Instant, from: NodeId, stamp: Stamp, view: u64, kind: Kind) {
        match kind {
            Kind::Ping { seq, round } => {
                self.round_heard = super::ring::later(self.round_heard, round);
                self.send(from, Kind::Ack { seq }, Vec::new());
                self.compare(now, from, view);
            }
            Kind::Ack { seq } => {
                self.on_ack(now, from, seq, stamp);
                self.compare(now, from, view);
            }
            Kind::PingRequest { seq, target } => self.on_ping_request(now, from, seq, target),
            Kind::Reached { seq, stamp } => self.on_reached(now, from, seq, stamp),
            Kind::Nack { seq } => self.on_nack(now, from, seq),
            Kind::Digest { first, last, entries } => self.on_digest(now, from, (first, last), &entries),
            Kind::Want { members } => self.on_want(from, &members),
            Kind::Gossip | Kind::State => {}
        }
    }

    /// If our own timers ran late, nobody else is to blame: what was to be judged is put off, and we count as unwell.
    fn notice_standstill(&mut self, now: Instant) {
        let due = self.poll_timeout().map_or(now, |(at, _)| at);
        let late = now.since(due.max(self.last_step));
        self.last_step = self.last_step.max(now);
        if late < self.config.probe_timeout || self.config.health_max <= 1 {
            return;
        }
        self.counters.stalls += 1;
        self.health.worsen(1);
        self.put_off_verdicts(now, late);
    }

    fn send(&mut self, to: NodeId, kind: Kind, mut updates: Vec<Update>) {
        if let Some(accusation) = self.members.get(&to).and_then(|m| self.accusation(m)) {
            updates.insert(0, accusation);
        }
        let full = matches!(kind, Kind::Digest { .. } | Kind::Want { .. } | Kind::State);
        let bytes = if full { 0 } else { PIGGYBACK_BYTES_MAX };
        updates.extend(self.queue.take(told_max(self.config.retransmit_mult, self.size()), bytes));
        let message = Message { stamp: self.stamp, view: self.view(), kind, updates };
        self.counters.sent += 1;
        self.outputs.push_back(Output::Send { to, message });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Tells when a member becomes routable or ceases to be.
    fn settle(&mut self, id: NodeId) {
        let Some(mut member) = self.members.get_mut(&id) else { return };
        let obstacle = member.obstacle();
        if member.routable == obstacle.is_none() {
            return;
        }
        member.routable = obstacle.is_none();
        drop(member);
        self.event(match obstacle {
            None => Event::Routable { member: id },
            Some(reason) => Event::Unroutable { member: id, reason },
        });
    }

    /// Takes in news for others, to be told soon.
    fn tell(&mut self, update: Update) {
        self.counters.updates_dropped += self.queue.push(update);
    }

    /// Those held alive or suspect, and this node.
    fn size(&self) -> usize {
        1 + self.members.up()
    }

    /// Others that are held alive.
    pub fn alive(&self) -> usize {
        self.members.alive()
    }

    /// What we hold against a member.
    fn accusation(&self, member: &Member) -> Option<Update> {
        let (generation, incarnation, by) = (member.generation(), member.incarnation(), self.me);
        let claim = match member.state {
            State::Alive => return None,
            State::Suspect => Claim::Suspect { generation, incarnation, by },
            State::Down => Claim::Down { generation, incarnation, by },
        };
        Some(Update { member: member.id, claim })
    }

    fn own_update(&self, record: bool) -> Update {
        let record = record.then(|| Arc::clone(&self.record));
        Update { member: self.me, claim: Claim::Alive { stamp: self.stamp, record } }
    }

    /// Some members that are `fit`, at most `count`, by chance.
    fn pick(&mut self, count: usize, fit: impl Fn(&Member) -> bool) -> Vec<NodeId> {
        let mut picked = Vec::new();
        for _ in 0..count * TRIES {
            let Some(member) = self.random_below(self.members.len()).and_then(|at| self.members.at(at)) else { break };
            if picked.len() < count && fit(member) && !picked.contains(&member.id) {
                picked.push(member.id);
            }
        }
        if picked.len() < count {
            let others = self.members.values().filter(|m| fit(m) && !picked.contains(&m.id)).map(|m| m.id).collect();
            picked.extend(self.pick_of(others, count - picked.len()));
        }
        picked
    }

    fn random_below(&mut self, end: usize) -> Option<usize> {
        let end = u64::try_from(end).ok().filter(|end| *end > 0)?;
        usize::try_from(self.rng.next_u64() % end).ok()
    }

    /// Some of `candidates`, at most `count`, by chance.
    fn pick_of(&mut self, mut candidates: Vec<NodeId>, count: usize) -> Vec<NodeId> {
        let picked = count.min(candidates.len());
        for i in 0..picked {
            let rest = u64::try_from(candidates.len() - i).unwrap_or(1);
            let step = usize::try_from(self.rng.next_u64() % rest).unwrap_or(0);
            candidates.swap(i, i + step);
        }
        candidates.truncate(picked);
        candidates
    }

    /// From nothing to the whole of `span`, by chance.
    fn random_share(&mut self, span: Duration) -> Duration {
        span.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX))
    }
}
