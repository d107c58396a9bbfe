//! What a larger fleet costs each node: traffic when nothing happens, and how long a death takes to be noticed and planned
//! around.
//!
//! Measured in worlds that begin in the middle ([`World::introduce`]), since forming a fleet is a matter of its own
//! ([`forming`]). Deliberately absent: any wall-clock time; planning takes none here, and has its own benchmark.

mod chart;

use std::collections::BTreeSet;
use std::sync::Arc;

use rocoin::fleet::Capability;
use rocoin::id::{Epoch, NodeId};
use rocoin::membership::State;
use rocoin::time::{Duration, Instant};
use serde::Serialize;

pub use self::chart::chart;
use crate::fact::{Fact, HostId, Kept};
use crate::fault::{Fault, Target};
use crate::model::Model;
use crate::random::Random;
use crate::world::{HostSpec, LoadSpec, NetworkSpec, Setup, World};

/// Parts of the bundle that is served.
const PARTS: u16 = 4;
/// Idle traffic is counted for so long.
const IDLE: Duration = Duration::from_secs(60);
/// A new fleet has so long to agree, and a death to be planned around.
const PATIENCE: Duration = Duration::from_secs(120);
/// News have so long to be told between two deaths; what is left then counts as told.
const REST: Duration = Duration::from_secs(5);
/// A death's traffic is counted for so long.
const AFTERMATH: Duration = Duration::from_secs(10);

/// What one size of fleet costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Nodes.
    pub nodes: usize,
    /// Control messages a node sends and receives, idle, 1/s.
    pub idle_messages_per_s: f64,
    /// Their bytes, 1/s.
    pub idle_bytes_per_s: f64,
    /// The same of the busiest node.
    pub busiest_messages_per_s: f64,
    /// From a silent death to the first suspicion, s.
    pub suspected_s: Spread,
    /// From a silent death until everybody has given the member up, s.
    pub known_s: Spread,
    /// From the leader's verdict until everybody has adopted the next plan, s; planning itself takes no time here.
    pub replanned_s: Spread,
    /// Control bytes a node sends and receives within ten seconds of a death.
    pub death_bytes: f64,
    /// From a cold start until there is one leader and one plan, every part is served and everybody knows everybody, s.
    pub formed_s: Option<f64>,
}

/// Over several deaths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean; not a number if nothing was measured.
    pub mean: f64,
    /// The largest.
    pub max: f64,
    /// Deaths that were not over in time.
    pub missed: usize,
}

impl Spread {
    fn of(measured: &[Option<Duration>]) -> Self {
        let seconds: Vec<_> = measured.iter().flatten().map(Duration::as_secs_f64).collect();
        #[expect(clippy::cast_precision_loss, reason = "a few deaths")]
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        Self { mean, max: seconds.iter().copied().fold(0.0, f64::max), missed: measured.len() - seconds.len() }
    }
}

/// A fleet of so many devices on one LAN, from 1 to 4 GFLOP/s, each with the whole bundle on its disk.
pub fn setup(nodes: usize, seed: u64, acquainted: bool) -> Setup {
    let mut random = Random::new(seed, "scale");
    let mut host = || HostSpec {
        capability: Capability {
            flops_per_s: random.log_between(1e9, 4e9),
            memory_bytes: 2_000_000,
            link_bits_per_s: 1e8,
            link_delay_s: 0.0,
            failure_probability: 0.05,
        },
        priority: 0,
        disk_bytes: 1 << 30,
        sync_s: 0.002,
    };
    Setup {
        seed,
        hosts: (0..nodes).map(|_| host()).collect(),
        network: NetworkSpec::default(),
        node: rocoin::node::Config::default(),
        models: vec![Arc::new(Model::synthetic(PARTS, u64::from(100 * PARTS)))],
        in_place: true,
        acquainted,
        runs_fail: false,
        load: LoadSpec::default(),
        schedule: Vec::new(),
        bugs: rocoin::bugs::Bugs::default(),
    }
}

/// A fleet that has found together and serves; `None` if it does not get there.
pub fn converged(setup: Setup) -> Option<World> {
    let mut world = World::new(setup);
    let serves = world.find_together(Instant::ZERO + PATIENCE);
    drop(world.take_facts());
    serves.then_some(world)
}

/// Measures one size of fleet over so many deaths; `None` if it never agrees.
pub fn measure(nodes: usize, deaths: usize, seed: u64) -> Option<Row> {
    let mut world = converged(setup(nodes, seed, true))?;
    advance(&mut world, REST);
    let before = world.stats().hosts().to_vec();
    advance(&mut world, IDLE);
    let idle: Vec<_> =
        world.stats().hosts().iter().zip(&before).map(|(now, before)| now.control_since(before)).collect();
    let mut random = Random::new(seed, "deaths");
    let mut all = Vec::new();
    for _ in 0..deaths.min(nodes.saturating_sub(2)) {
        all.push(Death::watch(&mut world, &mut random)?);
        advance(&mut world, REST);
        world.introduce();
    }
    let of = |what: fn(&Death) -> Option<Duration>| Spread::of(&all.iter().map(what).collect::<Vec<_>>());
    let (messages, bytes) = mean(&idle);
    let busiest = idle.iter().map(|(messages, _)| *messages).max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    Some(Row {
        nodes,
        idle_messages_per_s: messages / IDLE.as_secs_f64(),
        idle_bytes_per_s: bytes / IDLE.as_secs_f64(),
        busiest_messages_per_s: busiest as f64 / IDLE.as_secs_f64(),
        suspected_s: of(|death| death.suspected),
        known_s: of(|death| death.known),
        replanned_s: of(|death| death.replanned),
        death_bytes: all.iter().map(|death| death.bytes).sum::<f64>() / all.len() as f64,
        formed_s: None,
    })
}

/// From a cold start of all nodes at once until they are one mesh whose every node knows every other; `None` if that takes more
/// than two minutes.
pub fn forming(nodes: usize, seed: u64) -> Option<Duration> {
    let mut world = World::new(setup(nodes, seed, false));
    while world.now() < Instant::ZERO + PATIENCE {
        advance(&mut world, Duration::from_millis(200));
        if world.everybody_knows_everybody() && world.trouble().is_none() {
            return Some(world.now().since(Instant::ZERO));
        }
    }
    None
}

pub(crate) fn advance(world: &mut World, span: Duration) {
    let end = world.now() + span;
    while world.step(end) {
        drop(world.take_facts());
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn mean(traffic: &[(u64, u64)]) -> (f64, f64) {
    let count = traffic.len().max(1) as f64;
    let sum = traffic.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (sum.0 as f64 / count, sum.1 as f64 / count)
}

/// One node falls silent.
#[derive(Debug, Default)]
struct Death {
    suspected: Option<Duration>,
    known: Option<Duration>,
    replanned: Option<Duration>,
    bytes: f64,
}

impl Death {
    fn watch(world: &mut World, random: &mut Random) -> Option<Self> {
        let leader = world.leader()?;
        let mut running = world.targets(&Target::All);
        running.retain(|host| *host != leader);
        let victim = *random.pick(&running)?;
        let (node, epoch) = world.identity(victim)?;
        let before = world.stats().hosts().to_vec();
        let began = world.now();
        world.apply(&Fault::Crash { on: Target::Host(victim.0), disk: Kept::Synced, silent: true });
        let mut watch = Watch { node, leader, epoch, down: BTreeSet::new(), adopted: BTreeSet::new(), verdict: None };
        let mut death = Self::default();
        while world.now() < began + PATIENCE {
            let is_over = death.known.is_some() && death.replanned.is_some() && death.bytes > 0.0;
            if is_over || !world.step(began + PATIENCE) {
                break;
            }
            let facts: Vec<_> = world.take_facts().collect();
            for entry in facts {
                watch.observe(&entry.fact, entry.at.since(began), running.len(), &mut death);
            }
            if death.bytes <= 0.0 && world.now() >= began + AFTERMATH {
                let traffic = world.stats().hosts().iter().zip(&before).map(|(now, before)| now.control_since(before));
                death.bytes = mean(&traffic.collect::<Vec<_>>()).1;
            }
        }
        Some(death)
    }
}

struct Watch {
    node: NodeId,
    leader: HostId,
    epoch: Option<Epoch>,
    down: BTreeSet<HostId>,
    adopted: BTreeSet<HostId>,
    /// When the leader gave it up.
    verdict: Option<Duration>,
}

impl Watch {
    fn observe(&mut self, fact: &Fact, after: Duration, survivors: usize, death: &mut Death) {
        if let Fact::Opinion { host, member, state: Some(state), .. } = fact
            && *member == self.node
        {
            if *state != State::Alive {
                death.suspected.get_or_insert(after);
            }
            if *state == State::Down {
                self.down.insert(*host);
                if *host == self.leader {
                    self.verdict.get_or_insert(after);
                }
            }
            if self.down.len() == survivors {
                death.known.get_or_insert(after);
            }
        }
        if let Fact::State { host, epoch, .. } = fact
            && *epoch > self.epoch
        {
            self.adopted.insert(*host);
            // A suspect is planned without after a while, so that the plan may come before the verdict.
            if self.adopted.len() == survivors {
                let verdict = self.verdict.unwrap_or(after);
                death.replanned.get_or_insert(after.saturating_sub(verdict));
            }
        }
    }
}
