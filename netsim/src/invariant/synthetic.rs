//! Histories that are made up, to show what each invariant lets pass and what not.

use rocoin::id::{Digest, Epoch, Generation, Incarnation, NodeId, PartId, Term};
use rocoin::inference::Mode;
use rocoin::leadership::{EpochPlan, PlannedGroup};
use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{AskId, Entry, Fact, HostId, Kept};
use crate::physics::Physics;

/// Judges facts, each with its time in seconds, one after the other.
pub(super) fn judge(invariant: &mut dyn Invariant, facts: Vec<(f64, Fact)>) -> Result<(), String> {
    let mut physics = Physics::default();
    for (at, fact) in facts {
        let entry = Entry { at: Instant::ZERO + Duration::from_secs_f64(at), fact };
        physics.observe(&entry);
        invariant.observe(&entry, &physics)?;
    }
    Ok(())
}

pub(super) fn node(host: u8) -> NodeId {
    NodeId([host + 1; 32])
}

pub(super) fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

pub(super) fn host(host: u8) -> HostId {
    HostId(u32::from(host))
}

pub(super) fn started(h: u8, generation: u64) -> Fact {
    let (memory_bytes, disk_bytes) = (1_000_000, 1_000_000);
    Fact::Started {
        host: host(h),
        node: node(h),
        generation: Generation(generation),
        memory_bytes,
        disk_bytes,
        wanted: None,
    }
}

pub(super) fn stopped(h: u8, disk: Kept) -> Fact {
    Fact::Stopped { host: host(h), left: false, disk }
}

pub(super) fn epoch(term: u64, leader: u8, sequence: u64) -> Epoch {
    Epoch { term: Term(term), leader: node(leader), sequence }
}

/// A request of an image with two seconds of patience.
pub(super) fn asked(ask: u64, image: usize) -> Fact {
    let deadline = Duration::from_secs(2);
    asked_in(Mode::All, ask, image, deadline)
}

/// The same in a mode and with another deadline.
pub(super) fn asked_in(mode: Mode, ask: u64, image: usize, deadline: Duration) -> Fact {
    Fact::Asked { ask: AskId(ask), host: host(0), tries: 0, image, deadline, min_parts: 1, mode }
}

/// A node's counters: generation, incarnation, term.
pub(super) fn state(h: u8, (generation, incarnation, term): (u64, u32, u64), at: Option<Epoch>) -> Fact {
    Fact::State {
        host: host(h),
        node: node(h),
        generation: Generation(generation),
        incarnation: Incarnation(incarnation),
        term: Term(term),
        epoch: at,
        leader: None,
        wanted: None,
        wanted_bundle: None,
    }
}

/// A plan with one group a part.
pub(super) fn plan(epoch: Epoch, bundle: Digest, groups: Vec<(Digest, Vec<NodeId>)>) -> EpochPlan {
    let groups =
        (0..).zip(groups).map(|(part, (student, members))| PlannedGroup { part: PartId(part), student, members });
    EpochPlan { epoch, bundle, groups: groups.collect(), feasible: true }
}

pub(super) fn adopted(h: u8, plan: EpochPlan) -> Fact {
    let known = (0..9).map(node).collect();
    Fact::Adopted { host: host(h), node: node(h), kept: false, plan: std::sync::Arc::new(plan), known }
}
