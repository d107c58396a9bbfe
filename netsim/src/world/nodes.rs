//! Starting and stopping nodes, and carrying out what they want done.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocoin::blob::Blob;
use rocoin::bugs::Bug;
use rocoin::id::{Digest, Generation, NodeId};
use rocoin::leadership::{self, EpochPlan};
use rocoin::membership::{self, Record, State};
use rocoin::node::{Event as NodeEvent, Input, JobId, Node, Output, Start};
use rocoin::time::{Duration, Instant};

use super::World;
use super::disks::time_for;
use super::event::Event;
use super::host::{Disk, Told, address_of};
use crate::fact::{Fact, HostId, Kept};

/// Hosts start within this of each other.
const START_WITHIN: Duration = Duration::from_millis(50);
/// Reading, parsing and warming up a student: bytes/s, and at least this long.
const LOAD_BYTES_PER_S: f64 = 50e6;
const LOAD_LEAST: Duration = Duration::from_millis(5);
/// A node that has left sends what it wants to say, and ends.
const EXIT_AFTER: Duration = Duration::from_millis(20);
/// A run varies by this share of its time, as on a device that does other things too.
const RUN_JITTER: f64 = 0.05;

impl World {
    /// Starts the node of a host with what its disk holds; nothing if it runs.
    pub(super) fn start(&mut self, host: HostId) {
        if self.host(host).is_running() {
            return;
        }
        let seed = self.random.seed();
        let reuse = self.bugs.has(Bug::ReuseGeneration);
        let (now, config, models) = (self.now, self.node_config.clone(), self.models.clone());
        let h = self.host_mut(host);
        h.life += 1;
        h.paused = false;
        h.deferred.clear();
        h.told = None;
        h.drafted.clear();
        if !reuse || h.disk.generation == Generation(0) {
            h.disk.generation = Generation(h.disk.generation.0 + 1);
        }
        let (memory_bytes, disk_bytes) = (h.spec.capability.memory_bytes, h.spec.disk_bytes);
        let mut config = config;
        config.deployment.storage_bytes_max = disk_bytes;
        config.deployment.memory_bytes_max = memory_bytes;
        h.verified.clear();
        let manifests = models.iter().map(|m| (m.digest(), Arc::clone(m.manifest())));
        let manifests: BTreeMap<_, _> = manifests.filter(|(digest, _)| h.verify(*digest)).collect();
        let start = Start {
            me: h.disk.node,
            generation: h.disk.generation,
            seed,
            config,
            record: record(host, &h.spec),
            durable: h.disk.durable.clone(),
            artifacts: h.disk.artifacts.iter().map(|(digest, blob)| (*digest, blob.len() as u64)).collect(),
            manifests,
        };
        let (node, generation, life) = (start.me, start.generation, h.life);
        let wanted = start.durable.desired.as_ref().map(|desired| desired.sequence);
        h.node = Some(Box::new(Node::new(start, h.time(now))));
        self.tell(Fact::Started { host, node, generation, memory_bytes, disk_bytes, wanted });
        self.tell_stored(host);
        self.carry_out(host);
        let wait = self.random.time(Duration::ZERO, START_WITHIN);
        if !self.acquainted || now > Instant::ZERO {
            self.after(wait, Event::Announce { host, life });
        }
    }

    /// The node of a host is gone at once.
    pub(super) fn stop(&mut self, host: HostId, left: bool, kept: Kept, silent: bool) {
        if !self.host(host).is_running() {
            return;
        }
        let h = self.host_mut(host);
        h.node = None;
        h.life += 1;
        h.paused = false;
        h.deferred.clear();
        h.loaded.clear();
        h.loading.clear();
        h.busy = false;
        h.wake = None;
        self.close_all_of(host, silent);
        match kept {
            Kept::All => self.host_mut(host).disk.finish_write(),
            Kept::Synced => self.host_mut(host).disk.lose_writes(),
            Kept::Nothing => {
                let node = NodeId(self.random.seed());
                let h = self.host_mut(host);
                h.disk = Disk { full: h.disk.full, slow: h.disk.slow, ..Disk::empty(node) };
            }
        }
        self.tell(Fact::Stopped { host, left, disk: kept });
        self.clients_lose(host);
    }

    /// Gives a bundle to a node, as `rocoin deploy` does; a full disk takes none, nor does a node that stands still.
    pub(super) fn deploy(&mut self, host: HostId, which: usize) {
        let Some(model) = self.models.get(which).cloned() else { return };
        let h = self.host(host);
        if !h.is_running() || h.paused || h.disk.full {
            return;
        }
        let artifacts = model.artifacts().iter().map(|(digest, blob)| (*digest, blob.clone()));
        let h = self.host_mut(host);
        h.verified.extend(model.artifacts().keys());
        h.disk.artifacts.extend(artifacts);
        h.disk.unsynced.retain(|artifact| !model.artifacts().contains_key(artifact));
        h.disk.damaged.retain(|artifact| !model.artifacts().contains_key(artifact));
        self.tell(Fact::Deployed { host, bundle: model.digest() });
        self.tell_stored(host);
        self.input(host, Input::Deploy { bundle: model.digest(), manifest: Arc::clone(model.manifest()) });
    }

    /// One input to a running node, and all that comes of it.
    pub(super) fn input(&mut self, host: HostId, input: Input) {
        let now = self.now;
        let h = self.host_mut(host);
        let time = h.time(now);
        if let Some(node) = &mut h.node {
            node.handle(time, input);
            self.carry_out(host);
        }
    }

    pub(super) fn wake(&mut self, host: HostId, ticket: u64) {
        let now = self.now;
        let h = self.host_mut(host);
        let time = h.time(now);
        if h.ticket != ticket {
            return;
        }
        h.wake = None;
        let Some(node) = &mut h.node else { return };
        if node.poll_timeout().is_some_and(|(due, _)| due <= time) {
            node.handle_timeout(time);
            self.carry_out(host);
        } else {
            self.set_wake(host);
        }
    }

    pub(super) fn result(&mut self, host: HostId, life: u32, input: Input) {
        if self.host(host).life != life {
            return;
        }
        if let Input::Loaded { student, result } = &input {
            let h = self.host_mut(host);
            h.loading.remove(student);
            if result.is_ok() {
                h.loaded.insert(*student);
            }
        }
        if let Input::ArtifactStored { artifact, result: Ok(()) } = &input {
            self.host_mut(host).disk.unsynced.remove(artifact);
            self.tell_stored(host);
        }
        let cancelled = if let Input::CancelRequest { client } = &input { Some(*client) } else { None };
        self.input(host, input);
        // Its time may have been over before: then it has answered first.
        if let Some(client) = cancelled {
            self.tell_cancelled(host, client);
        }
    }

    /// Does all that a node wants, tells what changed, and sets its next wake-up.
    pub(super) fn carry_out(&mut self, host: HostId) {
        self.tell_state(host);
        while let Some(output) = self.host_mut(host).node.as_mut().and_then(|node| node.poll_output()) {
            self.carry_out_one(host, output);
        }
        self.tell_queues(host);
        self.set_wake(host);
    }

    /// Tells whether runs wait, if that changed, and at once when a queue is fuller than it may be.
    fn tell_queues(&mut self, host: HostId) {
        let Some(node) = self.host(host).node.as_deref() else { return };
        let (_, waiting) = node.load();
        let too_full = node.queues().any(|queue| queue.length > queue.bound).then(|| node.queues().collect());
        let busy = waiting > 0;
        if std::mem::replace(&mut self.host_mut(host).busy, busy) != busy {
            self.tell(Fact::Busy { host, busy });
        }
        if let Some(queues) = too_full {
            self.tell(Fact::Load { host, queues });
        }
    }

    fn carry_out_one(&mut self, host: HostId, output: Output) {
        match output {
            Output::Send { to, message, blob } => self.send(host, to, message, blob),
            Output::Dial { peer, addresses } => self.dial(host, peer, &addresses),
            Output::Run { job, student, input } => self.run(host, job, student, &input),
            Output::Load { student } => self.load(host, student),
            Output::Unload { student } => {
                self.host_mut(host).loaded.remove(&student);
                self.tell_memory(host);
            }
            Output::Store { artifact, bytes } => self.store(host, artifact, bytes),
            Output::Discard { artifact } => {
                self.host_mut(host).disk.remove(artifact);
                self.host_mut(host).verified.remove(&artifact);
                self.tell(Fact::Discarded { host, artifact });
                self.tell_stored(host);
            }
            Output::ReadChunk { to, artifact, offset, length } => self.read_chunk(host, to, (artifact, offset, length)),
            Output::Persist { write, durable } => self.persist(host, write, durable),
            Output::Answer { client, result } => self.answer(host, client, result),
            Output::CutOff { peer, what } => self.tell(Fact::CutOff { host, member: peer, what }),
            Output::Event(event) => self.node_event(host, event),
            Output::Drained => {
                let life = self.host(host).life;
                self.after(EXIT_AFTER, Event::Exit { host, life });
            }
        }
    }

    pub(super) fn later(&mut self, host: HostId, wait: Duration, input: Input) {
        let life = self.host(host).life;
        self.after(wait, Event::Result { host, life, input: Box::new(input) });
    }

    fn run(&mut self, host: HostId, job: JobId, student: Digest, input: &Blob) {
        let capability = self.host(host).spec.capability;
        let model = self.models.iter().find(|m| m.flops(student).is_some());
        let answer = model.and_then(|m| {
            let image = m.index_of(input)?;
            let truth = m.partial(student, image)?;
            let said = if self.host(host).lies { lie(host, truth) } else { truth.to_vec() };
            Some((m.flops(student)?, Blob::from_floats(&said), image))
        });
        let Some((flops, partial, image)) = answer else {
            let result = Err("no such student or image in this world".to_owned());
            self.later(host, LOAD_LEAST, Input::JobDone { job, result, run: LOAD_LEAST });
            return;
        };
        let jitter = 1.0 + RUN_JITTER * self.random.unit();
        let run = Duration::from_secs_f64((flops / capability.flops_per_s * self.host(host).slow * jitter).min(3600.0));
        let loaded = self.host(host).loaded.contains(&student);
        let fails = self.runs_fail && self.random.chance(capability.failure_probability);
        if fails {
            self.tell(Fact::RunFailed { host });
        }
        self.tell(Fact::Ran { host, student, image });
        let result = match (loaded, fails) {
            (true, false) => Ok(partial),
            (true, true) => Err("failed, as this scenario wants it".to_owned()),
            (false, _) => Err("not loaded".to_owned()),
        };
        self.later(host, run, Input::JobDone { job, result, run });
    }

    fn load(&mut self, host: HostId, student: Digest) {
        let naming = self.models.iter().filter(|model| model.flops(student).is_some());
        let named: Vec<_> = naming.map(|model| model.digest()).collect();
        let h = self.host_mut(host);
        let bytes = h.disk.artifacts.get(&student).map_or(0, Blob::len);
        let wait = LOAD_LEAST + time_for(bytes, LOAD_BYTES_PER_S).mul_f64(h.slow);
        let result = if named.iter().any(|bundle| h.verified.contains(bundle)) {
            if h.verify(student) { Ok(()) } else { Err("the file is damaged, or gone".to_owned()) }
        } else {
            Err("no manifest here names the student".to_owned())
        };
        if result.is_err() {
            self.tell_stored(host);
        }
        self.host_mut(host).loading.insert(student);
        self.tell_memory(host);
        self.later(host, wait, Input::Loaded { student, result });
    }

    fn tell_memory(&mut self, host: HostId) {
        let h = self.host(host);
        let students = h.loaded.union(&h.loading).copied().collect();
        self.tell(Fact::InMemory { host, students });
    }

    fn node_event(&mut self, host: HostId, event: NodeEvent) {
        match event {
            NodeEvent::Membership(event) => self.membership_event(host, &event),
            NodeEvent::Deployment(
                rocoin::deployment::Event::Ready { .. } | rocoin::deployment::Event::Unloaded { .. },
            ) => {
                let ready = self.host(host).node.as_ref().map(|n| n.record().ready.clone()).unwrap_or_default();
                self.tell(Fact::Ready { host, students: ready });
            }
            NodeEvent::Leadership(leadership::Event::Planned { epoch, .. }) => {
                let h = self.host(host);
                if let Some(known) = h.node.as_ref().map(|node| known(node, h.time(self.now))) {
                    self.host_mut(host).drafted.insert(epoch, known);
                }
            }
            NodeEvent::Deployment(_) | NodeEvent::Leadership(_) | NodeEvent::Inference(_) => {}
        }
    }

    fn membership_event(&mut self, host: HostId, event: &membership::Event) {
        use membership::Event as E;
        let (member, stamp, state) = match event {
            E::Joined { member, stamp } | E::Refuted { member, stamp } | E::Alive { member, stamp } => {
                (*member, Some(stamp), Some(State::Alive))
            }
            E::Suspected { member, stamp, .. } => (*member, Some(stamp), Some(State::Suspect)),
            E::Down { member, stamp } => (*member, Some(stamp), Some(State::Down)),
            E::Left { member } => (*member, None, None),
            E::IdentityClash { member, .. } => {
                let member = *member;
                return self.tell(Fact::Clash { host, member });
            }
            E::Routable { member } | E::Unroutable { member, .. } => {
                let (member, routable) = (*member, matches!(event, E::Routable { .. }));
                return self.tell(Fact::Routable { host, member, routable });
            }
            E::RecordChanged { .. } => return,
        };
        let generation = stamp.map(|stamp| stamp.start.generation).unwrap_or_default();
        let incarnation = stamp.map(|stamp| stamp.incarnation).unwrap_or_default();
        self.tell(Fact::Opinion { host, member, generation, incarnation, state });
    }

    fn tell_state(&mut self, host: HostId) {
        let h = self.host(host);
        let Some(node) = &h.node else { return };
        let (me, leadership) = (node.membership().me(), node.leadership());
        let told = Told {
            generation: me.stamp.start.generation,
            incarnation: me.stamp.incarnation,
            term: leadership.term(),
            plan: leadership.plan().cloned(),
            leader: leadership.leader(),
            wanted: node.record().desired.as_ref().map(|desired| (desired.sequence, desired.bundle)),
        };
        if h.told.as_ref() == Some(&told) {
            return;
        }
        let kept = h.told.is_none();
        let adopted = told.plan.clone().filter(|_| h.told.as_ref().is_none_or(|before| before.plan != told.plan));
        let drafted = |plan: &EpochPlan| h.drafted.get(&plan.epoch).cloned();
        let known = adopted.as_ref().map(|plan| drafted(plan).unwrap_or_else(|| known(node, h.time(self.now))));
        let id = me.id;
        let Told { generation, incarnation, term, leader, wanted, .. } = told;
        let epoch = told.plan.as_ref().map(|plan| plan.epoch);
        let (wanted, wanted_bundle) = wanted.unzip();
        let h = self.host_mut(host);
        h.told = Some(told);
        h.drafted.retain(|drafted, _| Some(*drafted) > epoch);
        self.tell(Fact::State { host, node: id, generation, incarnation, term, epoch, leader, wanted, wanted_bundle });
        if let (Some(plan), Some(known)) = (adopted, known) {
            self.tell(Fact::Adopted { host, node: id, kept, plan, known });
        }
    }

    /// A wake-up that comes too early does no harm, so that only an earlier one is set anew.
    pub(super) fn set_wake(&mut self, host: HostId) {
        let h = self.host_mut(host);
        let Some((due, _)) = h.node.as_ref().and_then(|node| node.poll_timeout()) else { return };
        let due = h.world_time(due);
        if h.wake.is_some_and(|wake| wake <= due) {
            return;
        }
        h.wake = Some(due);
        h.ticket += 1;
        let ticket = h.ticket;
        self.queue.push(due.max(self.now), Event::Wake { host, ticket });
    }

    pub(super) fn exit(&mut self, host: HostId, life: u32) {
        if self.host(host).life == life {
            self.stop(host, true, Kept::All, false);
        }
    }
}

/// Whom a node has not given up, or only in this very step; itself included.
fn known(node: &Node, now: Instant) -> Vec<NodeId> {
    let up = node.membership().members().filter(|m| m.state() != State::Down || m.since() >= now).map(|m| m.id());
    up.chain([node.membership().me().id]).collect()
}

/// What a lying host says: another class, and no two hosts the same.
fn lie(host: HostId, truth: &[f32]) -> Vec<f32> {
    let class = usize::try_from(host.0).unwrap_or(0) % truth.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "hosts are far fewer than 2^24")]
    let wrong = 10.0 + host.0 as f32;
    truth.iter().enumerate().map(|(i, logit)| if i == class { logit + wrong } else { *logit }).collect()
}

fn record(host: HostId, spec: &super::HostSpec) -> Record {
    let addresses = vec![address_of(host)];
    Record { priority: spec.priority, addresses, ..Record::new(host.to_string(), spec.capability) }
}
