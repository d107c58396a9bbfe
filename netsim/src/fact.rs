//! What happened in a simulated world, as invariants, pictures and people read it.

use std::sync::Arc;

use rocoin::id::{Digest, Epoch, Generation, Incarnation, NodeId, PartId, Term};
use rocoin::inference::Mode;
use rocoin::leadership::EpochPlan;
use rocoin::membership::State;
use rocoin::queue::Queue;
use rocoin::time::{Duration, Instant};
use serde::Serialize;

/// A simulated device, numbered from 0. It keeps its number whatever identity it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HostId(pub u32);

impl std::fmt::Display for HostId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// A client's request, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AskId(pub u64);

/// When something happened, and what.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// World time.
    pub at: Instant,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A fault was applied.
    Fault {
        /// As scenario files write it.
        text: String,
    },
    /// A node started.
    Started {
        /// Where.
        host: HostId,
        /// With which identity.
        node: NodeId,
        /// Its start.
        generation: Generation,
        /// RAM for students, bytes.
        memory_bytes: u64,
        /// Room for artifacts, bytes.
        disk_bytes: u64,
        /// The sequence of the deployment that its disk kept.
        wanted: Option<u64>,
    },
    /// A node was told to leave.
    Leaving {
        /// Where.
        host: HostId,
    },
    /// A run of a student fails by chance, as the scenario wants it.
    RunFailed {
        /// Where.
        host: HostId,
    },
    /// A message vanishes by chance.
    Vanished {
        /// The sender.
        from: HostId,
        /// The receiver.
        to: HostId,
    },
    /// A node is gone: it crashed, or left.
    Stopped {
        /// Where.
        host: HostId,
        /// Whether it said goodbye.
        left: bool,
        /// What its disk kept.
        disk: Kept,
    },
    /// A host stands still: it takes nothing in and does nothing.
    Paused {
        /// Which.
        host: HostId,
    },
    /// It goes on.
    Resumed {
        /// Which.
        host: HostId,
    },
    /// A host computes so many times slower from now on.
    Slowed {
        /// Which.
        host: HostId,
        /// 1 is its own speed.
        factor: f64,
    },
    /// The students of a host answer wrongly from now on, or truly again.
    Lies {
        /// Which.
        host: HostId,
        /// Wrongly.
        lies: bool,
    },
    /// Hosts of different sides do not hear each other from now on.
    Sides {
        /// One a host.
        sides: Vec<u32>,
    },
    /// A host's link went down or up.
    Link {
        /// Whose.
        host: HostId,
        /// Up.
        up: bool,
    },
    /// Nothing gets from one host to another.
    Cut {
        /// The sender.
        from: HostId,
        /// The receiver.
        to: HostId,
    },
    /// It does again.
    Mended {
        /// The sender.
        from: HostId,
        /// The receiver.
        to: HostId,
    },
    /// A lane between two hosts is held up for a second or more, since one packet was lost again and again.
    Stalled {
        /// The sender.
        from: HostId,
        /// The receiver.
        to: HostId,
        /// Until the packet arrives.
        until: Instant,
    },
    /// A request or an answer was lost more than once in a row, and holds up what follows it.
    Late {
        /// The sender.
        from: HostId,
        /// The receiver.
        to: HostId,
        /// Until it arrives.
        until: Instant,
    },
    /// The links of a host are so bad, or it is so starved, that nothing is demanded of it; or it is well again.
    Impaired {
        /// Which.
        host: HostId,
        /// Bad or well.
        impaired: bool,
    },
    /// A host's disk takes no more, or is slow, or is well again.
    Disk {
        /// Whose.
        host: HostId,
        /// Well.
        sound: bool,
    },
    /// A node hands an artifact that it fetched to its store.
    Fetched {
        /// Where.
        host: HostId,
        /// Which.
        artifact: Digest,
        /// Whether the bytes are those of the artifact.
        sound: bool,
    },
    /// A node's state reaches its disk, synced.
    Written {
        /// Where.
        host: HostId,
        /// The sequence of the deployment that is to be served, in it.
        wanted: Option<u64>,
    },
    /// A node's own counters, after a step that changed them.
    State {
        /// Where.
        host: HostId,
        /// Its identity.
        node: NodeId,
        /// Its start.
        generation: Generation,
        /// How often it refuted.
        incarnation: Incarnation,
        /// The highest term promised.
        term: Term,
        /// The plan adopted.
        epoch: Option<Epoch>,
        /// Whom it follows.
        leader: Option<NodeId>,
        /// The sequence of the deployment that is to be served.
        wanted: Option<u64>,
        /// Its bundle.
        wanted_bundle: Option<Digest>,
    },
    /// A node adopted a plan, or started with it.
    Adopted {
        /// Where.
        host: HostId,
        /// Its identity.
        node: NodeId,
        /// Kept from before its start.
        kept: bool,
        /// The plan.
        #[serde(serialize_with = "shared")]
        plan: Arc<EpochPlan>,
        /// Whom the node knew and had not given up, itself included: when it made the plan if it did, else when it adopted it.
        known: Vec<NodeId>,
    },
    /// A node's opinion of another changed.
    Opinion {
        /// Whose.
        host: HostId,
        /// Of whom.
        member: NodeId,
        /// Which start of it.
        generation: Generation,
        /// How often it refuted.
        incarnation: Incarnation,
        /// What it is held to be; `None`: it left or was forgotten.
        state: Option<State>,
    },
    /// A node stops sending requests to another, or may send them again.
    Routable {
        /// Whose.
        host: HostId,
        /// Of whom.
        member: NodeId,
        /// Whether it may.
        routable: bool,
    },
    /// Two devices with one identity were noticed.
    Clash {
        /// By whom.
        host: HostId,
        /// The identity.
        member: NodeId,
    },
    /// A node wants a member cut off for what it sent.
    CutOff {
        /// By whom.
        host: HostId,
        /// Whom.
        member: NodeId,
        /// What it did.
        what: String,
    },
    /// The students that take up a host's memory, loaded or being loaded, after a change.
    InMemory {
        /// Where.
        host: HostId,
        /// Which.
        students: Vec<Digest>,
    },
    /// A host runs a student.
    Ran {
        /// Which.
        host: HostId,
        /// The student.
        student: Digest,
        /// The image's index.
        image: usize,
    },
    /// The students that a node has ready, after a change.
    Ready {
        /// Where.
        host: HostId,
        /// Which.
        students: Vec<Digest>,
    },
    /// The artifacts on a host's disk, after a change.
    Stored {
        /// Where.
        host: HostId,
        /// Students and manifests, damaged files included: a node does not know which are.
        held: Vec<Digest>,
        /// Those that are not damaged.
        sound: Vec<Digest>,
    },
    /// A node deletes an artifact from its disk.
    Discarded {
        /// Where.
        host: HostId,
        /// Which.
        artifact: Digest,
    },
    /// A bundle was given to a node.
    Deployed {
        /// Where.
        host: HostId,
        /// Its digest.
        bundle: Digest,
    },
    /// A client asks a node.
    Asked {
        /// The request.
        ask: AskId,
        /// The coordinator.
        host: HostId,
        /// How often it was asked elsewhere before.
        tries: u32,
        /// The image's index.
        image: usize,
        /// What is left of the client's patience.
        deadline: Duration,
        /// Fewer parts are no answer.
        min_parts: usize,
        /// How replicas are to be asked.
        mode: Mode,
    },
    /// A node answers a client.
    Answered {
        /// The request.
        ask: AskId,
        /// The coordinator.
        host: HostId,
        /// Which try of the request it answers.
        tries: u32,
        /// What it said.
        reply: Reply,
    },
    /// A node learns that a client waits for its answer no longer.
    Cancelled {
        /// The request.
        ask: AskId,
        /// The coordinator.
        host: HostId,
        /// Which try of the request.
        tries: u32,
    },
    /// A request is over for its client; the last word about it.
    Over {
        /// The request.
        ask: AskId,
        /// How it ended.
        outcome: Outcome,
        /// From the first try on.
        took: Duration,
        /// Tries after the first.
        retries: u32,
        /// Whether the class named was right.
        right: bool,
    },
    /// A node begins to have more to run than it can at once, or has no more so much.
    Busy {
        /// Which.
        host: HostId,
        /// Whether a run waits for another.
        busy: bool,
    },
    /// How full a node's queues are: now and then, and whenever one is fuller than it may be.
    Load {
        /// Where.
        host: HostId,
        /// All of them.
        queues: Vec<Queue>,
    },
    /// What a node holds of all others: now and then.
    View {
        /// Whose.
        host: HostId,
        /// All others that it knows of.
        members: Vec<Seen>,
        /// Parts with a replica that it would ask now.
        parts_served: usize,
        /// Parts there are; 0 before a bundle is known.
        parts: usize,
    },
    /// Faults are over; from now on the mesh has to recover.
    Calm,
}

/// One member as another sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Who.
    pub member: NodeId,
    /// Which start.
    pub generation: Generation,
    /// Alive, suspect or down.
    pub state: State,
    /// Whether requests are sent to it.
    pub routable: bool,
}

/// What a crash leaves on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Everything written.
    All,
    /// What was synced; the rest is lost.
    Synced,
    /// Nothing: the node that starts next is a new one.
    Nothing,
}

/// What a coordinator answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// An answer.
    Answer {
        /// The merged logits.
        logits: Vec<f32>,
        /// The bundle.
        bundle: Digest,
        /// How it asked the replicas.
        mode: Mode,
        /// What was used: part, student, who answered.
        parts: Vec<(PartId, Digest, NodeId)>,
        /// What is lacking.
        missing: Vec<PartId>,
        /// The parts that mode `verify` calls verified.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        verified: Vec<PartId>,
        /// Whom a majority contradicted.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        outvoted: Vec<NodeId>,
    },
    /// A reasoned error.
    Error {
        /// What kind.
        outcome: Outcome,
        /// For people.
        text: String,
    },
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered with every part.
    Complete,
    /// Answered without some part.
    Degraded,
    /// Refused as overload.
    Overloaded,
    /// Nothing is served there yet.
    NotServing,
    /// Too few parts have a replica.
    NoReplica,
    /// The deadline passed at the coordinator.
    Deadline,
    /// The coordinator was leaving.
    Draining,
    /// The input was refused; no simulated client sends such a one.
    BadInput,
    /// Nobody could be reached, or those asked died with the request.
    Lost,
}

impl Outcome {
    /// Whether the client has an answer.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Complete | Self::Degraded)
    }

    /// Whether asking another node at once makes sense: this one had nothing to do with the request's failure.
    pub(crate) fn asks_elsewhere(self) -> bool {
        matches!(self, Self::Overloaded | Self::NotServing | Self::NoReplica | Self::Draining | Self::Lost)
    }
}

fn shared<S: serde::Serializer>(plan: &Arc<EpochPlan>, serializer: S) -> Result<S::Ok, S::Error> {
    EpochPlan::serialize(plan, serializer)
}
