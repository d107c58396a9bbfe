//! A world in virtual time: one thread, one seed, and in it the very `rocoin::Node` that runs on devices.
//!
//! It is the shell of many nodes at once: it takes their outputs, lets time pass, and hands in what came of them. It has no
//! rule of the protocol in it, and judges nothing: what happens is told as [`Fact`]s, which [`crate::invariant`]s judge.

mod clients;
mod connections;
mod disks;
mod event;
mod faults;
mod health;
mod host;
mod network;
mod nodes;
mod queue;
mod standing;
mod stats;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::time::{Duration, Instant};

use self::clients::Clients;
pub use self::clients::LoadSpec;
pub(crate) use self::clients::{GRACE, REFUSED_AFTER};
use self::event::Event;
use self::host::Host;
pub use self::host::HostSpec;
use self::network::Network;
pub use self::network::{NetworkSpec, Pays};
use self::queue::Queue;
use self::standing::Standing;
pub use self::stats::{HostStats, Stats};
use crate::fact::{Entry, Fact, HostId};
use crate::fault::Scheduled;
use crate::model::Model;
use crate::random::Random;

/// Between two looks at views and queues.
const PULSE: Duration = Duration::from_secs(1);
/// So many hosts are looked at each time, in turn: each look costs the size of the fleet.
const PULSE_HOSTS: usize = 100;

/// Where a mesh begins in the middle all nodes have started by then.
const STARTED: Duration = Duration::from_millis(100);
/// Between two looks whether it has a plan.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After a plan is adopted everybody has loaded what it gives it, and told so: records change at most once a second.
const LOADED: Duration = Duration::from_millis(1100);

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Of all chance.
    pub seed: u64,
    /// The devices.
    pub hosts: Vec<HostSpec>,
    /// The links.
    pub network: NetworkSpec,
    /// The nodes' settings.
    pub node: rocoin::node::Config,
    /// Bundles that can be deployed, the first at the start.
    pub models: Vec<Arc<Model>>,
    /// Every disk has the first bundle's artifacts from the start.
    pub in_place: bool,
    /// Hosts do not call out at their first start, and have one clock in common; [`World::find_together`] makes them known to each other.
    pub acquainted: bool,
    /// A student's run fails with the failure probability of its host's capability.
    pub runs_fail: bool,
    /// What clients ask.
    pub load: LoadSpec,
    /// What goes wrong when.
    pub schedule: Vec<Scheduled>,
    /// Bugs of the nodes and of this shell that are switched on, for checking the checker.
    pub bugs: rocoin::bugs::Bugs,
}

/// How a host starves.
#[derive(Debug, Clone, Copy)]
struct Starving {
    /// Which starvation this is, counted over all hosts: what was due in an earlier one is over.
    time: u64,
    /// How long it stalls at most.
    stall: Duration,
    /// How long it runs at most in between.
    run: Duration,
}

/// The simulated world.
#[derive(Debug)]
pub struct World {
    now: Instant,
    queue: Queue<Event>,
    hosts: Vec<Host>,
    network: Network,
    connections: Standing,
    clients: Clients,
    models: Vec<Arc<Model>>,
    node_config: rocoin::node::Config,
    runs_fail: bool,
    in_place: bool,
    acquainted: bool,
    schedule: Vec<Scheduled>,
    starving: BTreeMap<HostId, Starving>,
    /// How often any host began to starve.
    starved: u64,
    /// Everything was put right.
    is_calm: bool,
    bugs: rocoin::bugs::Bugs,
    random: Random,
    facts: Vec<Entry>,
    stats: Stats,
    /// Messages so far.
    sent: u64,
}

impl World {
    /// A world at time zero; all hosts start within its first moments.
    pub fn new(setup: Setup) -> Self {
        let Setup { seed, hosts, network, mut node, models, in_place, acquainted, runs_fail, load, schedule, bugs } =
            setup;
        node.bugs = bugs;
        let count = hosts.len();
        let mut random = Random::new(seed, "world");
        let network = Network::new(network, count, Random::new(seed, "network"));
        let hosts = hosts
            .into_iter()
            .map(|spec| {
                let node = rocoin::id::NodeId(random.seed());
                let ahead = random.time(Duration::ZERO, Duration::from_secs(1000));
                Host::new(spec, node, if acquainted { Duration::ZERO } else { ahead })
            })
            .collect();
        let mut world = Self {
            now: Instant::ZERO,
            queue: Queue::new(),
            hosts,
            network,
            connections: Standing::default(),
            clients: Clients::new(load, Random::new(seed, "clients")),
            models,
            node_config: node,
            runs_fail,
            in_place,
            acquainted,
            schedule,
            starving: BTreeMap::new(),
            starved: 0,
            is_calm: false,
            bugs,
            random,
            facts: Vec::new(),
            stats: Stats::new(count),
            sent: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for host in self.host_ids() {
            if self.in_place {
                self.fill_disk(host);
            }
            self.start(host);
        }
        if let Some(host) = self.host_ids().next() {
            self.deploy(host, 0);
        }
        for line in 0..self.schedule.len() {
            self.queue.push(self.schedule[line].at, Event::Scheduled { line });
        }
        self.queue.push(self.clients.first_ask(), Event::Ask { ticket: 0 });
        self.queue.push(Instant::ZERO + PULSE, Event::Pulse { batch: 0 });
    }

    /// World time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// All hosts, running or not.
    pub fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)).map(HostId)
    }

    /// Does the next thing that happens by `until`; false, and the time is `until`, if there is none.
    pub fn step(&mut self, until: Instant) -> bool {
        let Some((at, event)) = self.queue.pop(until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = at;
        self.happen_or_wait(event);
        true
    }

    /// Lets something happen now, or when the host that it is put off by goes on.
    fn happen_or_wait(&mut self, event: Event) {
        if let Some(host) = event.put_off_by()
            && self.host(host).paused
        {
            self.host_mut(host).deferred.push_back(event);
        } else {
            self.happen(event);
        }
    }

    /// What happened since it was asked last.
    pub fn take_facts(&mut self) -> std::vec::Drain<'_, Entry> {
        self.facts.drain(..)
    }

    /// Traffic so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The bundles.
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// All running nodes learn of each other as they are now, and are linked, at once and without a message: a mesh that has found
    /// together. May be repeated, to have all news told. What they know alike they share in memory. Their clocks must be one
    /// ([`Setup::acquainted`]).
    pub fn introduce(&mut self) {
        let running: Vec<_> = self.host_ids().filter(|host| self.host(*host).is_running()).collect();
        let known = running.iter().filter_map(|host| Some(self.host(*host).node.as_ref()?.membership().acquaintance()));
        let known: Vec<_> = known.collect();
        self.link_all(&running);
        let Some((first, others)) = running.split_first() else { return };
        let now = self.now;
        let Some(mut model) = self.host_mut(*first).node.take() else { return };
        model.acquaint(now, &known);
        for host in others {
            if let Some(node) = &mut self.host_mut(*host).node {
                node.know_as(now, &model);
            }
        }
        self.host_mut(*first).node = Some(model);
        for host in running {
            self.carry_out(host);
        }
    }

    /// When the first fault is due.
    pub(crate) fn first_fault(&self) -> Option<Instant> {
        self.schedule.iter().map(|line| line.at).min()
    }

    /// Lets a mesh begin in the middle: as soon as all nodes run they are introduced, choose a leader and adopt its plan by themselves, and
    /// are introduced once more when they have loaded what it gives them. Whether they serve before `end`; from then on nobody is
    /// introduced, and no fault may come earlier. The facts wait to be taken.
    pub fn find_together(&mut self, end: Instant) -> bool {
        let begins = self.advance(STARTED, end);
        if begins {
            self.introduce();
        }
        while self.advance(LOOK_EVERY, end) {
            if !self.follows_one_plan() {
                continue;
            }
            if self.advance(LOADED, end) {
                self.introduce();
            }
            if self.trouble().is_none() {
                return true;
            }
        }
        false
    }

    /// Lets time pass, to before `end` at the latest; whether all of it did.
    fn advance(&mut self, time: Duration, end: Instant) -> bool {
        let then = self.now + time;
        let passes = then < end;
        if passes {
            while self.step(then) {}
        }
        passes
    }

    /// Whether every node that runs has adopted one and the same plan.
    fn follows_one_plan(&self) -> bool {
        let epochs: BTreeSet<_> =
            self.host_ids().map(|host| self.identity(host).and_then(|(_, epoch)| epoch)).collect();
        epochs.len() == 1 && !epochs.contains(&None)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { host, ticket } => self.wake(host, ticket),
            Event::Arrive(parcel) => self.arrive(parcel),
            Event::Deliver(parcel) => self.deliver(*parcel),
            Event::Result { host, life, input } => self.result(host, life, *input),
            Event::Written { host, life } => self.written(host, life),
            Event::Exit { host, life } => self.exit(host, life),
            Event::Announce { host, life } => self.announce(host, life),
            Event::Knock { from, to } => self.knock(from, to),
            Event::LinkUp { host, peer, connection } => self.link_up(host, peer, connection),
            Event::LinkDown { host, peer, connection } => self.link_down(host, peer, connection),
            Event::Break { pair, cut } => self.break_if_cut(pair, cut),
            Event::Ask { ticket } => self.ask_next(ticket),
            Event::AskAgain { ask, tries } => self.ask_again(ask, tries),
            Event::Patience { ask, tries } => self.lose_patience(ask, tries),
            Event::Scheduled { line } => {
                let fault = self.schedule[line].fault.clone();
                self.apply(&fault);
            }
            Event::Starve { host, time, stall } => self.starve_on(host, time, stall),
            Event::Drained { host } => self.tell_impaired(host),
            // A link that flaps is put right with all else.
            Event::Link { host, up } => self.set_link(host, up || self.is_calm),
            Event::Pulse { batch } => self.pulse(batch),
        }
    }

    fn pulse(&mut self, batch: u32) {
        let size = u32::try_from(PULSE_HOSTS).unwrap_or(u32::MAX);
        for host in self.host_ids().filter(|host| host.0 / size == batch) {
            let Some(node) = self.host(host).node.as_deref() else { continue };
            let members = node
                .membership()
                .members()
                .map(|m| crate::fact::Seen {
                    member: m.id(),
                    generation: m.generation(),
                    state: m.state(),
                    routable: m.is_routable(),
                })
                .collect();
            let (parts_served, parts) = node.parts_served();
            let queues = node.queues().collect();
            self.tell(Fact::Load { host, queues });
            self.tell(Fact::View { host, members, parts_served, parts });
        }
        self.network.tidy(self.now);
        let batches = u32::try_from(self.hosts.len().div_ceil(PULSE_HOSTS)).unwrap_or(u32::MAX);
        self.after(PULSE, Event::Pulse { batch: (batch + 1) % batches.max(1) });
    }

    fn host(&self, host: HostId) -> &Host {
        &self.hosts[network::index(host)]
    }

    fn host_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.hosts[network::index(host)]
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.queue.push(self.now + wait, event);
    }

    fn tell(&mut self, fact: Fact) {
        self.facts.push(Entry { at: self.now, fact });
    }
}
