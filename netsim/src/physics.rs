//! What a world is really like, gathered from its facts: who runs, who can reach whom, and since when nothing disturbed it.

use std::collections::{BTreeMap, BTreeSet};

use rocoin::id::{Generation, NodeId};
use rocoin::time::{Duration, Instant};

use crate::fact::{Entry, Fact, HostId};

/// One host as it really is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Body {
    /// Its identity since its last start.
    pub node: NodeId,
    /// Its last start.
    pub generation: Generation,
    /// RAM for students, bytes.
    pub memory_bytes: u64,
    /// Room for artifacts, bytes.
    pub disk_bytes: u64,
    /// Whether a node runs there.
    pub running: bool,
    paused: bool,
    impaired: bool,
    leaving: bool,
    /// When something last happened to it or to its links.
    disturbed_at: Instant,
}

/// A lane that is held up for so long is for the two as if their link had been cut. (Four losses in a row make it 3 s, three 1.4 s.)
const CUT: Duration = Duration::from_secs(2);

/// The truth that a node's view is compared with.
#[derive(Debug, Clone, Default)]
pub struct Physics {
    now: Instant,
    hosts: BTreeMap<HostId, Body>,
    identities: BTreeMap<NodeId, BTreeSet<HostId>>,
    sides: Vec<u32>,
    cuts: BTreeSet<(HostId, HostId)>,
    down: BTreeSet<HostId>,
    /// When a message between two hosts last vanished, the smaller number first.
    vanished: BTreeMap<(HostId, HostId), Instant>,
    /// Until when a request or answer between two is held up, the smaller number first.
    late: BTreeMap<(HostId, HostId), Instant>,
    /// When a lane between two was last held up for a second or two, the smaller number first.
    stalled: BTreeMap<(HostId, HostId), Instant>,
    /// When a run last failed by chance.
    runs_failed: BTreeMap<HostId, Instant>,
    /// Whether each host lies, and since when; those never spoken of never did.
    liars: BTreeMap<HostId, (bool, Instant)>,
    /// Whether each host computes at its own speed, and since when; those never spoken of always did.
    speeds: BTreeMap<HostId, (bool, Instant)>,
    /// Whether each disk is well, and since when; those never spoken of always were.
    disks: BTreeMap<HostId, (bool, Instant)>,
}

impl Physics {
    /// The time of the last fact.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Takes in what happened.
    pub fn observe(&mut self, entry: &Entry) {
        self.now = entry.at;
        match &entry.fact {
            Fact::Started { host, node, generation, memory_bytes, disk_bytes, .. } => {
                let body = Body {
                    node: *node,
                    generation: *generation,
                    memory_bytes: *memory_bytes,
                    disk_bytes: *disk_bytes,
                    leaving: false,
                    running: true,
                    paused: false,
                    impaired: self.hosts.get(host).is_some_and(|b| b.impaired),
                    disturbed_at: self.now,
                };
                self.hosts.insert(*host, body);
                self.identities.entry(*node).or_default().insert(*host);
            }
            Fact::Stopped { host, .. } => self.disturb(*host, |body| body.running = false),
            Fact::Leaving { host } => self.disturb(*host, |body| body.leaving = true),
            Fact::RunFailed { host } => {
                self.runs_failed.insert(*host, entry.at);
            }
            Fact::Vanished { from, to } => {
                self.vanished.insert(pair(*from, *to), entry.at);
            }
            Fact::Late { from, to, until } => {
                let late = self.late.entry(pair(*from, *to)).or_insert(*until);
                *late = (*late).max(*until);
            }
            Fact::Paused { host } => self.disturb(*host, |body| body.paused = true),
            Fact::Resumed { host } => self.disturb(*host, |body| body.paused = false),
            Fact::Slowed { host, factor } => {
                self.speeds.insert(*host, (*factor <= 1.0, entry.at));
            }
            Fact::Impaired { host, impaired } => self.disturb(*host, |body| body.impaired = *impaired),
            Fact::Lies { host, lies } => {
                self.liars.insert(*host, (*lies, entry.at));
            }
            Fact::Disk { host, sound } => {
                self.disks.insert(*host, (*sound, entry.at));
            }
            Fact::Sides { sides } => {
                let before = std::mem::replace(&mut self.sides, sides.clone());
                if before != self.sides {
                    self.disturb_all();
                }
            }
            Fact::Link { host, up } => {
                if *up {
                    self.down.remove(host)
                } else {
                    self.down.insert(*host)
                };
                self.disturb(*host, |_| ());
            }
            Fact::Stalled { from, to, until } if until.since(entry.at) >= CUT => self.disturb_both(*from, *to),
            Fact::Stalled { from, to, .. } => {
                self.stalled.insert(pair(*from, *to), entry.at);
            }
            Fact::Cut { from, to } => {
                self.cuts.insert((*from, *to));
                self.disturb_both(*from, *to);
            }
            Fact::Mended { from, to } => {
                self.cuts.remove(&(*from, *to));
                self.disturb_both(*from, *to);
            }
            Fact::Calm => self.disturb_all(),
            Fact::Fault { .. }
            | Fact::State { .. }
            | Fact::Adopted { .. }
            | Fact::Opinion { .. }
            | Fact::Routable { .. }
            | Fact::Clash { .. }
            | Fact::CutOff { .. }
            | Fact::InMemory { .. }
            | Fact::Ran { .. }
            | Fact::Written { .. }
            | Fact::Ready { .. }
            | Fact::Fetched { .. }
            | Fact::Stored { .. }
            | Fact::Discarded { .. }
            | Fact::Deployed { .. }
            | Fact::Asked { .. }
            | Fact::Answered { .. }
            | Fact::Cancelled { .. }
            | Fact::Busy { .. }
            | Fact::Over { .. }
            | Fact::Load { .. }
            | Fact::View { .. } => {}
        }
    }

    fn disturb(&mut self, host: HostId, change: impl FnOnce(&mut Body)) {
        let now = self.now;
        if let Some(body) = self.hosts.get_mut(&host) {
            let before = *body;
            change(body);
            if *body != before || !body.paused {
                body.disturbed_at = now;
            }
        }
    }

    fn disturb_both(&mut self, a: HostId, b: HostId) {
        self.disturb(a, |_| ());
        self.disturb(b, |_| ());
    }

    fn disturb_all(&mut self) {
        let now = self.now;
        self.hosts.values_mut().for_each(|body| body.disturbed_at = now);
    }

    /// A host.
    pub fn body(&self, host: HostId) -> Option<&Body> {
        self.hosts.get(&host)
    }

    /// Every host that ever started.
    pub fn hosts(&self) -> impl Iterator<Item = (HostId, &Body)> {
        self.hosts.iter().map(|(host, body)| (*host, body))
    }

    /// The hosts where a node runs.
    pub fn running(&self) -> impl Iterator<Item = (HostId, &Body)> {
        self.hosts().filter(|(_, body)| body.running)
    }

    /// Where the node with this identity runs, if it runs at one place alone.
    pub fn host_of(&self, node: NodeId) -> Option<HostId> {
        let mut hosts =
            self.identities.get(&node)?.iter().filter(|h| self.hosts[h].running && self.hosts[h].node == node);
        let host = hosts.next()?;
        hosts.next().is_none().then_some(*host)
    }

    /// The hosts that ever had this identity.
    pub fn hosts_of(&self, node: NodeId) -> impl Iterator<Item = HostId> {
        self.identities.get(&node).into_iter().flatten().copied()
    }

    /// Whether more than one device ever had this identity: then little can be demanded of it.
    pub fn was_cloned(&self, node: NodeId) -> bool {
        self.identities.get(&node).is_some_and(|hosts| hosts.len() > 1)
    }

    /// Whether some running node's identity is, or was, that of another device, too.
    pub fn has_copies(&self) -> bool {
        self.running().any(|(_, body)| self.was_cloned(body.node))
    }

    /// Whether the node of this host shares its identity with that of another, now or once.
    pub fn is_copy(&self, host: HostId) -> bool {
        self.body(host).is_some_and(|body| self.was_cloned(body.node))
    }

    /// Whether a host's disk has been well for so long.
    pub fn is_disk_well(&self, host: HostId, span: Duration) -> bool {
        self.disks.get(&host).is_none_or(|(sound, since)| *sound && self.now.since(*since) >= span)
    }

    /// Whether a host has computed at its own speed for so long.
    pub fn is_quick(&self, host: HostId, span: Duration) -> bool {
        self.speeds.get(&host).is_none_or(|(quick, since)| *quick && self.now.since(*since) >= span)
    }

    /// Whether a node with this identity lied at any moment since then.
    pub fn lied_since(&self, node: NodeId, since: Instant) -> bool {
        self.liars_named(node).any(|(lies, at)| lies || at >= since)
    }

    /// Whether the node with this identity has done nothing but lie since then.
    pub fn has_only_lied_since(&self, node: NodeId, since: Instant) -> bool {
        !self.was_cloned(node) && self.liars_named(node).any(|(lies, at)| lies && at <= since)
    }

    fn liars_named(&self, node: NodeId) -> impl Iterator<Item = (bool, Instant)> {
        self.hosts_of(node).filter_map(|host| self.liars.get(&host).copied())
    }

    /// Whether by chance a run failed at the replica since then, or a message between the two vanished or was late.
    pub fn had_bad_luck_since(&self, coordinator: HostId, replica: HostId, since: Instant) -> bool {
        let pair = pair(coordinator, replica);
        let lately = |at: Option<&Instant>| at.is_some_and(|at| *at >= since);
        lately(self.vanished.get(&pair)) || lately(self.late.get(&pair)) || lately(self.runs_failed.get(&replica))
    }

    /// Whether a host's node was told to leave.
    pub fn is_leaving(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_some_and(|body| body.leaving)
    }

    /// Whether a host stands still.
    pub fn stands_still(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_some_and(|body| body.paused)
    }

    /// Whether a host's node runs, and has the processor and the links that it needs; its students may be slow.
    pub fn is_well(&self, host: HostId) -> bool {
        let well = |b: &Body| b.running && !b.paused && !b.impaired && !b.leaving;
        self.hosts.get(&host).is_some_and(well) && !self.down.contains(&host)
    }

    /// Whether messages go both ways between them.
    pub fn is_open(&self, a: HostId, b: HostId) -> bool {
        let side = |host: HostId| usize::try_from(host.0).ok().and_then(|i| self.sides.get(i)).copied().unwrap_or(0);
        let down = self.down.contains(&a) || self.down.contains(&b);
        !down && side(a) == side(b) && !self.cuts.contains(&(a, b)) && !self.cuts.contains(&(b, a))
    }

    /// For how long nothing has happened to a host; zero if it does not run.
    pub fn calm_for(&self, host: HostId) -> Duration {
        self.hosts.get(&host).filter(|b| b.running).map_or(Duration::ZERO, |b| self.now.since(b.disturbed_at))
    }

    /// Whether all that run are well and open to each other, and nothing has happened to any host for so long, stopped ones
    /// included.
    pub fn is_fleet_calm(&self, span: Duration) -> bool {
        let is_still = |body: &Body| self.now.since(body.disturbed_at) >= span;
        let is_whole = |host| self.is_well(host) && self.running().all(|(other, _)| self.is_open(host, other));
        self.hosts.values().all(is_still) && self.running().all(|(host, _)| is_whole(host))
    }

    /// Whether both have been well and open to each other for so long. Where nobody else can vouch for one to the other, a lane between
    /// them that is held up for longer than a suspicion lasts is no calm.
    pub fn are_calm(&self, a: HostId, b: HostId, span: Duration) -> bool {
        let calm = |host| self.is_well(host) && self.calm_for(host) >= span;
        let stalled = self.stalled.get(&pair(a, b)).is_some_and(|at| self.now.since(*at) < span);
        calm(a) && calm(b) && self.is_open(a, b) && (!stalled || self.has_witness(a, b))
    }

    /// Whether somebody else is well and open to both.
    fn has_witness(&self, a: HostId, b: HostId) -> bool {
        let open = |other: HostId| self.is_open(a, other) && self.is_open(other, b);
        self.running().any(|(other, _)| other != a && other != b && self.is_well(other) && open(other))
    }
}

fn pair(a: HostId, b: HostId) -> (HostId, HostId) {
    (a.min(b), a.max(b))
}
