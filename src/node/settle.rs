//! Lets the machines' outputs reach each other until all are quiet.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DRAIN_NOTICE, Event, Node, Output};
use crate::id::{Digest, NodeId};
use crate::inference::coordinator::FailureReason;
use crate::inference::{self, coordinator, replica};
use crate::leadership::{self, ViewMember};
use crate::membership::{self, State};
use crate::time::Instant;
use crate::wire::Message;
use crate::{blob::Blob, deployment};

/// From one class of uptime to the next. Every step costs each node a record of each other. Ours.
const UPTIME_STEP: u64 = 16;

impl Node {
    /// Terminates because each round is caused by an input of the round before, and none of the machines answers its own
    /// outputs forever.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            self.drain_membership(now);
            self.drain_leadership(now);
            self.drain_stock(now);
            self.drain_coordinator(now);
            self.drain_replicas(now);
            self.tell_record(now);
            let again = std::mem::take(&mut self.spoke_to_itself);
            if std::mem::take(&mut self.view_is_stale) {
                self.tell_view(now);
            } else if !again {
                break;
            }
        }
        self.leave_when_drained(now);
    }

    fn drain_membership(&mut self, now: Instant) {
        while let Some(output) = self.membership.poll_output() {
            match output {
                membership::Output::Send { to, message } => {
                    self.send(to, Message::Membership(message), Blob::default());
                }
                membership::Output::Dial { peer, addresses } => {
                    self.outputs.push_back(Output::Dial { peer, addresses });
                }
                membership::Output::Event(event) => {
                    if let membership::Event::IdentityClash { member, .. } = &event {
                        let member = *member;
                        self.leadership.handle(now, leadership::Input::IdentityClash { member });
                    }
                    if let membership::Event::Unroutable { member, .. } = &event {
                        self.coordinator.handle(now, coordinator::Input::Lost { peer: *member });
                    }
                    self.note_change(event.member());
                    self.outputs.push_back(Output::Event(Event::Membership(event)));
                }
            }
        }
    }

    fn drain_leadership(&mut self, now: Instant) {
        while let Some(output) = self.leadership.poll_output() {
            match output {
                leadership::Output::Send { to, message } => {
                    self.send(to, Message::Leadership(message), Blob::default());
                }
                leadership::Output::Persist(promise) => {
                    let (write, durable) = self.promises.promise(promise);
                    self.outputs.push_back(Output::Persist { write, durable });
                }
                leadership::Output::Adopted(plan) => {
                    self.record.epoch = Some(plan.epoch);
                    self.view_is_stale = true;
                    self.stock.handle(now, deployment::Input::Adopted(plan));
                }
                leadership::Output::Event(event) => self.outputs.push_back(Output::Event(Event::Leadership(event))),
            }
        }
    }

    fn drain_stock(&mut self, now: Instant) {
        while let Some(output) = self.stock.poll_output() {
            match output {
                deployment::Output::Send { to, message, blob } => self.send(to, Message::Deployment(message), blob),
                deployment::Output::Store { artifact, bytes } => {
                    self.outputs.push_back(Output::Store { artifact, bytes });
                }
                deployment::Output::Discard { artifact } => {
                    self.manifests.remove(&artifact);
                    self.outputs.push_back(Output::Discard { artifact });
                }
                deployment::Output::ReadChunk { to, artifact, offset, length } => {
                    self.outputs.push_back(Output::ReadChunk { to, artifact, offset, length });
                }
                deployment::Output::Load { student } => self.outputs.push_back(Output::Load { student }),
                deployment::Output::Unload { student } => self.outputs.push_back(Output::Unload { student }),
                deployment::Output::RecordChanged { bundles, ready, desired } => {
                    if let Some((write, durable)) = self.promises.desire(desired.clone()) {
                        self.outputs.push_back(Output::Persist { write, durable });
                    }
                    (self.record.bundles, self.record.ready, self.record.desired) = (bundles, ready, desired);
                    self.view_is_stale = true;
                    self.tell_desired(now);
                }
                deployment::Output::Manifest { digest, manifest } => {
                    self.manifests.insert(digest, manifest);
                    self.view_is_stale = true;
                    self.tell_desired(now);
                }
                deployment::Output::Event(event) => self.outputs.push_back(Output::Event(Event::Deployment(event))),
            }
        }
    }

    fn drain_coordinator(&mut self, now: Instant) {
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                coordinator::Output::Send { to, message, blob } => {
                    if matches!(message, inference::Message::Ask { .. }) {
                        self.observations.asked(to);
                    }
                    self.send_inference(now, to, message, blob);
                }
                coordinator::Output::Answer { client, result } => {
                    self.outputs.push_back(Output::Answer { client, result });
                }
                coordinator::Output::ReplicaFailed { peer, reason } => {
                    self.observations.failed(peer);
                    self.note_change(peer);
                    if reason == FailureReason::Silent && peer != self.me {
                        self.membership.handle(now, membership::Input::RequestFailed { peer });
                    }
                }
                coordinator::Output::Event(event) => self.outputs.push_back(Output::Event(Event::Inference(event))),
            }
        }
    }

    fn drain_replicas(&mut self, now: Instant) {
        while let Some(output) = self.replicas.poll_output() {
            match output {
                replica::Output::Run { job, student, input } => {
                    self.outputs.push_back(Output::Run { job, student, input });
                }
                replica::Output::Send { to, message, blob } => self.send_inference(now, to, message, blob),
                replica::Output::Event(event) => self.outputs.push_back(Output::Event(Event::Inference(event))),
            }
        }
    }

    fn send_inference(&mut self, now: Instant, to: NodeId, message: inference::Message, blob: Blob) {
        if to == self.me {
            self.take_inference(now, to, message, blob);
            self.spoke_to_itself = true;
        } else {
            self.send(to, Message::Inference(message), blob);
        }
    }

    fn send(&mut self, to: NodeId, message: Message, blob: Blob) {
        debug_assert!(to != self.me, "only inference speaks to itself");
        self.outputs.push_back(Output::Send { to, message, blob });
    }

    /// Tells the others what changed of this node.
    fn tell_record(&mut self, now: Instant) {
        let minutes = now.since(self.started).as_secs() / 60 + 1;
        self.record.uptime_class = u8::try_from(minutes.ilog(UPTIME_STEP)).unwrap_or(u8::MAX);
        self.record.draining = self.draining_since.is_some();
        if self.told != self.record {
            self.told = self.record.clone();
            self.membership.handle(now, membership::Input::Record(self.record.clone()));
            self.drain_membership(now);
        }
    }

    /// Tells leadership which bundle to plan for; said again, it changes nothing.
    pub(super) fn tell_desired(&mut self, now: Instant) {
        if let Some((digest, manifest)) = self.stock.serving() {
            let manifest = Arc::clone(manifest);
            self.leadership.handle(now, leadership::Input::Bundle { digest, manifest });
        }
    }

    /// A member is another than the machines were told.
    pub(super) fn note_change(&mut self, member: NodeId) {
        self.changed.insert(member);
        self.view_is_stale = true;
    }

    /// Tells the machines which members changed, and what this node itself is.
    fn tell_view(&mut self, now: Instant) {
        let (mut peers, mut view) = (Vec::new(), vec![self.view_of_me()]);
        for id in std::mem::take(&mut self.changed) {
            let Some(member) = self.membership.member(id) else {
                self.forget(now, id);
                continue;
            };
            peers.push(deployment::Peer::from(member));
            view.push(self.view_of(member));
            let is_open = member.is_routable() && !member.record().draining;
            self.routes.set(id, Some(member.shared_record()).filter(|_| is_open));
        }
        if self.routes.loaded(self.me) != self.record.ready {
            self.routes.set(self.me, Some(&Arc::new(self.record.clone())));
        }
        self.stock.handle(now, deployment::Input::Peers(peers));
        self.leadership.handle(now, leadership::Input::View(view));

        let planned = self.leadership.plan().map(|plan| plan.bundle);
        let epoch = self.leadership.plan().map(|plan| plan.epoch);
        if let Some(routing) = self.routes.update(self.me, &self.manifests, planned, epoch) {
            self.coordinator.handle(now, coordinator::Input::Routing(routing));
        }
        let ready = (epoch, self.record.ready.clone(), self.manifests.len());
        if self.told_ready.as_ref() != Some(&ready) {
            self.told_ready = Some(ready);
            let students = self.loaded_students();
            self.replicas.handle(now, replica::Input::Ready { epoch, students });
        }
    }

    fn forget(&mut self, now: Instant, member: NodeId) {
        self.observations.forget(member);
        self.coordinator.handle(now, coordinator::Input::Gone { peer: member });
        self.routes.set(member, None);
        self.stock.handle(now, deployment::Input::Gone { peer: member });
        self.leadership.handle(now, leadership::Input::Gone { member });
    }

    /// The loaded students, each with the floats of one input.
    fn loaded_students(&self) -> BTreeMap<Digest, usize> {
        let elements = |student: &Digest| {
            let manifest = self.manifests.values().find(|m| m.student(*student).is_some())?;
            Some((*student, manifest.input.elements()))
        };
        self.record.ready.iter().filter_map(elements).collect()
    }

    /// With what this node observed of the member in place of what it says of itself.
    fn view_of(&self, member: &membership::Member) -> ViewMember {
        let mut view = ViewMember::from(member);
        let capability = &mut view.capability;
        capability.failure_probability =
            self.observations.failure_probability(member.id(), capability.failure_probability);
        capability.link_delay_s = self.observations.link_delay_s(member.id(), capability.link_delay_s);
        view
    }

    fn view_of_me(&self) -> ViewMember {
        let me = self.membership.me();
        ViewMember {
            id: self.me,
            generation: me.stamp.start.generation,
            state: State::Alive,
            priority: self.record.priority,
            uptime_class: self.record.uptime_class,
            capability: self.record.capability,
            epoch: self.record.epoch,
            draining: self.draining_since.is_some(),
            linked: true,
        }
    }

    fn leave_when_drained(&mut self, now: Instant) {
        let Some(since) = self.draining_since else { return };
        self.notice_is_over = now >= since + DRAIN_NOTICE;
        if self.drained || !self.notice_is_over || !self.coordinator.is_drained() {
            return;
        }
        self.replicas.handle(now, replica::Input::Drain);
        self.drain_replicas(now);
        if self.replicas.is_drained() {
            self.drained = true;
            self.membership.handle(now, membership::Input::Leave);
            self.drain_membership(now);
            self.outputs.push_back(Output::Drained);
        }
    }
}
