//! Who can reach whom, and how long it takes.
//!
//! A connection behaves as TCP does: what is lost is sent again later and holds up what follows in its lane; what is sent
//! into a cut waits for its end; a cut that lasts longer than [`NetworkSpec::break_after_s`] ends the connection for both. On
//! top of that a scenario may drop, double and reorder messages, as full queues and reopened streams do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rocoin::node::Lane;
use rocoin::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::fact::{Fact, HostId};
use crate::random::Random;

/// A lost packet is sent again after this, doubled each time (RFC 6298's least, as Linux has it).
const RETRANSMIT: Duration = Duration::from_millis(200);
/// A packet lost more often than this in a row arrives all the same: the connection would have broken.
const LOSSES_MAX: u32 = 5;
/// A packet lost so often in a row holds its lane up for 1.4 s: longer than the shortest suspicion waits to be refuted.
const STALLED: u32 = 3;
/// A request or answer lost so often in a row comes later than the next replica is asked, or than its client waits.
const LATE: u32 = 2;
/// Control messages that wait for one peer, as the shell's queue has it; one more is dropped.
const BACKLOG_MAX: usize = 256;

/// How links behave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// One way, s.
    pub delay_s: f64,
    /// Added at random, uniform from 0, s.
    pub jitter_s: f64,
    /// A packet's chance to be lost and sent again.
    pub loss: f64,
    /// A message's chance to vanish.
    pub drop: f64,
    /// A message's chance to arrive twice.
    pub duplicate: f64,
    /// A message's chance to overtake those before it, or fall behind those after it.
    pub reorder: f64,
    /// Rate of each host's link, bit/s; 0: that of its own capability.
    pub rate_bits_per_s: f64,
    /// The rate holds up what comes to a host, too, each way by itself. Otherwise only what leaves it.
    pub both_ways: bool,
    /// What pays for the rate: everything, or the bytes of requests and answers alone.
    pub pays: Pays,
    /// A cut that lasts longer ends a connection, s (the shell's TCP_USER_TIMEOUT).
    pub break_after_s: f64,
    /// Between two multicast announcements of a host, s; 0: none but the first.
    pub discovery_s: f64,
}

/// Which bytes a link's rate holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pays {
    /// All of them.
    Everything,
    /// Inputs and partial logits; control and artifacts are out of band, as in the paper's setting.
    Payloads,
}

impl Default for NetworkSpec {
    /// A home LAN.
    fn default() -> Self {
        Self {
            delay_s: 0.0005,
            jitter_s: 0.0005,
            loss: 0.0,
            drop: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            rate_bits_per_s: 0.0,
            both_ways: false,
            pays: Pays::Everything,
            break_after_s: 3.0,
            discovery_s: 5.0,
        }
    }
}

/// Names one connection for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

impl ConnectionId {
    /// That of any two hosts that were introduced to each other.
    pub(super) const INTRODUCED: Self = Self(0);
}

/// What became of a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives at these times.
    Arrives(Vec<Instant>),
    /// It waits for the end of a cut.
    Waits,
    /// It finds no room.
    Dropped,
    /// It is gone by chance.
    Vanishes,
}

/// The state of all links.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) spec: NetworkSpec,
    sides: Vec<u32>,
    cuts: BTreeSet<(HostId, HostId)>,
    /// Hosts whose link is down.
    down: BTreeSet<HostId>,
    /// Of each host: how many times slower its link is.
    clogs: BTreeMap<HostId, f64>,
    /// Until when what was sent over a link that was slow takes to leave it.
    draining: BTreeMap<HostId, Instant>,
    /// Each host's link is busy until then with what leaves, and with what comes.
    busy: Vec<Instant>,
    busy_in: Vec<Instant>,
    /// When each control message that still waits for its sender's link will have left.
    backlogs: BTreeMap<(HostId, HostId), VecDeque<Instant>>,
    /// The last arrival of each lane that is not over yet.
    arrivals: BTreeMap<(HostId, HostId, Lane), Instant>,
    /// Lanes that have stalled, not told of yet.
    told: Vec<Fact>,
    next: u64,
    random: Random,
}

impl Network {
    pub(super) fn new(spec: NetworkSpec, hosts: usize, random: Random) -> Self {
        Self {
            spec,
            sides: vec![0; hosts],
            cuts: BTreeSet::new(),
            down: BTreeSet::new(),
            clogs: BTreeMap::new(),
            draining: BTreeMap::new(),
            busy: vec![Instant::ZERO; hosts],
            busy_in: vec![Instant::ZERO; hosts],
            backlogs: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            told: Vec::new(),
            next: 0,
            random,
        }
    }

    pub(super) fn new_connection(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId(self.next)
    }

    /// Whether nothing gets from one to the other.
    pub(super) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        let down = !self.down.is_empty() && (self.down.contains(&from) || self.down.contains(&to));
        let cut = !self.cuts.is_empty() && self.cuts.contains(&(from, to));
        down || cut || self.sides[index(from)] != self.sides[index(to)]
    }

    /// Whether a connection between them can be made or kept.
    pub(super) fn is_open(&self, a: HostId, b: HostId) -> bool {
        !self.is_cut(a, b) && !self.is_cut(b, a)
    }

    pub(super) fn set_sides(&mut self, sides: Vec<u32>) {
        self.sides = sides;
    }

    /// Takes a host's link down or up; false if it was so.
    pub(super) fn set_link(&mut self, host: HostId, up: bool) -> bool {
        if up { self.down.remove(&host) } else { self.down.insert(host) }
    }

    pub(super) fn links_down(&self) -> &BTreeSet<HostId> {
        &self.down
    }

    pub(super) fn cut(&mut self, from: HostId, to: HostId) -> bool {
        self.cuts.insert((from, to))
    }

    pub(super) fn mend(&mut self, from: HostId, to: HostId) -> bool {
        self.cuts.remove(&(from, to))
    }

    pub(super) fn cuts(&self) -> &BTreeSet<(HostId, HostId)> {
        &self.cuts
    }

    /// Makes a host's link slower, or as quick as ever again: then says until when what was sent meanwhile takes to leave it.
    pub(super) fn clog(&mut self, now: Instant, host: HostId, factor: f64) -> Option<Instant> {
        if factor > 1.0 {
            self.clogs.insert(host, factor);
            return None;
        }
        self.clogs.remove(&host)?;
        let until = self.busy[index(host)].max(self.busy_in[index(host)]);
        self.draining.insert(host, until);
        (until > now).then_some(until)
    }

    pub(super) fn is_clogged(&self, now: Instant, host: HostId) -> bool {
        self.clogs.contains_key(&host) || self.draining.get(&host).is_some_and(|until| *until > now)
    }

    /// One way, once.
    pub(super) fn latency(&mut self, from: HostId, to: HostId) -> Duration {
        let slowest = |host: &HostId| self.clogs.get(host).copied().unwrap_or(1.0);
        let factor = slowest(&from).max(slowest(&to));
        let delay = self.spec.delay_s * factor + self.spec.jitter_s * factor * self.random.unit();
        Duration::from_secs_f64(delay)
    }

    /// A time within the jitter of mending a cut: what waited is sent again then.
    pub(super) fn retransmission(&mut self) -> Duration {
        RETRANSMIT.mul_f64(self.random.between(0.5, 5.0))
    }

    /// A message of so many bytes leaves `from` for `to` now. It takes up the link of `payer`, with that rate in bit/s: the sender's,
    /// mostly.
    pub(super) fn send(
        &mut self,
        now: Instant,
        way: (HostId, HostId),
        lane: Lane,
        bytes: Bytes,
        payer: (HostId, f64),
    ) -> Fate {
        let (from, to) = way;
        if self.random.chance(self.spec.drop) {
            return Fate::Vanishes;
        }
        let Some(left) = self.leave(now, way, payer, lane, bytes) else { return Fate::Dropped };
        if self.is_cut(from, to) {
            return Fate::Waits;
        }
        let mut times = vec![self.arrival(left, way, lane)];
        if self.random.chance(self.spec.duplicate) {
            times.push(self.arrival(left, way, lane));
        }
        Fate::Arrives(times)
    }

    /// When the last bit is on its way; `None` if too much waits already.
    fn leave(
        &mut self,
        now: Instant,
        way: (HostId, HostId),
        (payer, rate): (HostId, f64),
        lane: Lane,
        bytes: Bytes,
    ) -> Option<Instant> {
        let rate = self.rate(payer, rate);
        let paid = match self.spec.pays {
            Pays::Everything => bytes.header + bytes.blob,
            Pays::Payloads if lane == Lane::Inference => bytes.blob,
            Pays::Payloads => 0,
        };
        if paid == 0 || rate <= 0.0 {
            return Some(now);
        }
        let takes = time_for(paid, rate);
        let busy = &mut self.busy[index(payer)];
        let starts = now.max(*busy);
        let left = starts + takes;
        if lane == Lane::Control && starts > now {
            let backlog = self.backlogs.entry(way).or_default();
            while backlog.front().is_some_and(|left| *left <= now) {
                backlog.pop_front();
            }
            if backlog.len() >= BACKLOG_MAX {
                return None;
            }
            backlog.push_back(left);
        }
        *busy = left;
        Some(left)
    }

    fn rate(&self, host: HostId, own: f64) -> f64 {
        let rate = if self.spec.rate_bits_per_s > 0.0 { self.spec.rate_bits_per_s } else { own };
        rate / self.clogs.get(&host).copied().unwrap_or(1.0)
    }

    /// When the last bit of what reaches a host's link now, with that rate in bit/s, is there.
    pub(super) fn come(&mut self, now: Instant, (to, rate): (HostId, f64), bytes: usize) -> Instant {
        let rate = self.rate(to, rate);
        if self.spec.pays == Pays::Payloads || rate <= 0.0 {
            return now;
        }
        let takes = time_for(bytes, rate);
        let busy = &mut self.busy_in[index(to)];
        *busy = now.max(*busy) + takes;
        *busy
    }

    fn arrival(&mut self, left: Instant, (from, to): (HostId, HostId), lane: Lane) -> Instant {
        let mut at = left + self.latency(from, to);
        let mut losses = 0;
        while losses < LOSSES_MAX && self.random.chance(self.spec.loss) {
            at = at + RETRANSMIT * (1 << losses);
            losses += 1;
        }
        if losses >= STALLED {
            self.told.push(Fact::Stalled { from, to, until: at });
        }
        if losses >= LATE && lane == Lane::Inference {
            self.told.push(Fact::Late { from, to, until: at });
        }
        if self.random.chance(self.spec.reorder) {
            return at + self.latency(from, to) * 3;
        }
        let last = self.arrivals.entry((from, to, lane)).or_insert(at);
        *last = at.max(*last);
        *last
    }

    /// When a message arrives that a cut held up and that is sent again then: before all that is sent in its lane later.
    pub(super) fn send_again(&mut self, again: Instant, (from, to): (HostId, HostId), lane: Lane) -> Instant {
        let at = again + self.latency(from, to);
        let last = self.arrivals.entry((from, to, lane)).or_insert(at);
        *last = at.max(*last);
        *last
    }

    /// What happened to messages that were sent since the last call.
    pub(super) fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.told)
    }

    /// Forgets what is over.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.arrivals.retain(|_, at| *at > now);
        self.backlogs.retain(|_, backlog| backlog.back().is_some_and(|left| *left > now));
    }
}

fn time_for(bytes: usize, bits_per_s: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "messages are small")]
    Duration::from_secs_f64(bytes as f64 * 8.0 / bits_per_s)
}

/// The size of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes {
    pub(super) header: usize,
    pub(super) blob: usize,
}

pub(super) fn index(host: HostId) -> usize {
    usize::try_from(host.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);
    const SMALL: Bytes = Bytes { header: 100, blob: 0 };

    fn network(spec: NetworkSpec) -> Network {
        Network::new(spec, 2, Random::new(1, "network"))
    }

    fn arrives(fate: &Fate) -> Instant {
        let Fate::Arrives(times) = fate else { panic!("{fate:?}") };
        times[0]
    }

    #[test]
    fn messages_of_one_lane_keep_their_order_though_the_link_jitters_and_loses() {
        let mut network = network(NetworkSpec { jitter_s: 0.1, loss: 0.3, ..NetworkSpec::default() });
        let mut last = Instant::ZERO;
        for i in 0..500 {
            let now = Instant::from_nanos(i * 1_000_000);
            let at = arrives(&network.send(now, (A, B), Lane::Control, SMALL, (A, 1e9)));
            assert!(at >= last);
            last = at;
        }
    }

    #[test]
    fn a_rate_makes_messages_wait_for_those_before_them() {
        let spec = NetworkSpec { delay_s: 0.0, jitter_s: 0.0, ..NetworkSpec::default() };
        let mut network = network(spec);
        let kilobyte = Bytes { header: 0, blob: 1000 };
        let times: Vec<_> = (0..3)
            .map(|_| arrives(&network.send(Instant::ZERO, (A, B), Lane::Inference, kilobyte, (A, 8000.0))))
            .collect();
        assert_eq!(times, [1, 2, 3].map(|s| Instant::ZERO + Duration::from_secs(s)));
    }

    #[test]
    fn a_link_that_was_slow_is_clogged_until_what_was_sent_over_it_has_left() {
        let mut network = network(NetworkSpec::default());
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        assert_eq!(network.clog(at(0), A, 10.0), None);
        network.send(at(0), (A, B), Lane::Bulk, Bytes { header: 0, blob: 1000 }, (A, 8000.0));
        assert_eq!(network.clog(at(1), A, 1.0), Some(at(10)));
        assert!(network.is_clogged(at(9), A) && !network.is_clogged(at(10), A));
        assert_eq!(network.clog(at(11), A, 1.0), None, "it was not slow");
    }

    #[test]
    fn what_comes_waits_for_its_turn_too_but_not_behind_what_leaves() {
        let mut network = network(NetworkSpec::default());
        let kilobyte = Bytes { header: 0, blob: 1000 };
        network.send(Instant::ZERO, (B, A), Lane::Bulk, kilobyte, (B, 8000.0));
        let times = [1, 2].map(|_| network.come(Instant::ZERO, (B, 8000.0), 1000));
        assert_eq!(times, [1, 2].map(|s| Instant::ZERO + Duration::from_secs(s)));
    }

    #[test]
    fn where_payloads_alone_pay_control_does_not_wait() {
        let spec = NetworkSpec { delay_s: 0.0, jitter_s: 0.0, pays: Pays::Payloads, ..NetworkSpec::default() };
        let mut network = network(spec);
        network.send(Instant::ZERO, (A, B), Lane::Inference, Bytes { header: 9, blob: 1000 }, (A, 1000.0));
        assert_eq!(arrives(&network.send(Instant::ZERO, (A, B), Lane::Control, SMALL, (A, 1000.0))), Instant::ZERO);
    }

    #[test]
    fn what_waited_for_the_end_of_a_cut_arrives_before_what_is_sent_after_it() {
        let mut network = network(NetworkSpec::default());
        let again = Instant::ZERO + Duration::from_secs(1);
        let first = network.send_again(again, (A, B), Lane::Control);
        let second = network.send_again(again, (A, B), Lane::Control);
        let later = arrives(&network.send(Instant::ZERO, (A, B), Lane::Control, SMALL, (A, 1e9)));
        assert!(again < first && first <= second && second <= later);
        assert!(arrives(&network.send(Instant::ZERO, (A, B), Lane::Bulk, SMALL, (A, 1e9))) < again, "lanes are apart");
    }

    #[test]
    fn a_one_way_cut_holds_up_one_way_only() {
        let mut network = network(NetworkSpec::default());
        network.cut(A, B);
        assert_eq!(network.send(Instant::ZERO, (A, B), Lane::Control, SMALL, (A, 1e9)), Fate::Waits);
        assert!(matches!(network.send(Instant::ZERO, (B, A), Lane::Control, SMALL, (B, 1e9)), Fate::Arrives(_)));
        assert!(!network.is_open(A, B));
        network.mend(A, B);
        assert!(network.is_open(A, B));
    }
}
