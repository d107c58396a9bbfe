//! The machine: learns what is to be served, fetches it, loads what is planned, serves others.

mod discarding;
mod fetching;
mod loading;
mod serving;
mod wants;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::config::Config;
use super::desired::Desired;
use super::helpers::Helpers;
use super::loads::Loads;
use super::message::Message;
use super::peers::Peers;
use super::port::{Event, Input, Kept, Output, Peer};
use super::serve::Serve;
use super::transfer::Transfer;
use crate::blob::Blob;
use crate::bundle::Manifest;
use crate::id::{Digest, NodeId};
use crate::leadership::EpochPlan;
use crate::membership::{Deployment, Holding};
use crate::queue::Queue;
use crate::time::{Duration, Instant};
use wants::Want;

/// First wait after the store refused an artifact; doubled each time. Ours.
const STORE_RETRY_FIRST: Duration = Duration::from_secs(5);
/// Longest such wait. Ours: a person has to free some space.
const STORE_RETRY_LAST: Duration = Duration::from_secs(60);

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Chunks received that were asked for.
    pub chunks_received: u64,
    /// Chunks sent.
    pub chunks_sent: u64,
    /// Messages that nobody asked for, or that make no sense.
    pub messages_refused: u64,
    /// Requests for a chunk that were turned away because too many waited.
    pub reads_refused: u64,
    /// Artifacts discarded because of their hash.
    pub wrong_hashes: u64,
    /// Artifacts that the store refused.
    pub store_failures: u64,
    /// Students that could not be loaded.
    pub load_failures: u64,
}

/// An artifact that the store refused: not fetched again until then.
#[derive(Debug, Clone, Copy)]
struct PutOff {
    until: Instant,
    wait: Duration,
}

/// What a node's record says of artifacts.
#[derive(Debug, Clone, Default, PartialEq)]
struct Told {
    bundles: Vec<Holding>,
    ready: Vec<Digest>,
    desired: Option<Deployment>,
}

/// What a node keeps, fetches, loads and serves.
#[derive(Debug)]
pub struct Stock {
    me: NodeId,
    config: Config,
    now: Instant,
    desired: Desired,
    manifests: BTreeMap<Digest, Arc<Manifest>>,
    /// Bundles whose manifest makes no sense.
    rejected: BTreeSet<Digest>,
    /// What is in the store, with its size.
    held: BTreeMap<Digest, u64>,
    storing: BTreeMap<Digest, u64>,
    put_off: BTreeMap<Digest, PutOff>,
    plan: Option<Arc<EpochPlan>>,
    /// The students that it gives this node, with their bundle.
    planned: Vec<(Digest, Digest)>,
    /// The bundle planned before that of `plan`.
    previous: Option<Digest>,
    adopted_at: Instant,
    peers: Peers,
    transfers: BTreeMap<Digest, Transfer>,
    /// What is being fetched.
    active: Option<Want>,
    /// How many holders are asked for it at once.
    helpers: Helpers,
    /// Somebody sent wrong bytes of them; fetched from one holder alone, so that the next time tells who.
    doubted: BTreeSet<Digest>,
    serve: Serve,
    loads: Loads,
    told: Told,
    /// When to act next, and why: as of the last step.
    due: Option<(Instant, &'static str)>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Stock {
    /// A node that starts with what it kept: the students of its plan are loaded at once.
    pub fn new(me: NodeId, config: Config, kept: Kept, now: Instant) -> Self {
        let Kept { artifacts, manifests, desired, plan } = kept;
        let mut stock = Self {
            me,
            config,
            now,
            desired: Desired::new(desired),
            manifests: BTreeMap::new(),
            rejected: BTreeSet::new(),
            held: artifacts,
            storing: BTreeMap::new(),
            put_off: BTreeMap::new(),
            planned: plan.iter().flat_map(|p| p.students_of(me).map(|(_, student)| (p.bundle, student))).collect(),
            plan,
            previous: None,
            adopted_at: now,
            peers: Peers::default(),
            transfers: BTreeMap::new(),
            active: None,
            helpers: Helpers::new(now),
            doubted: BTreeSet::new(),
            serve: Serve::default(),
            loads: Loads::default(),
            told: Told::default(),
            due: None,
            counters: Counters::default(),
            outputs: VecDeque::new(),
        };
        for (bundle, manifest) in manifests {
            stock.held.entry(bundle).or_insert(0);
            stock.learn(bundle, manifest);
        }
        stock.advance(now);
        stock
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        match input {
            Input::Peers(peers) => self.on_peers(peers),
            Input::Gone { peer } => {
                self.peers.remove(peer);
                self.serve.forget(peer);
            }
            Input::Message { from, message, blob } => match message {
                Message::Fetch { artifact, offset, length } => self.on_fetch(from, artifact, offset, length),
                Message::Chunk { artifact, offset, total } => self.on_chunk(from, (artifact, offset, total), blob),
                Message::Absent { artifact } => self.on_absent(from, artifact),
                Message::Taken { artifact, offset } => self.on_taken(from, artifact, offset),
                Message::Enough { artifact } => self.serve.cancel(from, artifact),
            },
            Input::LinkDown { peer } => {
                self.peers.link_down(peer);
                self.serve.forget(peer);
            }
            Input::Deploy { bundle, manifest } => self.on_deploy(bundle, manifest),
            Input::Adopted(plan) => {
                let before = self.plan.as_ref().map(|p| p.bundle).filter(|bundle| *bundle != plan.bundle);
                self.previous = before.or(self.previous);
                self.planned = plan.students_of(self.me).map(|(_, student)| (plan.bundle, student)).collect();
                self.plan = Some(plan);
                self.adopted_at = now;
            }
            Input::Stored { artifact, result } => self.on_stored(artifact, result),
            Input::Loaded { student, result } => self.on_loaded(student, result),
            Input::ChunkRead { to, artifact, offset, chunk } => self.on_chunk_read(to, artifact, offset, chunk),
        }
        self.advance(now);
    }

    /// Takes over what another node knows of the members, and that `other` is one of them: for a start in the middle of things.
    pub fn know_as(&mut self, stock: &Self, other: Peer) {
        self.peers.know_as(&stock.peers);
        self.peers.remove(self.me);
        self.on_peers(vec![other]);
        let desired = stock.desired.current().map(|desired| self.desired.hear(desired)).unwrap_or_default();
        desired.into_iter().for_each(|event| self.event(event));
        self.advance(self.now);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.due
    }

    fn next_due(&self) -> Option<(Instant, &'static str)> {
        let put_off = self.put_off.values().map(|p| p.until).filter(|until| *until > self.now).min();
        [
            (self.transfer_due(), "leave a silent holder"),
            (self.serve.due(), "give up a chunk under way"),
            (self.peers.forgive_due(), "ask a holder again"),
            (put_off, "store an artifact again"),
            (self.loads.due(self.now), "load a student again"),
            (self.unload_due(), "free what no plan wants"),
            (self.discard_due(), "delete what no plan needs"),
        ]
        .into_iter()
        .filter_map(|(due, why)| Some((due?, why)))
        .min()
    }

    /// What is to be done, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The deployment that wins over all others known.
    pub fn desired(&self) -> Option<&Deployment> {
        self.desired.current()
    }

    /// What is to be served, as soon as its manifest is known.
    pub fn serving(&self) -> Option<(Digest, &Arc<Manifest>)> {
        let bundle = self.desired.current()?.bundle;
        Some((bundle, self.manifests.get(&bundle)?))
    }

    /// The manifest of a bundle, if it is known.
    pub fn manifest(&self, bundle: Digest) -> Option<&Arc<Manifest>> {
        self.manifests.get(&bundle)
    }

    /// Whether a student is loaded.
    pub fn is_ready(&self, student: Digest) -> bool {
        self.loads.is_ready(student)
    }

    /// Whether an artifact is in the store.
    pub fn holds(&self, artifact: Digest) -> bool {
        self.held.contains_key(&artifact)
    }

    /// Its queues, with their bounds.
    pub fn queues(&self) -> [Queue; 4] {
        let (peers, pieces) = self.serve.queues();
        let storing = Queue::new("artifacts being stored", self.storing.len(), fetching::STORING_MAX);
        [peers, pieces, storing, Queue::new("transfers", self.transfers.len(), fetching::TRANSFERS_MAX)]
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn on_peers(&mut self, peers: Vec<Peer>) {
        for peer in peers {
            let events = peer.record.desired.as_ref().map(|desired| self.desired.hear(desired)).unwrap_or_default();
            events.into_iter().for_each(|event| self.event(event));
            self.peers.insert(peer);
        }
    }

    fn on_deploy(&mut self, bundle: Digest, manifest: Arc<Manifest>) {
        self.held.entry(bundle).or_insert(0);
        for card in manifest.parts.iter().flat_map(|p| &p.students) {
            self.held.insert(card.digest, card.bytes);
        }
        self.desired.deploy(bundle, &manifest).into_iter().for_each(|event| self.event(event));
        self.learn(bundle, manifest);
    }

    fn learn(&mut self, digest: Digest, manifest: Arc<Manifest>) {
        self.manifests.insert(digest, Arc::clone(&manifest));
        self.outputs.push_back(Output::Manifest { digest, manifest });
    }

    fn on_stored(&mut self, artifact: Digest, result: Result<(), String>) {
        let Some(bytes) = self.storing.remove(&artifact) else { return };
        let Err(reason) = result else {
            self.held.insert(artifact, bytes);
            self.put_off.remove(&artifact);
            return self.event(Event::Fetched { artifact, bytes });
        };
        let before = self.put_off.get(&artifact);
        let wait = before.map_or(STORE_RETRY_FIRST, |p| (p.wait * 2).min(STORE_RETRY_LAST));
        self.put_off.insert(artifact, PutOff { until: self.now + wait, wait });
        self.counters.store_failures += 1;
        self.event(Event::StoreFailed { artifact, reason });
    }

    /// Does what is due.
    fn advance(&mut self, now: Instant) {
        self.now = now;
        self.peers.forgive(now);
        self.fetch(now);
        self.serve(now);
        self.load(now);
        self.unload(now);
        self.discard(now);
        self.tell();
        self.due = self.next_due();
    }

    /// Tells what the record is to say, if that changed.
    fn tell(&mut self) {
        let holding = |(bundle, manifest): (&Digest, &Arc<Manifest>)| {
            let mut students = manifest.parts.iter().flat_map(|p| &p.students);
            let whole = students.all(|card| self.held.contains_key(&card.digest));
            self.held.contains_key(bundle).then_some(Holding { bundle: *bundle, whole })
        };
        let mut bundles: Vec<_> = self.manifests.iter().filter_map(holding).collect();
        let current: Vec<_> = self.bundles().collect();
        bundles.sort_by_key(|h| !current.contains(&h.bundle)); // a record has room for a few only
        let planned: BTreeSet<_> = self.planned().map(|(_, student)| student).collect();
        let mut ready: Vec<_> = self.loads.ready().collect();
        ready.sort_by_key(|student| !planned.contains(student));
        let told = Told { bundles, ready, desired: self.desired.current().cloned() };
        if told != self.told {
            self.told = told.clone();
            let Told { bundles, ready, desired } = told;
            self.outputs.push_back(Output::RecordChanged { bundles, ready, desired });
        }
    }

    fn send(&mut self, to: NodeId, message: Message, blob: Blob) {
        self.outputs.push_back(Output::Send { to, message, blob });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
