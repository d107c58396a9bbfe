//! The node's actor: it alone drives the core. A step is: take one input, do what comes out, re-arm one sleep.
//!
//! It never waits for anything else: students run on workers, the disk has its own threads, each peer's streams have theirs.

mod handle;
mod warnings;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rocoin::bundle::Manifest;
use rocoin::id::{Digest, NodeId};
use rocoin::inference::RequestError;
use rocoin::node::{ClientId, Event, Input, Node, NodeSnapshot, Output};
use rocoin::time::Instant;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::sleep_until;

use handle::Command;
pub use handle::{Answered, NodeHandle, NodeStopped};

use crate::clock::Clock;
use crate::network::{NetworkEvent, NetworkHandle, Outbox};
use crate::observe::Observer;
use crate::refused::Refused;
use crate::store::StoreHandle;
use crate::workers::WorkersHandle;

/// Commands from clients that wait; a request beyond is refused as overload.
const COMMANDS: usize = 1024;
/// Links, probes and claims that wait; their streams then fill up.
pub(crate) const CONTROL_MAILBOX: usize = 4096;
/// Requests, answers and chunks that wait; their streams then fill up.
pub(crate) const DATA_MAILBOX: usize = 256;
/// Finished jobs and writes that wait; the threads then wait too.
pub(crate) const RESULTS_MAILBOX: usize = 1024;
/// Events kept for a slow subscriber; it misses older ones.
const EVENTS: usize = 1024;

/// What the actor drives: the core's [`Node`], or a script in tests.
pub(crate) trait Machine: Send + 'static {
    fn handle(&mut self, now: Instant, input: Input);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<(Instant, &'static str)>;
    fn poll_output(&mut self) -> Option<Output>;
    fn snapshot(&self) -> NodeSnapshot;
    /// The manifest of the bundle that is being served.
    fn serving(&self) -> Option<Arc<Manifest>>;
    /// The manifest of a bundle that was served.
    fn manifest(&self, bundle: Digest) -> Option<Arc<Manifest>>;
}

impl Machine for Node {
    fn handle(&mut self, now: Instant, input: Input) {
        self.handle(now, input);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn snapshot(&self) -> NodeSnapshot {
        self.snapshot()
    }

    fn serving(&self) -> Option<Arc<Manifest>> {
        self.serving().map(|(_, manifest)| Arc::clone(manifest))
    }

    fn manifest(&self, bundle: Digest) -> Option<Arc<Manifest>> {
        self.manifest(bundle).cloned()
    }
}

/// Who carries out what the core wants done.
#[derive(Debug)]
pub(crate) struct Hands {
    pub(crate) network: NetworkHandle,
    pub(crate) store: StoreHandle,
    pub(crate) workers: WorkersHandle,
}

/// Where inputs come from, in the order in which they are taken when several wait.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    pub(crate) control: mpsc::Receiver<NetworkEvent>,
    pub(crate) results: mpsc::Receiver<Input>,
    pub(crate) data: mpsc::Receiver<NetworkEvent>,
}

/// Starts the actor. It ends when the last handle is dropped.
pub(crate) fn start<M: Machine>(machine: M, clock: Clock, hands: Hands, mailboxes: Mailboxes) -> NodeHandle {
    let (commands, command_queue) = mpsc::channel(COMMANDS);
    let (events, _) = broadcast::channel(EVENTS);
    let (serving, serving_seen) = watch::channel(machine.serving());
    let (drained, drained_seen) = watch::channel(false);
    let failure = Arc::new(OnceLock::new());
    let observer = Observer::default();
    let actor = Actor {
        machine,
        clock,
        hands,
        mailboxes,
        commands: command_queue,
        refused: VecDeque::new(),
        outboxes: BTreeMap::new(),
        clients: BTreeMap::new(),
        events: events.clone(),
        observer: observer.clone(),
        step_took: Duration::ZERO,
        serving,
        drained,
        failure: Arc::clone(&failure),
    };
    tokio::spawn(actor.run());
    NodeHandle::new(commands, events, serving_seen, drained_seen, failure, observer)
}

struct Actor<M> {
    machine: M,
    clock: Clock,
    hands: Hands,
    mailboxes: Mailboxes,
    commands: mpsc::Receiver<Command>,
    /// What a full queue answered; taken as inputs one at a time, so that no output is handled inside another.
    refused: VecDeque<Input>,
    outboxes: BTreeMap<NodeId, Outbox>,
    clients: BTreeMap<ClientId, oneshot::Sender<Result<Answered, RequestError>>>,
    events: broadcast::Sender<Event>,
    observer: Observer,
    /// How long the machine took for the input whose outputs are being carried out.
    step_took: Duration,
    serving: watch::Sender<Option<Arc<Manifest>>>,
    drained: watch::Sender<bool>,
    /// Why it had to end, for the handles.
    failure: Arc<OnceLock<String>>,
}

impl<M: Machine> Actor<M> {
    async fn run(mut self) {
        if let Err(thread) = self.run_until_told().await {
            let failure = format!("{thread} has ended, and without it this node cannot go on");
            tracing::error!("{failure}");
            let _ = self.failure.set(failure);
        }
    }

    /// The error is the thread without which it cannot go on.
    async fn run_until_told(&mut self) -> Result<(), &'static str> {
        self.carry_out()?;
        let sleep = sleep_until(tokio::time::Instant::now());
        tokio::pin!(sleep);
        loop {
            let timeout = self.machine.poll_timeout().map(|(due, _)| self.clock.deadline(due));
            if let Some(due) = timeout
                && sleep.deadline() != due
            {
                sleep.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = &mut sleep, if timeout.is_some() => self.step(M::handle_timeout),
                Some(event) = self.mailboxes.control.recv() => self.on_network(event),
                Some(input) = async { self.refused.pop_front() } => self.handle(input),
                Some(input) = self.mailboxes.results.recv() => self.handle(input),
                Some(event) = self.mailboxes.data.recv() => self.on_network(event),
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return Ok(()),
                },
            }
            self.carry_out()?;
        }
    }

    fn handle(&mut self, input: Input) {
        self.step(|machine, now| machine.handle(now, input));
    }

    fn step(&mut self, step: impl FnOnce(&mut M, Instant)) {
        let begun = std::time::Instant::now();
        step(&mut self.machine, self.clock.now());
        self.step_took = begun.elapsed();
    }

    fn on_network(&mut self, event: NetworkEvent) {
        let input = match event {
            NetworkEvent::LinkUp { peer, outbox } => {
                self.outboxes.insert(peer, outbox);
                Input::LinkUp { peer }
            }
            NetworkEvent::LinkDown { peer } => {
                self.outboxes.remove(&peer);
                Input::LinkDown { peer }
            }
            NetworkEvent::Message { from, message, blob } => Input::Message { from, message, blob },
            NetworkEvent::Warning { about, text } => {
                tracing::warn!("{}{text}", warnings::names(&about, &self.machine.snapshot().members));
                return;
            }
        };
        self.handle(input);
    }

    fn on_command(&mut self, command: Command) {
        let input = match command {
            Command::Request { client, request, reply } => {
                self.clients.insert(client, reply);
                Input::Request { client, request }
            }
            Command::Cancel { client } => {
                if self.clients.remove(&client).is_none() {
                    return;
                }
                Input::CancelRequest { client }
            }
            Command::Deploy { bundle, manifest } => Input::Deploy { bundle, manifest },
            Command::Drain => Input::Drain,
            Command::Snapshot { reply } => {
                // Who asked may be gone.
                let _ = reply.send(self.machine.snapshot());
                return;
            }
        };
        self.handle(input);
    }

    fn carry_out(&mut self) -> Result<(), &'static str> {
        while let Some(output) = self.machine.poll_output() {
            match self.carry_out_one(output) {
                Ok(()) => {}
                Err(Refused::Busy(input)) => self.refused.push_back(*input),
                Err(Refused::Ended(thread)) => return Err(thread),
            }
        }
        let serving = self.machine.serving();
        self.serving.send_if_modified(|old| {
            let same = match (&*old, &serving) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            *old = serving;
            !same
        });
        Ok(())
    }

    fn carry_out_one(&mut self, output: Output) -> Result<(), Refused> {
        match output {
            Output::Send { to, message, blob } => {
                if let Some(outbox) = self.outboxes.get(&to) {
                    outbox.send(message, blob);
                }
            }
            Output::Dial { peer, addresses } => {
                self.hands.network.dial(peer, addresses.iter().filter_map(|a| a.parse().ok()).collect());
            }
            Output::Run { job, student, input } => return self.hands.workers.run(job, student, input),
            Output::Load { student } => return self.hands.workers.load(student),
            Output::Unload { student } => self.hands.workers.unload(student),
            Output::Store { artifact, bytes } => return self.hands.store.put(artifact, bytes),
            Output::Discard { artifact } => return self.hands.store.discard(artifact),
            Output::ReadChunk { to, artifact, offset, length } => {
                return self.hands.store.read_chunk(to, artifact, offset, length);
            }
            Output::Persist { write, durable } => return self.hands.store.persist(write, durable),
            Output::Answer { client, result } => {
                if let Ok(answer) = &result {
                    self.observer.answered(answer);
                }
                if let Some(reply) = self.clients.remove(&client) {
                    let answered = result.and_then(|answer| {
                        let manifest = self.machine.manifest(answer.bundle).ok_or(RequestError::NotServing)?;
                        Ok(Answered { answer, manifest })
                    });
                    // The client may be gone.
                    let _ = reply.send(answered);
                }
            }
            Output::CutOff { peer, what } => self.hands.network.cut_off(peer, what),
            Output::Event(event) => self.on_event(event),
            Output::Drained => {
                self.drained.send_replace(true);
            }
        }
        Ok(())
    }

    fn on_event(&self, event: Event) {
        if let Some(text) = warnings::of(&event) {
            tracing::warn!("{text}");
        }
        match &event {
            Event::Membership(event) => tracing::info!(?event, "membership"),
            Event::Leadership(event) => tracing::info!(?event, "leadership"),
            Event::Deployment(event) => tracing::info!(?event, "deployment"),
            Event::Inference(event) => tracing::debug!(?event, "inference"),
        }
        self.observer.see(&event, self.step_took);
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}
