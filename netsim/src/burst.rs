//! Many nodes of a large fleet fall silent at once: how long until everybody knows of each, until a plan without them holds everywhere,
//! what that costs, and whether anybody is given up who is well.

use std::collections::{BTreeMap, BTreeSet};

use rocoin::id::{Epoch, NodeId};
use rocoin::membership::State;
use rocoin::time::{Duration, Instant};
use serde::Serialize;

use crate::fact::{Fact, HostId, Kept};
use crate::fault::{Fault, Target};
use crate::random::Random;
use crate::scale::{advance, converged, setup};
use crate::world::World;

/// The fleet is quiet for so long before.
const REST: Duration = Duration::from_secs(5);
/// Everything has to be over in so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// Traffic is counted for so long.
const AFTERMATH: Duration = Duration::from_secs(10);

/// What a burst of failures costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Burst {
    /// Nodes before it.
    pub nodes: usize,
    /// Nodes that fell silent in one instant; the leader is none of them.
    pub failures: usize,
    /// Until the last of them was first suspected by somebody, s.
    pub suspected_s: Option<f64>,
    /// Until everybody had given up half of them, s.
    pub half_known_s: Option<f64>,
    /// Until everybody had given up all of them, s.
    pub known_s: Option<f64>,
    /// Until everybody had adopted a plan that names none of them, s; planning itself takes no time here.
    pub replanned_s: Option<f64>,
    /// Plans that were made on the way.
    pub plans: usize,
    /// Times that somebody gave up a node that was well.
    pub wrongly_given_up: u64,
    /// Control messages a node sent and received within ten seconds, in the mean.
    pub messages: f64,
    /// The same of the busiest node.
    pub busiest_messages: u64,
    /// Their bytes, in the mean.
    pub bytes: f64,
    /// From the fleet's start to the end, s of simulated time.
    pub simulated_s: f64,
}

/// Lets so many nodes of a fleet fall silent at once; `None` if the fleet never agrees.
pub fn burst(nodes: usize, failures: usize, seed: u64) -> Option<Burst> {
    let mut world = converged(setup(nodes, seed, true))?;
    advance(&mut world, REST);
    let leader = world.leader()?;
    let mut running = world.targets(&Target::All);
    running.retain(|host| *host != leader);
    let mut random = Random::new(seed, "burst");
    let mut watch = Watch::new(running.len() + 1);
    for _ in 0..failures.min(running.len()) {
        let victim = running.swap_remove(random.below(running.len()));
        watch.dead.insert(world.identity(victim)?.0, BTreeSet::new());
        world.apply(&Fault::Crash { on: Target::Host(victim.0), disk: Kept::Synced, silent: true });
    }
    watch.survivors = running.len() + 1;
    Some(watch.follow(&mut world))
}

struct Watch {
    nodes: usize,
    survivors: usize,
    began: Instant,
    /// Who has given up each of the dead.
    dead: BTreeMap<NodeId, BTreeSet<HostId>>,
    suspected: BTreeSet<NodeId>,
    known: usize,
    /// Whether a plan names any of the dead.
    names_dead: BTreeMap<Epoch, bool>,
    replanned: BTreeSet<HostId>,
    wrongly: u64,
}

impl Watch {
    fn new(nodes: usize) -> Self {
        Self {
            nodes,
            survivors: nodes,
            began: Instant::ZERO,
            dead: BTreeMap::new(),
            suspected: BTreeSet::new(),
            known: 0,
            names_dead: BTreeMap::new(),
            replanned: BTreeSet::new(),
            wrongly: 0,
        }
    }

    fn follow(mut self, world: &mut World) -> Burst {
        self.began = world.now();
        let before = world.stats().hosts().to_vec();
        let (mut suspected, mut half, mut known, mut replanned) = (None, None, None, None);
        let mut traffic = None;
        let end = self.began + PATIENCE;
        while (known.is_none() || replanned.is_none() || traffic.is_none()) && world.step(end) {
            let now = world.now().since(self.began);
            let facts: Vec<_> = world.take_facts().collect();
            for entry in &facts {
                self.observe(&entry.fact);
            }
            let noted = |is_so: bool, at: &mut Option<Duration>| {
                if is_so {
                    at.get_or_insert(now);
                }
            };
            noted(self.suspected.len() == self.dead.len(), &mut suspected);
            noted(2 * self.known >= self.dead.len(), &mut half);
            noted(self.known == self.dead.len(), &mut known);
            noted(self.replanned.len() == self.survivors, &mut replanned);
            if traffic.is_none() && now >= AFTERMATH {
                let hosts = world.stats().hosts().iter().zip(&before);
                traffic = Some(hosts.map(|(now, before)| now.control_since(before)).collect::<Vec<_>>());
            }
        }
        let traffic = traffic.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
        let mean = |sum: u64| sum as f64 / self.survivors as f64;
        Burst {
            nodes: self.nodes,
            failures: self.dead.len(),
            suspected_s: suspected.map(|at| at.as_secs_f64()),
            half_known_s: half.map(|at| at.as_secs_f64()),
            known_s: known.map(|at| at.as_secs_f64()),
            replanned_s: replanned.map(|at| at.as_secs_f64()),
            plans: self.names_dead.len(),
            wrongly_given_up: self.wrongly,
            messages: mean(traffic.iter().map(|(messages, _)| messages).sum()),
            busiest_messages: traffic.iter().map(|(messages, _)| *messages).max().unwrap_or(0),
            bytes: mean(traffic.iter().map(|(_, bytes)| bytes).sum()),
            simulated_s: world.now().since(Instant::ZERO).as_secs_f64(),
        }
    }

    fn observe(&mut self, fact: &Fact) {
        if let Fact::Opinion { host, member, state: Some(state), .. } = fact {
            self.judged(*host, *member, *state);
        }
        if let Fact::Adopted { host, plan, .. } = fact {
            let dead = &self.dead;
            let names = || plan.groups.iter().flat_map(|g| &g.members).any(|member| dead.contains_key(member));
            if !*self.names_dead.entry(plan.epoch).or_insert_with(names) {
                self.replanned.insert(*host);
            }
        }
    }

    fn judged(&mut self, host: HostId, member: NodeId, state: State) {
        let Some(by) = self.dead.get_mut(&member) else {
            self.wrongly += u64::from(state == State::Down);
            return;
        };
        if state != State::Alive {
            self.suspected.insert(member);
        }
        if state == State::Down && by.insert(host) && by.len() == self.survivors {
            self.known += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_everybody_knows_of_each_and_holds_a_plan_without_them() {
        let burst = burst(40, 6, 1).unwrap();
        assert_eq!((burst.nodes, burst.failures, burst.wrongly_given_up), (40, 6, 0));
        assert!(burst.suspected_s < burst.known_s && burst.half_known_s <= burst.known_s, "{burst:?}");
        assert!(burst.known_s.is_some() && burst.replanned_s.is_some() && burst.plans > 0, "{burst:?}");
    }
}
