//! A fleet of stocks in virtual time, each with a store that can be full, damaged or lying.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::blob::Blob;
use crate::bundle::Manifest;
use crate::deployment::{ChunkError, Config, Event, Input, Kept, Output, Peer, Stock};
use crate::id::{Digest, Epoch, NodeId, PartId, Term};
use crate::leadership::tests::fixture::{Bundle, id};
use crate::leadership::{EpochPlan, PlannedGroup};
use crate::membership::{Deployment, Holding, Record};
use crate::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(10);

/// Students (by part) to devices.
pub(super) fn plan(sequence: u64, bundle: &Bundle, groups: &[&[u8]]) -> Arc<EpochPlan> {
    let epoch = Epoch { term: Term(1), leader: id(1), sequence };
    let group = |(k, members): (usize, &&[u8])| PlannedGroup {
        part: PartId(u16::try_from(k).unwrap()),
        student: bundle.students()[k],
        members: members.iter().map(|n| id(*n)).collect(),
    };
    let groups = groups.iter().enumerate().map(group).collect();
    Arc::new(EpochPlan { epoch, bundle: bundle.digest, groups, feasible: true })
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) files: BTreeMap<Digest, Vec<u8>>,
    pub(super) is_full: bool,
    /// Reads give other bytes than were written.
    pub(super) lies: bool,
    /// Students whose loading fails.
    pub(super) unloadable: BTreeSet<Digest>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) stock: Stock,
    pub(super) store: Store,
    pub(super) loaded: BTreeSet<Digest>,
    pub(super) events: Vec<Event>,
    /// Bytes of artifacts.
    pub(super) bytes_sent: usize,
    pub(super) loads: usize,
    up: bool,
    config: Config,
    plan: Option<Arc<EpochPlan>>,
    record: (Vec<Holding>, Vec<Digest>, Option<Deployment>),
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) now: Instant,
    devices: BTreeMap<NodeId, Device>,
    /// Delivered a tick later.
    due: VecDeque<(NodeId, Input)>,
    /// Chunks and fetches on the way to it are lost from now on, though it counts as routable.
    pub(super) silent: BTreeSet<NodeId>,
}

impl Fleet {
    pub(super) fn new(n: u8) -> Self {
        let now = Instant::from_nanos(1);
        let device = |n| (id(n), Device::new(n, Config::default(), Store::default(), None, None, now));
        Self { now, devices: (1..=n).map(device).collect(), due: VecDeque::new(), silent: BTreeSet::new() }
    }

    pub(super) fn device(&mut self, n: u8) -> &mut Device {
        self.devices.get_mut(&id(n)).unwrap()
    }

    pub(super) fn configure(&mut self, n: u8, config: Config) {
        let now = self.now;
        *self.device(n) = Device::new(n, config, Store::default(), None, None, now);
    }

    pub(super) fn deploy(&mut self, n: u8, bundle: &Bundle) {
        self.device(n).store.files.extend(bundle.files.clone());
        self.give(n, Input::Deploy { bundle: bundle.digest, manifest: bundle.manifest.clone() });
    }

    pub(super) fn adopt(&mut self, plan: &Arc<EpochPlan>) {
        let up: Vec<_> = self.devices.iter().filter(|(_, d)| d.up).map(|(id, _)| id.0[0]).collect();
        up.into_iter().for_each(|n| self.give(n, Input::Adopted(plan.clone())));
    }

    pub(super) fn give(&mut self, n: u8, input: Input) {
        let now = self.now;
        let device = self.device(n);
        if let Input::Adopted(plan) = &input {
            device.plan = Some(plan.clone());
        }
        device.stock.handle(now, input);
        self.drain(id(n));
    }

    pub(super) fn kill(&mut self, n: u8) {
        self.device(n).up = false;
        let others: Vec<_> = self.devices.iter().filter(|(_, d)| d.up).map(|(id, _)| id.0[0]).collect();
        others.into_iter().for_each(|other| self.give(other, Input::LinkDown { peer: id(n) }));
    }

    /// Starts a device again with its store, its plan and its desired deployment.
    pub(super) fn restart(&mut self, n: u8) {
        let now = self.now;
        let device = self.device(n);
        let (config, store) = (device.config, std::mem::take(&mut device.store));
        let (plan, desired) = (device.plan.take(), device.record.2.take());
        *device = Device::new(n, config, store, plan, desired, now);
        self.drain(id(n));
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.tick();
        }
    }

    pub(super) fn until(&mut self, limit: Duration, done: impl Fn(&mut Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now < start + limit, "not within {limit:?}: {self:#?}");
            self.tick();
        }
        self.now - start
    }

    fn tick(&mut self) {
        self.now = self.now + TICK;
        for (to, input) in std::mem::take(&mut self.due) {
            if self.devices[&to].up {
                self.devices.get_mut(&to).unwrap().stock.handle(self.now, input);
                self.drain(to);
            }
        }
        let ids: Vec<_> = self.devices.iter().filter(|(_, d)| d.up).map(|(id, _)| *id).collect();
        for id in ids {
            self.refresh_peers(id);
            let stock = &mut self.devices.get_mut(&id).unwrap().stock;
            if stock.poll_timeout().is_some_and(|(due, _)| due <= self.now) {
                stock.handle_timeout(self.now);
                let again = stock.poll_timeout();
                assert!(again.is_none_or(|(due, _)| due > self.now), "due again at once: {again:?}");
            }
            self.drain(id);
        }
    }

    fn refresh_peers(&mut self, me: NodeId) {
        let peer = |(id, d): (&NodeId, &Device)| Peer {
            id: *id,
            routable: d.up,
            record: Arc::new(Record {
                bundles: d.record.0.clone(),
                ready: d.record.1.clone(),
                desired: d.record.2.clone(),
                ..crate::membership::tests::cluster::record(0)
            }),
        };
        let peers = self.devices.iter().filter(|(id, _)| **id != me).map(peer).collect();
        self.devices.get_mut(&me).unwrap().stock.handle(self.now, Input::Peers(peers));
        self.drain(me);
    }

    fn drain(&mut self, me: NodeId) {
        let device = self.devices.get_mut(&me).unwrap();
        while let Some(output) = device.stock.poll_output() {
            let answer = match output {
                Output::Send { to, message, blob } => {
                    device.bytes_sent += blob.len();
                    let lost = self.silent.contains(&me) || self.silent.contains(&to);
                    (!lost).then_some((to, Input::Message { from: me, message, blob }))
                }
                Output::Store { artifact, bytes } => {
                    assert_eq!(Digest::of(bytes.as_bytes()), artifact, "stores what it has not verified");
                    let result = if device.store.is_full {
                        Err("no space left on device".to_owned())
                    } else {
                        device.store.files.insert(artifact, bytes.as_bytes().to_vec());
                        Ok(())
                    };
                    Some((me, Input::Stored { artifact, result }))
                }
                Output::Discard { artifact } => {
                    assert!(!device.loaded.contains(&artifact), "deletes what is loaded");
                    assert!(device.store.files.remove(&artifact).is_some(), "deletes what is not there");
                    None
                }
                Output::ReadChunk { to, artifact, offset, length } => {
                    let chunk = device.store.read(artifact, offset, length);
                    Some((me, Input::ChunkRead { to, artifact, offset, chunk: chunk.ok_or(ChunkError::Absent) }))
                }
                Output::Load { student } => {
                    device.loads += 1;
                    let bad = device.store.unloadable.contains(&student) || !device.store.files.contains_key(&student);
                    let result = if bad { Err("no ONNX".to_owned()) } else { Ok(()) };
                    device.loaded.extend(result.is_ok().then_some(student));
                    Some((me, Input::Loaded { student, result }))
                }
                Output::Unload { student } => {
                    assert!(device.loaded.remove(&student), "frees what is not loaded");
                    None
                }
                Output::RecordChanged { bundles, ready, desired } => {
                    device.record = (bundles, ready, desired);
                    None
                }
                Output::Manifest { digest, manifest } => {
                    assert_eq!(device.stock.manifest(digest), Some(&manifest));
                    None
                }
                Output::Event(event) => {
                    device.events.push(event);
                    None
                }
            };
            self.due.extend(answer);
        }
    }
}

impl Device {
    fn new(
        n: u8,
        config: Config,
        store: Store,
        plan: Option<Arc<EpochPlan>>,
        desired: Option<Deployment>,
        now: Instant,
    ) -> Self {
        let artifacts = store.files.iter().map(|(d, bytes)| (*d, bytes.len() as u64)).collect();
        let manifest = |(d, bytes): (&Digest, &Vec<u8>)| Some((*d, Manifest::parse(bytes).ok()?.into()));
        let manifests = store.files.iter().filter_map(manifest).collect();
        let kept = Kept { artifacts, manifests, desired, plan: plan.clone() };
        Self {
            stock: Stock::new(id(n), config, kept, now),
            store,
            loaded: BTreeSet::new(),
            events: Vec::new(),
            bytes_sent: 0,
            loads: 0,
            up: true,
            config,
            plan,
            record: (Vec::new(), Vec::new(), None),
        }
    }

    pub(super) fn holds_all_of(&self, bundle: &Bundle) -> bool {
        bundle.files.keys().all(|file| self.store.files.contains_key(file))
    }

    pub(super) fn is_ready(&self, student: Digest) -> bool {
        self.loaded.contains(&student) && self.stock.is_ready(student)
    }

    pub(super) fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }
}

impl Store {
    fn read(&self, artifact: Digest, offset: u64, length: u32) -> Option<(u64, Blob)> {
        let file = self.files.get(&artifact)?;
        let from = usize::try_from(offset).unwrap().min(file.len());
        let to = (from + usize::try_from(length).unwrap()).min(file.len());
        let mut bytes = file[from..to].to_vec();
        if let Some(first) = bytes.first_mut().filter(|_| self.lies) {
            *first ^= 1;
        }
        Some((file.len() as u64, bytes.into()))
    }
}
