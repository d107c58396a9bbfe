//! A fleet of machines in virtual time. Whatever happens, it checks that nobody acts on what is not on its disk and that
//! terms and epochs never fall.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::fixture::{Bundle, capability, id};
use crate::fleet::Capability;
use crate::id::{Epoch, Generation, NodeId};
use crate::leadership::{Config, Event, Input, Leadership, Message, Output, Promise, ViewMember};
use crate::membership::State;
use crate::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(10);
/// How long a change takes to show in the views.
const VIEW_LAG: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Device {
    pub(super) machine: Leadership,
    pub(super) priority: i32,
    pub(super) uptime_class: u8,
    pub(super) capability: Capability,
    pub(super) draining: bool,
    pub(super) disk_works: bool,
    pub(super) events: Vec<Event>,
    pub(super) claims_sent: usize,
    pub(super) plans_sent: usize,
    pub(super) changes_sent: usize,
    pub(super) standings_sent: usize,
    generation: Generation,
    up: bool,
    disk: Promise,
    writing: Option<Promise>,
    view: Vec<ViewMember>,
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) now: Instant,
    pub(super) devices: BTreeMap<NodeId, Device>,
    pub(super) config: Config,
    /// Pairs (from, to) whose messages are lost.
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
    wire: VecDeque<(NodeId, NodeId, Message)>,
    bundle: Option<Bundle>,
}

impl Fleet {
    /// Devices 1 to `n`, the greater the better, none started before.
    pub(super) fn new(n: u8) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let config = Config::default();
        let device = |n| {
            let machine = Leadership::new(id(n), config.clone(), Promise::default(), now);
            let device = Device {
                machine,
                priority: 0,
                uptime_class: 0,
                capability: capability(4),
                draining: false,
                disk_works: true,
                events: Vec::new(),
                claims_sent: 0,
                plans_sent: 0,
                changes_sent: 0,
                standings_sent: 0,
                generation: Generation(1),
                up: true,
                disk: Promise::default(),
                writing: None,
                view: Vec::new(),
            };
            (id(n), device)
        };
        let devices = (1..=n).map(device).collect();
        Self { now, devices, config, cut: BTreeSet::new(), wire: VecDeque::new(), bundle: None }
    }

    pub(super) fn device(&mut self, n: u8) -> &mut Device {
        self.devices.get_mut(&id(n)).unwrap()
    }

    pub(super) fn handle(&mut self, n: u8, input: Input) {
        let now = self.now;
        self.device(n).machine.handle(now, input);
        self.drain(id(n));
    }

    /// Gives every device the bundle.
    pub(super) fn deploy(&mut self, bundle: &Bundle) {
        self.bundle = Some(bundle.clone());
        let up: Vec<_> = self.devices.iter().filter(|(_, d)| d.up).map(|(id, _)| *id).collect();
        for id in up {
            self.give_bundle(id);
        }
    }

    fn give_bundle(&mut self, id: NodeId) {
        if let Some(bundle) = &self.bundle {
            let input = Input::Bundle { digest: bundle.digest, manifest: bundle.manifest.clone() };
            self.devices.get_mut(&id).unwrap().machine.handle(self.now, input);
            self.drain(id);
        }
    }

    pub(super) fn kill(&mut self, n: u8) {
        self.device(n).up = false;
    }

    /// Starts a device (again) with what is on its disk.
    pub(super) fn start(&mut self, n: u8) {
        let (now, config) = (self.now, self.config.clone());
        let device = self.device(n);
        device.machine = Leadership::new(id(n), config, device.disk.clone(), now);
        device.generation.0 += 1;
        (device.up, device.writing) = (true, None);
        device.view.clear();
        self.give_bundle(id(n));
        let others: Vec<_> = self.devices.keys().copied().filter(|other| self.linked(id(n), *other)).collect();
        for other in others {
            self.link_up(id(n), other);
        }
    }

    /// Cuts the fleet in two; `side` is one of them.
    pub(super) fn part(&mut self, side: &[u8]) {
        let is_here = |node: &NodeId| side.contains(&node.0[0]);
        let ids: Vec<_> = self.devices.keys().copied().collect();
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b))) {
            if is_here(&a) != is_here(&b) {
                self.cut.insert((a, b));
            }
        }
    }

    pub(super) fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut).into_iter().filter(|(a, b)| a < b) {
            if self.linked(a, b) {
                self.link_up(a, b);
            }
        }
    }

    fn link_up(&mut self, a: NodeId, b: NodeId) {
        for (here, there) in [(a, b), (b, a)] {
            self.devices.get_mut(&here).unwrap().machine.handle(self.now, Input::LinkUp { peer: there });
            self.drain(here);
        }
    }

    pub(super) fn linked(&self, a: NodeId, b: NodeId) -> bool {
        a != b && !self.cut.contains(&(a, b)) && self.devices[&a].up && self.devices[&b].up
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.tick();
        }
    }

    /// How long until `done`; fails after `limit`.
    pub(super) fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now < start + limit, "not within {limit:?}: {:#?}", self.summary());
            self.tick();
        }
        self.now - start
    }

    fn summary(&self) -> Vec<String> {
        let line = |(id, d): (&NodeId, &Device)| {
            let (machine, plan) = (&d.machine, d.machine.plan().map(|p| p.epoch.to_string()));
            format!("{id:?} up {} follows {:?} in {:?} with {plan:?}", d.up, machine.leader(), machine.term())
        };
        self.devices.iter().map(line).collect()
    }

    fn tick(&mut self) {
        self.now = self.now + TICK;
        let now = self.now;
        for (from, to, message) in std::mem::take(&mut self.wire) {
            if self.linked(from, to) {
                self.devices.get_mut(&to).unwrap().machine.handle(now, Input::Message { from, message });
                self.drain(to);
            }
        }
        let ids: Vec<_> = self.devices.iter().filter(|(_, d)| d.up).map(|(id, _)| *id).collect();
        for id in ids {
            self.finish_write(id);
            if now.as_nanos().is_multiple_of(u64::try_from(VIEW_LAG.as_nanos()).unwrap()) {
                self.refresh_view(id);
            }
            let machine = &mut self.devices.get_mut(&id).unwrap().machine;
            if machine.poll_timeout().is_some_and(|(due, _)| due <= now) {
                machine.handle_timeout(now);
                let again = machine.poll_timeout();
                assert!(again.is_none_or(|(due, _)| due > now), "due again at once: {again:?}");
            }
            self.drain(id);
        }
    }

    fn finish_write(&mut self, id: NodeId) {
        let device = self.devices.get_mut(&id).unwrap();
        let Some(promise) = device.writing.take() else { return };
        let input = if device.disk_works {
            device.disk = promise;
            Input::Persisted
        } else {
            Input::PersistFailed { reason: "the disk is full".to_owned() }
        };
        device.machine.handle(self.now, input);
        self.drain(id);
    }

    fn refresh_view(&mut self, me: NodeId) {
        let member = |(id, d): (&NodeId, &Device)| ViewMember {
            id: *id,
            generation: d.generation,
            state: if *id == me || self.linked(me, *id) { State::Alive } else { State::Down },
            priority: d.priority,
            uptime_class: d.uptime_class,
            capability: d.capability,
            epoch: d.machine.plan().map(|p| p.epoch),
            draining: d.draining,
            linked: self.linked(me, *id),
        };
        let view: Vec<_> = self.devices.iter().map(member).collect();
        let device = self.devices.get_mut(&me).unwrap();
        if device.view != view {
            device.view.clone_from(&view);
            device.machine.handle(self.now, Input::View(view));
            self.drain(me);
        }
    }

    fn drain(&mut self, id: NodeId) {
        let device = self.devices.get_mut(&id).unwrap();
        assert!(device.machine.term() <= device.disk.term, "acts on a term that is not on disk");
        assert_eq!(device.machine.plan(), device.disk.plan.as_ref(), "holds another plan than its disk");
        while let Some(output) = device.machine.poll_output() {
            match output {
                Output::Send { to, message } => {
                    assert_ne!(to, id, "sends to itself");
                    match &message {
                        Message::Claim(claim) => assert!(claim.term <= device.disk.term, "claims before it is on disk"),
                        Message::Plan(plan) => {
                            assert_eq!(Some(plan), device.disk.plan.as_ref(), "tells before it is on disk")
                        }
                        Message::Standing { claim, epoch } => {
                            assert!(
                                claim.is_none_or(|claim| claim.term <= device.disk.term),
                                "follows before it is on disk"
                            );
                            assert_eq!(
                                *epoch,
                                device.disk.plan.as_ref().map(|plan| plan.epoch),
                                "holds what is not on disk"
                            );
                        }
                        Message::Change(change) => {
                            let told = device.disk.plan.as_ref().map(|plan| plan.epoch);
                            assert_eq!(Some(change.epoch), told, "tells before it is on disk");
                        }
                        Message::Want { .. } => {}
                    }
                    device.claims_sent += usize::from(matches!(message, Message::Claim(_)));
                    device.plans_sent += usize::from(matches!(message, Message::Plan(_)));
                    device.changes_sent += usize::from(matches!(message, Message::Change(_)));
                    device.standings_sent += usize::from(matches!(message, Message::Standing { .. }));
                    self.wire.push_back((id, to, message));
                }
                Output::Persist(promise) => {
                    assert!(device.writing.is_none(), "two writes at once");
                    assert!(promise.term >= device.disk.term, "a term falls");
                    assert!(promise.plan.as_ref().map(|p| p.epoch) >= device.disk.plan.as_ref().map(|p| p.epoch));
                    device.writing = Some(promise);
                }
                Output::Adopted(plan) => {
                    assert_eq!(Some(&plan), device.disk.plan.as_ref(), "adopts before it is on disk")
                }
                Output::Event(event) => device.events.push(event),
            }
        }
    }

    pub(super) fn leaders(&self) -> BTreeSet<Option<NodeId>> {
        self.devices.values().filter(|d| d.up).map(|d| d.machine.leader()).collect()
    }

    /// The one leader that everybody who is up follows.
    pub(super) fn leader(&self) -> Option<u8> {
        let leaders = self.leaders();
        leaders.first().filter(|_| leaders.len() == 1).copied().flatten().map(|l| l.0[0])
    }

    /// The one epoch that everybody who is up has adopted.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        let up = self.devices.values().filter(|d| d.up);
        let epochs: BTreeSet<_> = up.map(|d| d.machine.plan().map(|p| p.epoch)).collect();
        epochs.first().filter(|_| epochs.len() == 1).copied().flatten()
    }

    /// Whether there is one leader and one plan, made by it over exactly those who are up.
    pub(super) fn is_settled(&self) -> bool {
        let (Some(leader), Some(epoch)) = (self.leader(), self.epoch()) else { return false };
        let plan = self.devices[&id(leader)].machine.plan().unwrap();
        let planned: BTreeSet<_> = plan.groups.iter().flat_map(|g| g.members.iter().copied()).collect();
        let up: BTreeSet<_> = self.devices.iter().filter(|(_, d)| d.up).map(|(id, _)| *id).collect();
        epoch.leader == id(leader) && planned == up
    }
}
