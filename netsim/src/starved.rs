//! An hour in the life of a fleet in which nobody dies: how many are given up all the same, with a quarter of the devices
//! starved of processor time, and what each part of the failure detector saves.

use std::collections::{BTreeMap, BTreeSet};

use rocoin::id::NodeId;
use rocoin::membership::{Config, State};
use rocoin::time::{Duration, Instant};
use serde::Serialize;

use crate::fact::{Fact, HostId};
use crate::fault::{Fault, Target};
use crate::scale::{converged, setup};

/// One in so many devices starves.
const STARVED_SHARE: u32 = 4;
/// A starved device stands still for up to this, s, then runs for up to this, s.
const STALL_S: f64 = 3.0;

/// A failure detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detector {
    /// Ours: a node that finds itself unwell waits longer, and puts off its verdicts after a standstill.
    LocalHealth,
    /// The same, but a node never doubts itself.
    WithoutIt,
    /// Nor are others asked to ping, nor is there a longer wait for a suspicion that nobody confirms.
    PlainTimeouts,
}

impl Detector {
    /// All, the best first.
    pub const ALL: [Self; 3] = [Self::LocalHealth, Self::WithoutIt, Self::PlainTimeouts];

    /// Its settings.
    pub fn config(self) -> Config {
        let ours = Config::default();
        match self {
            Self::LocalHealth => ours,
            Self::WithoutIt => Config { health_max: 1, ..ours },
            Self::PlainTimeouts => ours.with_plain_timeouts(),
        }
    }
}

/// False deaths of one run: nobody died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Deaths {
    /// Nodes.
    pub nodes: usize,
    /// Whether a quarter of them starved.
    pub starved: bool,
    /// The failure detector.
    pub detector: Detector,
    /// Times that a device which did not starve was given up by somebody, having been held up by all.
    pub of_well: u64,
    /// The same of devices that starved.
    pub of_starved: u64,
    /// Verdicts of single nodes, together.
    pub verdicts: u64,
}

/// Lets a fleet live for so long; `None` if it never forms.
pub fn live(nodes: usize, detector: Detector, starved: bool, span: Duration, seed: u64) -> Option<Deaths> {
    let mut setup = setup(nodes, seed, true);
    setup.node.membership = detector.config();
    let mut world = converged(setup)?;
    let hosts: Vec<_> = world.host_ids().collect();
    let starving: BTreeSet<NodeId> = hosts
        .iter()
        .filter(|host| starved && host.0 % STARVED_SHARE == 0)
        .filter_map(|host| Some(world.identity(*host)?.0))
        .collect();
    for host in hosts.iter().filter(|host| starved && host.0 % STARVED_SHARE == 0) {
        world.apply(&Fault::Starve { on: Target::Host(host.0), stall_s: STALL_S, run_s: STALL_S });
    }
    let mut deaths = Deaths { nodes, starved, detector, of_well: 0, of_starved: 0, verdicts: 0 };
    let mut down: BTreeMap<NodeId, BTreeSet<HostId>> = BTreeMap::new();
    let end: Instant = world.now() + span;
    while world.step(end) {
        for entry in world.take_facts() {
            let Fact::Opinion { host, member, state, .. } = entry.fact else { continue };
            let by = down.entry(member).or_default();
            if state != Some(State::Down) {
                by.remove(&host);
                continue;
            }
            deaths.verdicts += 1;
            let is_first = by.is_empty();
            by.insert(host);
            let count = if starving.contains(&member) { &mut deaths.of_starved } else { &mut deaths.of_well };
            *count += u64::from(is_first);
        }
    }
    Some(deaths)
}
