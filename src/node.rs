//! `Node`: composes the machines; the only type a shell drives.
//!
//! It decides nothing itself. It hands each input to the machines that it concerns, lets their outputs reach each other
//! until all are quiet, and passes on what is left: messages, jobs, writes, answers, events. Deliberately absent: any
//! I/O, any clock; a shell (an actor on a device, a loop in a simulator) calls [`Node::handle`], drains
//! [`Node::poll_output`] and re-arms one timer from [`Node::poll_timeout`].

mod conduct;
mod config;
mod counters;
mod durable;
mod input;
mod observations;
mod output;
mod promises;
mod report;
mod routes;
mod settle;
mod snapshot;
mod start;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use self::conduct::Conduct;
pub use self::config::Config;
pub use self::durable::Durable;
pub use self::input::Input;
use self::observations::Observations;
pub use self::output::{Lane, Output};
use self::promises::Promises;
use self::routes::Routes;
pub use self::snapshot::{BundleSnapshot, MemberSnapshot, NodeSnapshot, PartSnapshot, PlanningSnapshot};
pub use self::start::Start;
use crate::bugs::Bug;
use crate::bundle::Manifest;
use crate::deployment::{self, Stock};
use crate::id::{Digest, Epoch, NodeId};
use crate::inference::{self, Coordinator, ReplicaQueue, coordinator, replica};
use crate::leadership::{self, Leadership};
use crate::membership::{self, Membership, Record};
use crate::queue::Queue;
use crate::time::{Duration, Instant};
use crate::wire::Message;

/// From the word that this node leaves until it does: time for the leader to plan without it, and for others to load what
/// it held. It goes on answering meanwhile. Ours.
const DRAIN_NOTICE: Duration = Duration::from_secs(1);

/// The shell's tag for a client's open request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// One run of one student on one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One write of the durable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(pub u64);

/// Something that people and metrics want to know.
#[derive(Debug, Clone)]
pub enum Event {
    /// From the failure detector.
    Membership(membership::Event),
    /// From the election and the plans.
    Leadership(leadership::Event),
    /// From fetching and loading.
    Deployment(deployment::Event),
    /// From requests.
    Inference(inference::Event),
}

/// One device's protocol state.
#[derive(Debug)]
pub struct Node {
    me: NodeId,
    started: Instant,
    membership: Membership,
    leadership: Leadership,
    stock: Stock,
    coordinator: Coordinator,
    replicas: ReplicaQueue,
    /// What this node tells of itself.
    record: Record,
    /// The same, as membership was last told.
    told: Record,
    manifests: BTreeMap<Digest, Arc<Manifest>>,
    promises: Promises,
    observations: Observations,
    conduct: Conduct,
    routes: Routes,
    /// The epoch, the students, and how many manifests the replicas were last told of.
    told_ready: Option<(Option<Epoch>, Vec<Digest>, usize)>,
    /// Members that may have changed since the machines were last told.
    changed: BTreeSet<NodeId>,
    /// Whether one of them, or this node itself, may have changed since the machines were last told.
    view_is_stale: bool,
    /// Whether its coordinator and its replicas told each other something that is not worked off yet.
    spoke_to_itself: bool,
    draining_since: Option<Instant>,
    /// Whether [`DRAIN_NOTICE`] has passed.
    notice_is_over: bool,
    drained: bool,
    outputs: VecDeque<Output>,
}

/// The counter of the first request of a start, drawn so that two devices with one identity (a cloned SD card) never take each other's
/// answers for their own.
fn first_request(seed: [u8; 32]) -> u64 {
    let digest = Digest::of(&[b"first request".as_slice(), &seed].concat());
    // Half of the range is left to count on.
    u64::from_le_bytes(*digest.0.first_chunk().expect("a digest has 32 bytes")) >> 1
}

impl Node {
    /// A node that starts with what it kept. Its first outputs may be there at once.
    pub fn new(start: Start, now: Instant) -> Self {
        let Start { me, generation, seed, config, mut record, mut durable, artifacts, manifests } = start;
        let config = config.with_bugs_told();
        if config.bugs.has(Bug::ForgetPlan) {
            durable.plan = None;
        }
        if config.bugs.has(Bug::ForgetDeployment) {
            durable.desired = None;
        }
        record.epoch = durable.plan.as_ref().map(|plan| plan.epoch);
        record.desired.clone_from(&durable.desired);
        let first_request = if config.bugs.has(Bug::CountFromOne) { 1 } else { first_request(seed) };
        let promise = leadership::Promise { term: durable.term, plan: durable.plan.clone() };
        let kept = deployment::Kept {
            artifacts,
            manifests: manifests.clone(),
            desired: durable.desired.clone(),
            plan: durable.plan.clone(),
        };
        let mut node = Self {
            me,
            started: now,
            membership: Membership::new(me, generation, record.clone(), seed, config.membership, now),
            leadership: Leadership::new(me, config.leadership, promise, now),
            stock: Stock::new(me, config.deployment, kept, now),
            coordinator: Coordinator::new(me, generation, first_request, config.coordinator),
            replicas: ReplicaQueue::new(config.replica),
            told: record.clone(),
            record,
            manifests,
            promises: Promises::new(durable),
            observations: Observations::default(),
            conduct: Conduct::new(config.bugs),
            routes: Routes::new(config.bugs),
            told_ready: None,
            changed: BTreeSet::new(),
            view_is_stale: true,
            spoke_to_itself: false,
            draining_since: None,
            notice_is_over: false,
            drained: false,
            outputs: VecDeque::new(),
        };
        node.tell_desired(now);
        node.settle(now);
        node
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { from, message, blob } => {
                let before = self.refusals();
                self.take_message(now, from, message, blob);
                if let Some(what) = self.conduct.note(now, from, before, self.refusals()) {
                    self.outputs.push_back(Output::CutOff { peer: from, what });
                }
            }
            Input::LinkUp { peer } => {
                self.membership.handle(now, membership::Input::LinkUp { peer });
                self.leadership.handle(now, leadership::Input::LinkUp { peer });
                self.note_change(peer);
            }
            Input::LinkDown { peer } => {
                self.membership.handle(now, membership::Input::LinkDown { peer });
                self.stock.handle(now, deployment::Input::LinkDown { peer });
                self.coordinator.handle(now, coordinator::Input::Lost { peer });
                self.note_change(peer);
            }
            Input::Request { client, request } => {
                self.coordinator.handle(now, coordinator::Input::Request { client, request });
            }
            Input::CancelRequest { client } => {
                self.coordinator.handle(now, coordinator::Input::CancelRequest { client });
            }
            Input::JobDone { job, result, run } => {
                self.replicas.handle(now, replica::Input::JobDone { job, result, run });
            }
            Input::Loaded { student, result } => {
                self.stock.handle(now, deployment::Input::Loaded { student, result });
            }
            Input::ArtifactStored { artifact, result } => {
                self.stock.handle(now, deployment::Input::Stored { artifact, result });
            }
            Input::ChunkRead { to, artifact, offset, chunk } => {
                self.stock.handle(now, deployment::Input::ChunkRead { to, artifact, offset, chunk });
            }
            Input::Persisted { write, result } => {
                if let Err(reason) = &result
                    && !self.promises.awaits(write)
                {
                    let reason = reason.clone();
                    let event = leadership::Event::PersistFailed { reason };
                    self.outputs.push_back(Output::Event(Event::Leadership(event)));
                }
                if let Some(input) = self.promises.confirm(write, result) {
                    self.leadership.handle(now, input);
                }
            }
            Input::Deploy { bundle, manifest } => {
                self.stock.handle(now, deployment::Input::Deploy { bundle, manifest });
            }
            Input::Drain => self.drain(now),
        }
        self.settle(now);
    }

    /// Takes others for known, alive and linked, without a word: for a simulation that begins in the middle.
    pub fn acquaint(&mut self, now: Instant, others: &[membership::Acquaintance]) {
        self.membership.acquaint(now, others);
        self.changed.extend(others.iter().map(|other| other.id).filter(|id| *id != self.me));
        self.view_is_stale = true;
        self.settle(now);
    }

    /// Takes over what another node knows of the members, without a word: for a simulation of many that begins in the middle. Both share it
    /// in memory until either learns something new, so that ten thousand who know ten thousand fit. Their clocks must be one.
    pub fn know_as(&mut self, now: Instant, other: &Self) {
        self.membership.know_as(&other.membership);
        self.leadership.know_as(&other.leadership);
        if let Some(member) = self.membership.member(other.me) {
            self.stock.know_as(&other.stock, deployment::Peer::from(member));
        }
        self.routes.know_as(&other.routes);
        self.changed.clear();
        self.view_is_stale = true;
        self.settle(now);
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = |timeout: Option<(Instant, &str)>| timeout.is_some_and(|(due, _)| due <= now);
        if is_due(self.membership.poll_timeout()) {
            self.membership.handle_timeout(now);
        }
        if is_due(self.leadership.poll_timeout()) {
            self.leadership.handle_timeout(now);
        }
        if is_due(self.stock.poll_timeout()) {
            self.stock.handle_timeout(now);
        }
        if is_due(self.coordinator.poll_timeout()) {
            self.coordinator.handle_timeout(now);
        }
        self.settle(now);
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        [
            self.membership.poll_timeout(),
            self.leadership.poll_timeout(),
            self.stock.poll_timeout(),
            self.coordinator.poll_timeout(),
            self.draining_since
                .filter(|_| !self.notice_is_over)
                .map(|since| (since + DRAIN_NOTICE, "leave after notice")),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The bundle that requests are answered with now, if any part of one is served or planned.
    pub fn serving(&self) -> Option<(Digest, &Arc<Manifest>)> {
        let bundle = self.routes.bundle()?;
        self.manifests.get(&bundle).map(|manifest| (bundle, manifest))
    }

    /// Who is alive, in this node's eyes.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Who leads, and the plan that holds, in this node's eyes.
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    /// What this node tells of itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Requests that it has taken and not answered yet, and runs that wait for a worker.
    pub fn load(&self) -> (usize, usize) {
        (self.coordinator.open_requests(), self.replicas.waiting())
    }

    /// All queues that others can make grow, with their bounds.
    pub fn queues(&self) -> impl Iterator<Item = Queue> {
        let own = [self.coordinator.queue(), self.replicas.queue()];
        own.into_iter().chain(self.membership.queues()).chain(self.stock.queues())
    }

    /// How many parts of the served bundle have a replica that would be asked now, and of how many.
    pub fn parts_served(&self) -> (usize, usize) {
        let Some((_, manifest)) = self.serving() else { return (0, 0) };
        (self.routes.parts().iter().filter(|replicas| !replicas.is_empty()).count(), manifest.parts.len())
    }

    /// The manifest of a bundle, if it is known.
    pub fn manifest(&self, bundle: Digest) -> Option<&Arc<Manifest>> {
        self.manifests.get(&bundle)
    }

    fn take_message(&mut self, now: Instant, from: NodeId, message: Message, blob: crate::blob::Blob) {
        match message {
            Message::Membership(message) => {
                self.membership.handle(now, membership::Input::Message { from, message });
                let round_trip = self.membership.member(from).and_then(membership::Member::rtt);
                if round_trip.is_some_and(|round_trip| self.observations.round_trip(from, round_trip)) {
                    self.note_change(from);
                }
            }
            Message::Leadership(message) => {
                self.leadership.handle(now, leadership::Input::Message { from, message });
            }
            Message::Deployment(message) => {
                self.stock.handle(now, deployment::Input::Message { from, message, blob });
            }
            Message::Inference(message) => self.take_inference(now, from, message, blob),
        }
    }

    fn take_inference(&mut self, now: Instant, from: NodeId, message: inference::Message, blob: crate::blob::Blob) {
        match message {
            inference::Message::Ask { .. } | inference::Message::Cancel { .. } => {
                self.replicas.handle(now, replica::Input::Message { from, message, blob });
            }
            inference::Message::Partial { .. } | inference::Message::Refuse { .. } => {
                self.coordinator.handle(now, coordinator::Input::Message { from, message, blob });
            }
        }
    }

    fn drain(&mut self, now: Instant) {
        if self.draining_since.is_none() {
            self.draining_since = Some(now);
            self.coordinator.handle(now, coordinator::Input::Drain);
        }
    }
}
