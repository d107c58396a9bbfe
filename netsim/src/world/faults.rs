//! Faults strike.

use rocoin::blob::Blob;
use rocoin::id::NodeId;
use rocoin::node::Input;
use rocoin::time::Duration;

use super::event::Event;
use super::host::Disk;
use super::network::index;
use super::{Starving, World};
use crate::fact::{Fact, HostId, Kept};
use crate::fault::{Fault, Target, seconds};

impl World {
    /// A fault strikes now. Whom it cannot strike (a host that does not exist or does not run) it leaves alone.
    pub fn apply(&mut self, fault: &Fault) {
        self.tell(Fact::Fault { text: text_of(fault) });
        match fault {
            Fault::Crash { on, disk, silent } => self.each(on, |world, host| world.stop(host, false, *disk, *silent)),
            Fault::Restart { on } => self.each_of_all(on, Self::start),
            Fault::Drain { on } => self.each(on, Self::drain),
            Fault::Pause { on } => self.each(on, Self::pause),
            Fault::Resume { on } => self.each_of_all(on, Self::resume),
            Fault::Slow { on, factor } => self.each_of_all(on, |world, host| world.slow(host, *factor)),
            Fault::Starve { on, stall_s, run_s } => {
                self.each_of_all(on, |world, host| world.starve(host, seconds(*stall_s), seconds(*run_s)));
            }
            Fault::Partition { sides } => self.partition(sides),
            Fault::Halves => self.halves(),
            Fault::Isolate { on } => self.each(on, |world, host| world.set_link(host, false)),
            Fault::Cut { from, to } => self.cut(from, to),
            Fault::Heal => self.heal(),
            Fault::Clog { on, factor } => self.each_of_all(on, |world, host| world.clog(host, *factor)),
            Fault::Flap { on, times, down_s, up_s } => self.flap(on, *times, seconds(*down_s), seconds(*up_s)),
            Fault::Lie { on, lies } => self.each_of_all(on, |world, host| world.lie(host, *lies)),
            Fault::CorruptArtifact { on } => self.each_of_all(on, Self::corrupt),
            Fault::DiskFull { on, full } => self.each_of_all(on, |world, host| world.fill(host, *full)),
            Fault::DiskSlow { on, factor } => self.each_of_all(on, |world, host| world.slow_disk(host, *factor)),
            Fault::ClockJump { on, by_s } => {
                self.each_of_all(on, |world, host| world.jump_clock(host, seconds(*by_s)));
            }
            Fault::Clone { from, to } => self.clone_host(from, to),
            Fault::Deploy { on, bundle } => self.each(on, |world, host| world.deploy(host, *bundle)),
            Fault::Calm { without } => self.calm(without),
        }
    }

    /// Whom a target means, of those that run.
    pub fn targets(&mut self, target: &Target) -> Vec<HostId> {
        let mut running: Vec<_> = self.host_ids().filter(|host| self.host(*host).is_running()).collect();
        match target {
            Target::Host(host) => running.into_iter().filter(|h| h.0 == *host).collect(),
            Target::All => running,
            Target::Random => self.random.pick(&running).copied().into_iter().collect(),
            Target::Some(count) => {
                self.random.shuffle(&mut running);
                running.truncate(usize::try_from(*count).unwrap_or(usize::MAX));
                running.sort_unstable();
                running
            }
            Target::Leader => self.leader().into_iter().collect(),
            Target::Group(part) => self.group(*part),
        }
    }

    /// Whom most running nodes follow, if it runs.
    pub fn leader(&self) -> Option<HostId> {
        let mut votes = std::collections::BTreeMap::<NodeId, usize>::new();
        for node in self.hosts.iter().filter_map(|h| h.node.as_ref()) {
            if let Some(leader) = node.leadership().leader() {
                *votes.entry(leader).or_default() += 1;
            }
        }
        let leader = votes.iter().max_by_key(|(_, votes)| **votes).map(|(leader, _)| *leader)?;
        self.host_of(leader)
    }

    fn group(&self, part: u16) -> Vec<HostId> {
        let plans = self.hosts.iter().filter_map(|h| h.node.as_ref()?.leadership().plan());
        let Some(plan) = plans.max_by_key(|plan| plan.epoch) else { return Vec::new() };
        let members = plan.groups.iter().filter(|g| g.part.0 == part).flat_map(|g| &g.members);
        members.filter_map(|member| self.host_of(*member)).collect()
    }

    fn host_of(&self, node: NodeId) -> Option<HostId> {
        self.host_ids().find(|host| self.host(*host).is_running() && self.host(*host).disk.node == node)
    }

    fn each(&mut self, target: &Target, mut act: impl FnMut(&mut Self, HostId)) {
        for host in self.targets(target) {
            act(self, host);
        }
    }

    fn each_of_all(&mut self, target: &Target, mut act: impl FnMut(&mut Self, HostId)) {
        for host in self.targets_of_all(target) {
            act(self, host);
        }
    }

    /// Hosts that do not run are meant too, where they are named or all are.
    fn targets_of_all(&mut self, target: &Target) -> Vec<HostId> {
        match target {
            Target::All => self.host_ids().collect(),
            Target::Host(host) => self.host_ids().filter(|h| h.0 == *host).collect(),
            Target::Leader | Target::Random | Target::Some(_) | Target::Group(_) => self.targets(target),
        }
    }

    fn drain(&mut self, host: HostId) {
        self.tell(Fact::Leaving { host });
        let life = self.host(host).life;
        self.happen_or_wait(Event::Result { host, life, input: Box::new(Input::Drain) });
    }

    pub(super) fn pause(&mut self, host: HostId) {
        if !self.host(host).paused {
            self.host_mut(host).paused = true;
            self.tell(Fact::Paused { host });
        }
    }

    pub(super) fn resume(&mut self, host: HostId) {
        let h = self.host_mut(host);
        if !std::mem::take(&mut h.paused) {
            return;
        }
        let deferred = std::mem::take(&mut h.deferred);
        self.tell(Fact::Resumed { host });
        for event in deferred {
            self.after(Duration::ZERO, event);
        }
    }

    fn slow(&mut self, host: HostId, factor: f64) {
        let factor = factor.max(1.0);
        self.host_mut(host).slow = factor;
        self.tell(Fact::Slowed { host, factor });
    }

    fn lie(&mut self, host: HostId, lies: bool) {
        self.host_mut(host).lies = lies;
        self.tell(Fact::Lies { host, lies });
    }

    fn starve(&mut self, host: HostId, stall: Duration, run: Duration) {
        if stall.is_zero() {
            if self.starving.remove(&host).is_some() {
                self.resume(host);
                self.tell_impaired(host);
            }
            return;
        }
        let before = self.starving.get(&host).map(|starving| starving.time);
        let time = before.unwrap_or(self.starved + 1);
        self.starving.insert(host, Starving { time, stall, run });
        if before.is_none() {
            self.starved = time;
            let wait = self.random.time(Duration::ZERO, run);
            self.after(wait, Event::Starve { host, time, stall: true });
        }
        self.tell_impaired(host);
    }

    /// A starving host stands still, or goes on, and will do the other in a while.
    pub(super) fn starve_on(&mut self, host: HostId, time: u64, stall: bool) {
        let Some(starving) = self.starving.get(&host).copied().filter(|starving| starving.time == time) else { return };
        if stall {
            self.pause(host);
        } else {
            self.resume(host);
        }
        let wait = self.random.time(Duration::ZERO, if stall { starving.stall } else { starving.run });
        self.after(wait, Event::Starve { host, time, stall: !stall });
    }

    fn partition(&mut self, sides: &[Vec<u32>]) {
        let mut side_of = vec![0; self.hosts.len()];
        for (side, hosts) in (0..).zip(sides) {
            for host in hosts {
                if let Some(of) = side_of.get_mut(index(HostId(*host))) {
                    *of = side;
                }
            }
        }
        self.set_sides(side_of);
    }

    fn halves(&mut self) {
        let mut order: Vec<_> = (0..self.hosts.len()).collect();
        self.random.shuffle(&mut order);
        let mut sides = vec![0; order.len()];
        order[..order.len() / 2].iter().for_each(|host| sides[*host] = 1);
        self.set_sides(sides);
    }

    pub(super) fn set_link(&mut self, host: HostId, up: bool) {
        if self.network.set_link(host, up) {
            self.tell(Fact::Link { host, up });
            self.cuts_changed();
        }
    }

    fn set_sides(&mut self, sides: Vec<u32>) {
        self.network.set_sides(sides.clone());
        self.tell(Fact::Sides { sides });
        self.cuts_changed();
    }

    fn cut(&mut self, from: &Target, to: &Target) {
        let (senders, receivers) = (self.targets(from), self.targets(to));
        for from in senders {
            for to in receivers.iter().copied().filter(|to| *to != from) {
                if self.network.cut(from, to) {
                    self.tell(Fact::Cut { from, to });
                }
            }
        }
        self.cuts_changed();
    }

    fn heal(&mut self) {
        let cuts: Vec<_> = self.network.cuts().iter().copied().collect();
        for (from, to) in cuts {
            self.network.mend(from, to);
            self.tell(Fact::Mended { from, to });
        }
        let down: Vec<_> = self.network.links_down().iter().copied().collect();
        for host in down {
            self.set_link(host, true);
        }
        self.set_sides(vec![0; self.hosts.len()]);
    }

    fn clog(&mut self, host: HostId, factor: f64) {
        if let Some(drained) = self.network.clog(self.now, host, factor) {
            self.queue.push(drained, Event::Drained { host });
        }
        self.tell_impaired(host);
    }

    fn fill(&mut self, host: HostId, full: bool) {
        self.host_mut(host).disk.full = full;
        self.tell_disk(host);
    }

    fn slow_disk(&mut self, host: HostId, factor: f64) {
        let now = self.now;
        self.host_mut(host).disk.set_slow(factor.max(1.0), now);
        self.await_write(host);
        self.tell_disk(host);
    }

    pub(super) fn tell_impaired(&mut self, host: HostId) {
        let impaired = self.network.is_clogged(self.now, host) || self.starving.contains_key(&host);
        self.tell(Fact::Impaired { host, impaired });
    }

    fn tell_disk(&mut self, host: HostId) {
        let disk = &self.host(host).disk;
        let sound = !disk.full && disk.slow <= 1.0;
        self.tell(Fact::Disk { host, sound });
    }

    fn flap(&mut self, target: &Target, times: u32, down: Duration, up: Duration) {
        for host in self.targets(target) {
            for i in 0..times {
                self.after((down + up) * i, Event::Link { host, up: false });
                self.after((down + up) * i + down, Event::Link { host, up: true });
            }
        }
    }

    fn corrupt(&mut self, host: HostId) {
        let digests: Vec<_> = self.host(host).disk.artifacts.keys().copied().collect();
        let Some(digest) = self.random.pick(&digests).copied() else { return };
        let artifacts = &mut self.hosts[index(host)].disk.artifacts;
        let mut bytes = artifacts[&digest].as_bytes().to_vec();
        if bytes.is_empty() {
            return;
        }
        let at = self.random.below(bytes.len());
        bytes[at] ^= 1;
        artifacts.insert(digest, Blob::from(bytes));
        self.host_mut(host).disk.damaged.insert(digest);
        self.tell_stored(host);
    }

    fn jump_clock(&mut self, host: HostId, by: Duration) {
        let h = self.host_mut(host);
        h.clock_ahead += by;
        h.wake = None;
        if !h.is_running() {
            return;
        }
        // As after a suspend: it stood still, if only in its own eyes.
        if !h.paused {
            self.tell(Fact::Paused { host });
            self.tell(Fact::Resumed { host });
        }
        self.set_wake(host);
    }

    fn clone_host(&mut self, from: &Target, to: &Target) {
        let (originals, copies) = (self.targets(from), self.targets_of_all(to));
        let (Some(from), Some(to)) = (originals.first().copied(), copies.first().copied()) else { return };
        if from == to {
            return;
        }
        self.stop(to, false, Kept::Nothing, false);
        let copied = self.host(from).disk.image();
        let disk = &mut self.host_mut(to).disk;
        *disk = Disk { full: disk.full, slow: disk.slow, ..copied };
        self.start(to);
    }

    fn calm(&mut self, without: &[u32]) {
        let gone: Vec<_> = self.host_ids().filter(|host| without.contains(&host.0)).collect();
        for host in gone {
            self.stop(host, false, Kept::All, false);
        }
        self.heal();
        for host in self.host_ids() {
            self.starve(host, Duration::ZERO, Duration::ZERO);
            self.resume(host);
            self.fill(host, false);
            self.slow_disk(host, 1.0);
            self.clog(host, 1.0);
            self.slow(host, 1.0);
            if self.host(host).lies {
                self.lie(host, false);
            }
            if !without.contains(&host.0) {
                self.start(host);
            }
        }
        let spec = &mut self.network.spec;
        (spec.loss, spec.drop, spec.duplicate, spec.reorder) = (0.0, 0.0, 0.0, 0.0);
        (self.runs_fail, self.is_calm) = (false, true);
        self.tell(Fact::Calm);
    }
}

fn text_of(fault: &Fault) -> String {
    let text = toml::to_string(fault).unwrap_or_else(|_| format!("{fault:?}"));
    text.trim_end().replace('\n', ", ")
}
