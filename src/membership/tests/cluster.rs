//! A cluster of machines in virtual time: links with delay, loss and cuts, nodes that stop, die and start again.
//!
//! One seed gives one history; [`Cluster::history`] is its fingerprint.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use crate::fleet::Capability;
use crate::id::{Generation, NodeId};
use crate::membership::{Config, Event, Input, Member, Membership, Message, Output, Record, State};
use crate::time::{Duration, Instant};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The `n`th node. Ids are scattered, so that the ring has another order than the numbers.
pub(crate) fn id(n: usize) -> NodeId {
    let mixed = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&mixed.to_be_bytes());
    bytes[8..16].copy_from_slice(&(n as u64).to_be_bytes());
    NodeId(bytes)
}

pub(crate) fn record(n: usize) -> Record {
    let capability = Capability {
        flops_per_s: 1e9,
        memory_bytes: 1 << 30,
        link_bits_per_s: 1e8,
        link_delay_s: 1e-3,
        failure_probability: 0.05,
    };
    let addresses = vec![format!("/ip4/10.0.0.{n}/tcp/7000")];
    Record { addresses, ..Record::new(format!("node-{n}"), capability) }
}

/// What one node has sent and received.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Traffic {
    fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
    }
}

struct Node {
    machine: Membership,
    generation: u64,
    running: bool,
    /// Handles nothing until then; what arrives waits.
    asleep_until: Instant,
    /// Its timers are punctual, but what it is sent waits for up to this long.
    lag: Duration,
    due: Option<Instant>,
    events: Vec<(Instant, Event)>,
    traffic: Traffic,
}

#[derive(Debug, Clone)]
enum Happening {
    Input(usize, Box<Input>),
    Connect(usize, usize),
}

pub(super) struct Cluster {
    pub(super) now: Instant,
    config: Config,
    nodes: Vec<Node>,
    agenda: BTreeMap<(Instant, u64), Happening>,
    number: u64,
    rng: ChaCha8Rng,
    links: BTreeSet<(usize, usize)>,
    /// Silent one-way cuts: messages vanish, links stay up.
    cuts: BTreeSet<(usize, usize)>,
    pub(super) delay: Duration,
    pub(super) loss: f64,
    pub(super) largest_message: usize,
    pub(super) history: u64,
}

impl Cluster {
    pub(super) fn new(size: usize, seed: u64) -> Self {
        Self::with(size, seed, Config::default())
    }

    pub(super) fn with(size: usize, seed: u64, config: Config) -> Self {
        let mut cluster = Self {
            now: Instant::ZERO,
            config,
            nodes: Vec::new(),
            agenda: BTreeMap::new(),
            number: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            links: BTreeSet::new(),
            cuts: BTreeSet::new(),
            delay: Duration::from_micros(500),
            loss: 0.0,
            largest_message: 0,
            history: 0,
        };
        (0..size).for_each(|n| cluster.add(n, 1));
        cluster
    }

    /// A cluster whose nodes have all met through node 0 and are at rest.
    pub(super) fn at_rest(size: usize, seed: u64) -> Self {
        Self::at_rest_with(size, seed, Config::default())
    }

    pub(super) fn at_rest_with(size: usize, seed: u64, config: Config) -> Self {
        let mut cluster = Self::with(size, seed, config);
        cluster.join_through_seed();
        cluster.run(ms(3_000));
        assert!(cluster.is_complete(), "the cluster did not come together");
        // A death may strike at any phase of the rounds.
        let phase = cluster.rng.next_u64() % 1000;
        cluster.run(ms(phase));
        cluster
    }

    fn add(&mut self, n: usize, generation: u64) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let machine = Membership::new(id(n), Generation(generation), record(n), seed, self.config.clone(), self.now);
        let (asleep_until, lag, due) = (self.now, Duration::ZERO, None);
        let (events, traffic) = (Vec::new(), Traffic::default());
        let node = Node { machine, generation, running: true, asleep_until, lag, due, events, traffic };
        if n < self.nodes.len() { self.nodes[n] = node } else { self.nodes.push(node) }
    }

    pub(super) fn join_through_seed(&mut self) {
        (1..self.nodes.len()).for_each(|n| self.connect(n, 0));
    }

    /// Ends the process: its links close.
    pub(super) fn kill(&mut self, n: usize) {
        self.nodes[n].running = false;
        let peers: Vec<_> = self.links.iter().filter(|(a, _)| *a == n).map(|(_, b)| *b).collect();
        peers.into_iter().for_each(|peer| self.disconnect(n, peer));
    }

    /// Cuts it off without a sign.
    pub(super) fn silence(&mut self, n: usize) {
        for other in 0..self.nodes.len() {
            self.cut(n, other);
            self.cut(other, n);
        }
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Cuts two sides apart; their links close, as TCP notices after a while.
    pub(super) fn partition(&mut self, side: impl Fn(usize) -> bool) {
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if side(a) != side(b) {
                    self.cut(a, b);
                    self.disconnect(a, b);
                }
            }
        }
    }

    /// Starts it again, with the next generation.
    pub(super) fn restart(&mut self, n: usize) {
        let generation = self.nodes[n].generation + 1;
        self.add(n, generation);
    }

    /// Stops the process for a while; what it is sent waits for it.
    pub(super) fn pause(&mut self, n: usize, length: Duration) {
        self.nodes[n].asleep_until = self.now + length;
    }

    pub(super) fn lag(&mut self, n: usize, most: Duration) {
        self.nodes[n].lag = most;
    }

    pub(super) fn input(&mut self, n: usize, input: Input) {
        self.plan(self.now, Happening::Input(n, Box::new(input)));
        self.run(Duration::ZERO);
    }

    /// A message that nobody sent.
    pub(super) fn forge(&mut self, from: usize, to: usize, message: Message) {
        self.input(to, Input::Message { from: id(from), message });
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        self.plan(self.now, Happening::Connect(a, b));
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        for (n, peer) in [(a, b), (b, a)] {
            if self.links.remove(&(n, peer)) {
                self.plan(self.now + self.delay, Happening::Input(n, Box::new(Input::LinkDown { peer: id(peer) })));
            }
        }
    }

    pub(super) fn run(&mut self, length: Duration) {
        let end = self.now + length;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`; how long it took. Panics after `most`.
    pub(super) fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.step(start + most), "not within {most:?}");
        }
        self.now.since(start)
    }

    /// Timers go before inputs of the same instant: a node that wakes hears its timers before its mail.
    fn step(&mut self, end: Instant) -> bool {
        let timer = (0..self.nodes.len()).filter_map(|n| Some((self.due(n)?, n))).min();
        let next = self.agenda.first_key_value().map(|(key, _)| key.0);
        match (next, timer) {
            (Some(at), timer) if at <= end && timer.is_none_or(|(t, _)| at < t) => {
                let Some((_, happening)) = self.agenda.pop_first() else { return false };
                self.now = self.now.max(at);
                self.happen(happening);
            }
            (_, Some((at, n))) if at <= end => {
                self.now = self.now.max(at);
                self.nodes[n].machine.handle_timeout(self.now);
                self.drain(n);
            }
            _ => return false,
        }
        true
    }

    fn due(&self, n: usize) -> Option<Instant> {
        let node = &self.nodes[n];
        let at = node.due.filter(|_| node.running)?;
        Some(at.max(node.asleep_until))
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Connect(a, b) => self.establish(a, b),
            Happening::Input(n, input) => {
                if !self.nodes[n].running {
                    return;
                }
                if self.nodes[n].asleep_until > self.now {
                    return self.plan(self.nodes[n].asleep_until, Happening::Input(n, input));
                }
                if let Input::Message { message, .. } = &*input {
                    let bytes = self.weigh(message);
                    self.nodes[n].traffic.add(bytes);
                }
                self.nodes[n].machine.handle(self.now, *input);
                self.drain(n);
            }
        }
    }

    fn establish(&mut self, a: usize, b: usize) {
        let up = |n: usize| self.nodes[n].running;
        let open = !self.cuts.contains(&(a, b)) && !self.cuts.contains(&(b, a));
        if up(a) && up(b) && open && self.links.insert((a, b)) {
            self.links.insert((b, a));
            self.plan(self.now, Happening::Input(a, Box::new(Input::LinkUp { peer: id(b) })));
            self.plan(self.now, Happening::Input(b, Box::new(Input::LinkUp { peer: id(a) })));
        }
    }

    fn drain(&mut self, n: usize) {
        while let Some(output) = self.nodes[n].machine.poll_output() {
            match output {
                Output::Event(event) => self.nodes[n].events.push((self.now, event)),
                Output::Dial { peer, .. } => {
                    let (delay, peer) = (self.delay * 4, self.number_of(peer));
                    self.plan(self.now + delay, Happening::Connect(n, peer));
                }
                Output::Send { to, message } => self.carry(n, to, message),
            }
        }
        self.nodes[n].due = self.nodes[n].machine.poll_timeout().map(|(at, _)| at);
    }

    fn carry(&mut self, n: usize, to: NodeId, message: Message) {
        let bytes = self.weigh(&message);
        self.nodes[n].traffic.add(bytes);
        let peer = self.number_of(to);
        let lost = f64::from(self.rng.next_u32()) / f64::from(u32::MAX) < self.loss;
        if lost || self.cuts.contains(&(n, peer)) || !self.links.contains(&(n, peer)) {
            return;
        }
        let late = (self.delay + self.nodes[peer].lag).mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX));
        let input = Input::Message { from: id(n), message };
        self.plan(self.now + self.delay + late, Happening::Input(peer, Box::new(input)));
    }

    /// Its length on the wire; it also enters the history.
    fn weigh(&mut self, message: &Message) -> u64 {
        let bytes = bincode::serde::encode_to_vec(message, bincode::config::standard()).unwrap();
        self.largest_message = self.largest_message.max(bytes.len());
        let fold = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        self.history = bytes.iter().fold(self.history ^ self.now.as_nanos(), fold);
        bytes.len() as u64
    }

    fn plan(&mut self, at: Instant, happening: Happening) {
        self.number += 1;
        self.agenda.insert((at, self.number), happening);
    }

    fn number_of(&self, node: NodeId) -> usize {
        (0..self.nodes.len()).find(|n| id(*n) == node).expect("a node of this cluster")
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn machine(&self, n: usize) -> &Membership {
        &self.nodes[n].machine
    }

    pub(super) fn view(&self, n: usize, of: usize) -> Option<&Member> {
        self.machine(n).member(id(of))
    }

    pub(super) fn state(&self, n: usize, of: usize) -> Option<State> {
        self.view(n, of).map(Member::state)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|n| self.nodes[*n].running)
    }

    /// All running nodes but `of` itself hold it in this state.
    pub(super) fn all_hold(&self, of: usize, state: State) -> bool {
        self.running().filter(|n| *n != of).all(|n| self.state(n, of) == Some(state))
    }

    /// All running nodes hold all running nodes alive and routable.
    pub(super) fn is_complete(&self) -> bool {
        self.running().all(|a| self.running().all(|b| a == b || self.machine(a).is_routable(id(b))))
    }

    pub(super) fn events(&self, n: usize) -> impl Iterator<Item = &Event> {
        self.nodes[n].events.iter().map(|(_, event)| event)
    }

    /// Events of all nodes.
    pub(super) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        (0..self.len()).flat_map(|n| self.events(n)).filter(|e| wanted(e)).count()
    }

    pub(super) fn forget_events(&mut self) {
        self.nodes.iter_mut().for_each(|n| n.events.clear());
    }

    /// Messages and bytes a second, sent and received, of the busiest node over the next `length`.
    pub(super) fn traffic(&mut self, length: Duration) -> (f64, f64) {
        self.nodes.iter_mut().for_each(|n| n.traffic = Traffic::default());
        self.run(length);
        let most = |f: fn(Traffic) -> u64| self.nodes.iter().map(|n| f(n.traffic)).max().unwrap_or(0);
        let seconds = length.as_secs_f64();
        (most(|t| t.messages) as f64 / seconds, most(|t| t.bytes) as f64 / seconds)
    }
}
