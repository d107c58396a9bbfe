//! Drives a coordinator, and writes down what it does.

use crate::blob::Blob;
use crate::id::{Digest, Epoch, Generation, NodeId, RequestId, Term};
use crate::inference::coordinator::{Config, Coordinator, FailureReason, Input, Output};
use crate::inference::{Answer, Event, Message, Mode, Outcome, Refusal, Request, RequestError, Route, Routing};
use crate::node::ClientId;
use crate::time::{Duration, Instant};

pub(super) fn node(id: u8) -> NodeId {
    NodeId([id; 32])
}

pub(super) fn student(part: u16) -> Digest {
    Digest::of(&part.to_le_bytes())
}

pub(super) fn id(counter: u64) -> RequestId {
    RequestId { coordinator: node(0), generation: Generation(3), counter }
}

pub(super) fn cancel(counter: u64) -> Message {
    Message::Cancel { request: id(counter) }
}

pub(super) fn ask(counter: u64, students: Vec<Digest>, remaining_ms: u64) -> Message {
    let remaining = Duration::from_millis(remaining_ms);
    Message::Ask { request: id(counter), bundle: Digest([50; 32]), students, remaining }
}

/// What the cost model expects of every replica here.
pub(super) const EXPECTED: Duration = Duration::from_millis(20);

pub(super) struct Story {
    pub(super) coordinator: Coordinator,
    /// As which requests are asked.
    pub(super) mode: Option<Mode>,
    pub(super) now: Instant,
    pub(super) bundle: Digest,
    pub(super) epoch: Option<Epoch>,
    pub(super) sent: Vec<(NodeId, Message)>,
    pub(super) answers: Vec<(ClientId, Result<Answer, RequestError>)>,
    pub(super) evidence: Vec<(NodeId, FailureReason)>,
    pub(super) events: Vec<Event>,
}

impl Story {
    /// A coordinator that knows who holds each part.
    pub(super) fn with(parts: &[&[u8]]) -> Self {
        let mut story = Self::without_routing();
        story.routing_is(parts);
        story
    }

    /// The same, with all requests in this mode.
    pub(super) fn in_mode(mode: Mode, parts: &[&[u8]]) -> Self {
        Self { mode: Some(mode), ..Self::with(parts) }
    }

    pub(super) fn without_routing() -> Self {
        Self {
            mode: None,
            coordinator: Coordinator::new(
                node(0),
                Generation(3),
                0,
                Config { open_requests_max: 4, ..Config::default() },
            ),
            now: Instant::from_nanos(1_000_000_000),
            bundle: Digest([50; 32]),
            epoch: Some(Epoch { term: Term(1), leader: node(1), sequence: 1 }),
            sent: Vec::new(),
            answers: Vec::new(),
            evidence: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn routing(&self, parts: &[&[u8]]) -> Routing {
        let routes = |(part, replicas): (u16, &&[u8])| {
            replicas
                .iter()
                .map(|&replica| Route { replica: node(replica), student: student(part), expected: EXPECTED })
                .collect()
        };
        Routing {
            bundle: self.bundle,
            epoch: self.epoch,
            input_elements: 2,
            bias: vec![0.5, -0.5],
            parts: (0..).zip(parts).map(routes).collect(),
        }
    }

    pub(super) fn routing_is(&mut self, parts: &[&[u8]]) {
        let routing = self.routing(parts);
        self.handle(Input::Routing(routing));
    }

    pub(super) fn after_ms(&mut self, ms: u64) -> &mut Self {
        self.now = self.now + Duration::from_millis(ms);
        self
    }

    pub(super) fn tick(&mut self) {
        self.coordinator.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.coordinator.handle(self.now, input);
        self.drain();
    }

    /// With a good input and a deadline of two seconds.
    pub(super) fn request(&mut self, client: u64, min_parts: usize) {
        let input = Blob::from_floats(&[1.0, 2.0]);
        let request = Request { input, deadline: Duration::from_secs(2), min_parts, mode: self.mode };
        self.handle(Input::Request { client: ClientId(client), request });
    }

    pub(super) fn partial(&mut self, replica: u8, part: u16, logits: [f32; 2]) {
        self.partial_of(replica, student(part), logits);
    }

    pub(super) fn partial_of(&mut self, replica: u8, student: Digest, logits: [f32; 2]) {
        self.partial_for(0, replica, student, logits);
    }

    pub(super) fn partial_for(&mut self, counter: u64, replica: u8, student: Digest, logits: [f32; 2]) {
        self.raw_partial(counter, replica, student, Blob::from_floats(&logits));
    }

    /// An answer that tells how long the run took and how many are waiting.
    pub(super) fn paced_partial(&mut self, counter: u64, (replica, part): (u8, u16), run_ms: u64, queue: u16) {
        let (student, run) = (student(part), Duration::from_millis(run_ms));
        let message = Message::Partial { request: id(counter), student, epoch: None, run, queue };
        self.handle(Input::Message { from: node(replica), message, blob: Blob::from_floats(&[1.0, 1.0]) });
    }

    pub(super) fn raw_partial(&mut self, counter: u64, replica: u8, student: Digest, blob: Blob) {
        let run = Duration::from_millis(1);
        let message = Message::Partial { request: id(counter), student, epoch: None, run, queue: 0 };
        self.handle(Input::Message { from: node(replica), message, blob });
    }

    pub(super) fn refuse(&mut self, replica: u8, part: u16, reason: Refusal) {
        let message = Message::Refuse { request: id(0), student: student(part), reason };
        self.handle(Input::Message { from: node(replica), message, blob: Blob::default() });
    }

    pub(super) fn link_down(&mut self, replica: u8) {
        self.handle(Input::Lost { peer: node(replica) });
    }

    pub(super) fn take_sent(&mut self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn answer_of(&self, client: u64) -> Answer {
        self.result_of(client).expect("an answer")
    }

    pub(super) fn error_of(&self, client: u64) -> RequestError {
        self.result_of(client).expect_err("an error")
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        (self.events.iter())
            .filter_map(|event| match event {
                Event::Finished { outcome, .. } => Some(*outcome),
                Event::Failover { .. } | Event::Disagreed { .. } | Event::StudentFailed { .. } => None,
            })
            .collect()
    }

    fn result_of(&self, client: u64) -> Result<Answer, RequestError> {
        let mut results = self.answers.iter().filter(|(of, _)| *of == ClientId(client));
        let (_, result) = results.next().expect("the request is over");
        assert!(results.next().is_none(), "there is one outcome");
        result.clone()
    }

    fn drain(&mut self) {
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                Output::Send { to, message, blob } => {
                    let asks = matches!(message, Message::Ask { .. });
                    assert_eq!(blob.len(), if asks { 8 } else { 0 }, "an ask carries the input, nothing else does");
                    self.sent.push((to, message));
                }
                Output::Answer { client, result } => self.answers.push((client, result)),
                Output::ReplicaFailed { peer, reason } => self.evidence.push((peer, reason)),
                Output::Event(event) => self.events.push(event),
            }
        }
    }
}
