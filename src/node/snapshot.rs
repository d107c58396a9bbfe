//! A node's view of itself and of the mesh, for status, metrics and invariants.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fleet::Capability;
use crate::id::{Digest, Generation, Incarnation, NodeId, PartId, Term};
use crate::membership::{Holding, State};
use crate::planner::PlanOptions;

/// What a node knows and does at one moment. Identifiers are hexadecimal text, so that any program can read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeSnapshot {
    /// `rocoin.status/1`.
    pub schema: String,
    /// The node's name.
    pub name: String,
    /// The node's identity.
    pub node: NodeId,
    /// Which start of the node this is.
    pub generation: Generation,
    /// How often it refuted a suspicion.
    pub incarnation: Incarnation,
    /// The highest term seen.
    pub term: Term,
    /// Whom it follows.
    pub leader: Option<NodeId>,
    /// The plan it adopted, as `term.leader.sequence`.
    pub epoch: Option<String>,
    /// What is being served.
    pub bundle: Option<BundleSnapshot>,
    /// One a part of the served bundle, in part order.
    pub parts: Vec<PartSnapshot>,
    /// How many parts have a ready replica that can be reached.
    pub parts_served: usize,
    /// All members it knows of, itself included, by identity.
    pub members: Vec<MemberSnapshot>,
    /// What it asks of a plan where it leads.
    pub planning: PlanningSnapshot,
    /// Requests it has taken and not answered yet.
    pub open_requests: usize,
    /// Runs waiting for a worker.
    pub queued_jobs: usize,
    /// Whether it is leaving.
    pub draining: bool,
    /// What its machines counted since it started, as `machine_what`: `coordinator_failovers`, say. The shell adds what went over
    /// the links, as `network_lane_what`.
    pub counters: BTreeMap<String, u64>,
}

/// What a node asks of a plan where it leads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlanningSnapshot {
    /// With fewer members it plans nothing.
    pub min_members: usize,
    /// As in the `[plan]` table of a fleet file.
    pub options: PlanOptions,
}

/// A bundle by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleSnapshot {
    /// Of its manifest.
    pub digest: Digest,
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One part: who is to hold it, who can answer for it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSnapshot {
    /// The part.
    pub part: PartId,
    /// The group of the adopted plan.
    pub group: Vec<NodeId>,
    /// The planned student's architecture; `None` before a plan.
    pub student: Option<String>,
    /// Its digest.
    pub digest: Option<Digest>,
    /// Members with a loaded student of this part that can be reached.
    pub ready: Vec<NodeId>,
}

/// One member, as this node sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberSnapshot {
    /// Its identity.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Alive, suspect or down.
    pub state: State,
    /// Whether requests are sent to it.
    pub routable: bool,
    /// Its start.
    pub generation: Generation,
    /// How often it refuted a suspicion.
    pub incarnation: Incarnation,
    /// What it can do, as it says.
    pub capability: Capability,
    /// The same with what this node observed of it: what this node plans with where it leads. `None` if it would plan without this
    /// member, which is down, suspect for long or leaving.
    pub planned_with: Option<Capability>,
    /// Where its HTTP interface is, as others can reach it.
    pub http: Option<String>,
    /// The plan it says it adopted, as `term.leader.sequence`.
    pub epoch: Option<String>,
    /// The parts it holds ready.
    pub ready: Vec<PartId>,
    /// The bundles on its disk.
    pub bundles: Vec<Holding>,
    /// Answers of it that a majority contradicted, in requests that this node took in mode `verify`.
    #[serde(default)]
    pub outvoted: u64,
    /// Answers of it that differed from others without a majority for either.
    #[serde(default)]
    pub disputed: u64,
    /// Whether this node leaves it out, where it can, since it was outvoted.
    #[serde(default)]
    pub distrusted: bool,
}
