//! The coordinator of the requests that clients bring to this node.
//!
//! Mode `all`: every replica of every part is asked at once, each device with one message and the input once; the first answer
//! of a part counts. The coordinator deliberately does not judge who is alive (it reports evidence and follows its [`Routing`]),
//! does not retry a request elsewhere (the client does), and keeps nothing across a restart.

mod check;
mod interface;
mod open;
mod pace;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Answer, Event, Message, Outcome, Refusal, Request, RequestError, Route, Routing};
use crate::blob::Blob;
use crate::id::{Generation, NodeId, RequestId};
use crate::node::ClientId;
use crate::time::{Duration, Instant};
pub use interface::{Config, Counters, FailureReason, Input, Output};
use open::{Ending, Open, Reply};
use pace::{Backlog, Pace};

/// A peer that was silent until the deadline is reported only if it had at least this long: a client with a tiny deadline
/// must not bring every replica into disrepute. (Ours: above the slowest student of the ready-made bundle on the slowest
/// emulated device; below the default deadline of 2 s.)
const SILENCE_MIN: Duration = Duration::from_millis(500);

/// Weight of a new sample in the smoothed answer time, 1/8 as for a round trip in RFC 6298.
const SMOOTHING: u32 = 8;

/// What a retry-after says before any request was answered.
const RETRY_AFTER_FIRST: Duration = Duration::from_millis(100);

/// Takes requests, asks replicas, answers: each request exactly once.
#[derive(Debug)]
pub struct Coordinator {
    me: NodeId,
    generation: Generation,
    config: Config,
    routing: Option<Arc<Routing>>,
    next: u64,
    open: BTreeMap<u64, Open>,
    clients: BTreeMap<ClientId, u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    answer_time: Option<Duration>,
    pace: Pace,
    draining: bool,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Coordinator {
    /// A coordinator without a routing: until it gets one, it refuses as [`RequestError::NotServing`].
    /// Its requests are counted from `first` on.
    pub fn new(me: NodeId, generation: Generation, first: u64, config: Config) -> Self {
        Self {
            me,
            generation,
            config,
            routing: None,
            next: first,
            open: BTreeMap::new(),
            clients: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            answer_time: None,
            pace: Pace::default(),
            draining: false,
            counters: Counters::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. A deadline that has passed by `now` is acted on first.
    ///
    /// # Panics
    /// If a [`Input::Request`] has the tag of an open one, or if a bundle changes its number of parts.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.handle_timeout(now);
        match input {
            Input::Request { client, request } => self.request(now, client, request),
            Input::CancelRequest { client } => self.cancel(now, client),
            Input::Message { from, message, blob } => self.message(now, from, message, &blob),
            Input::Routing(routing) => self.reroute(now, routing),
            Input::Lost { peer } => {
                self.pace.forget(peer);
                self.for_each_open(now, |open| open.lose(peer));
            }
            Input::Drain => self.draining = true,
        }
    }

    /// Ends the requests whose deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(deadline, counter)) = self.deadlines.first()
            && deadline <= now
        {
            self.advance(now, counter);
            assert!(!self.open.contains_key(&counter), "a request ends at its deadline at the latest");
        }
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.deadlines.first().map(|&(at, _)| (at, "request deadline"))
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Requests that are open now.
    pub fn open_requests(&self) -> usize {
        self.open.len()
    }

    /// Whether it was told to drain and has no open request left.
    pub fn is_drained(&self) -> bool {
        self.draining && self.open.is_empty()
    }

    /// What was ignored or worked around since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn request(&mut self, now: Instant, client: ClientId, request: Request) {
        assert!(!self.clients.contains_key(&client), "the shell uses a client's tag for one open request at a time");
        let routing = match self.admit(now, &request) {
            Ok(routing) => routing,
            Err(error) => return self.reply(now, client, None, now, Err(error)),
        };
        let counter = self.next;
        self.next += 1;
        let id = RequestId { coordinator: self.me, generation: self.generation, counter };
        let open = Open::new(id, client, request, routing, now);
        self.deadlines.insert((open.deadline(), counter));
        self.clients.insert(client, counter);
        self.open.entry(counter).or_insert(open).ask_all(now, &mut self.outputs);
        self.advance(now, counter);
    }

    fn admit(&self, now: Instant, request: &Request) -> Result<Arc<Routing>, RequestError> {
        if self.draining {
            return Err(RequestError::Draining);
        }
        let routing = self.routing.as_ref().ok_or(RequestError::NotServing)?;
        check::check(request, routing, self.config.deadline_max)?;
        if self.open.len() >= self.config.open_requests_max {
            return Err(RequestError::Overloaded { retry_after: self.retry_after(now) });
        }
        match self.excess(now, request, routing) {
            Some(retry_after) => Err(RequestError::Overloaded { retry_after }),
            None => Ok(Arc::clone(routing)),
        }
    }

    /// By how much the request would be late, if its turn comes after its deadline at all replicas of so many parts that too few
    /// are left.
    fn excess(&self, now: Instant, request: &Request, routing: &Routing) -> Option<Duration> {
        let replicas: BTreeSet<NodeId> = routing.parts.iter().flatten().map(|route| route.replica).collect();
        let waits: BTreeMap<NodeId, Duration> =
            replicas.into_iter().filter_map(|replica| Some((replica, self.backlog(now, replica)?.wait()))).collect();
        let part_excess = |routes: &Vec<Route>| {
            let known: Option<Vec<Duration>> = routes.iter().map(|r| waits.get(&r.replica).copied()).collect();
            let wait = known?.into_iter().min()?;
            (wait >= request.deadline).then(|| wait.saturating_sub(request.deadline))
        };
        let excesses: Vec<Duration> = routing.parts.iter().filter_map(part_excess).collect();
        if routing.parts.len() - excesses.len() < request.min_parts { excesses.into_iter().min() } else { None }
    }

    fn backlog(&self, now: Instant, replica: NodeId) -> Option<Backlog> {
        let owed = |since| self.open.values().map(|open| open.owed_since(replica, since)).sum();
        self.pace.backlog(now, replica, owed)
    }

    /// Refuses what was taken before it was known how long it has to wait.
    fn shed(&mut self, now: Instant) {
        let replicas: BTreeSet<NodeId> = self.open.values().flat_map(Open::owing).collect();
        let backlogs: BTreeMap<NodeId, Backlog> =
            replicas.into_iter().filter_map(|replica| Some((replica, self.backlog(now, replica)?))).collect();
        let mut ahead: BTreeMap<NodeId, u32> = BTreeMap::new();
        let mut hopeless = Vec::new();
        for (&counter, open) in &self.open {
            let remaining = open.deadline().since(now);
            let is_late = |replica: NodeId| {
                backlogs.get(&replica).is_some_and(|&Backlog { turns, run }| {
                    let before = ahead.get(&replica).copied().unwrap_or(0);
                    Backlog { turns: turns.min(before), run }.wait() >= remaining
                })
            };
            if open.is_hopeless(is_late) {
                hopeless.push(counter);
            } else {
                open.owing().for_each(|replica| *ahead.entry(replica).or_default() += 1);
            }
        }
        for counter in hopeless {
            self.end(now, counter, Ending::Overloaded);
        }
    }

    /// A slot is free after about one answer time, and at the next deadline at the latest.
    fn retry_after(&self, now: Instant) -> Duration {
        let typical = self.answer_time.unwrap_or(RETRY_AFTER_FIRST);
        self.deadlines.first().map_or(typical, |&(deadline, _)| typical.min(deadline.since(now)))
    }

    fn cancel(&mut self, now: Instant, client: ClientId) {
        if let Some(&counter) = self.clients.get(&client) {
            let open = self.close(counter);
            self.finished(Some(open.id()), Outcome::Cancelled, now.since(open.started()));
        }
    }

    fn message(&mut self, now: Instant, from: NodeId, message: Message, blob: &Blob) {
        match message {
            Message::Partial { request, student, run, queue, .. } => {
                self.pace.hear(now, from, run, queue);
                let Some(open) = self.addressed(request) else { return };
                match open.partial(now, from, student, run, blob) {
                    Reply::Taken => {}
                    Reply::Late => self.counters.late += 1,
                    Reply::Bad => {
                        self.counters.bad_answers += 1;
                        self.outputs.push_back(Output::ReplicaFailed { peer: from, reason: FailureReason::BadAnswer });
                    }
                }
                self.advance(now, request.counter);
                self.shed(now);
            }
            Message::Refuse { request, student, reason } => {
                let Some(open) = self.addressed(request) else { return };
                if !open.refuse(from, student, reason) {
                    self.counters.late += 1;
                } else if reason == Refusal::Failed {
                    self.outputs.push_back(Output::ReplicaFailed { peer: from, reason: FailureReason::StudentFailed });
                }
                self.advance(now, request.counter);
            }
            Message::Ask { .. } | Message::Cancel { .. } => self.counters.unexpected += 1,
        }
    }

    /// The open request of that id; one of another node, of an earlier start or that is over is counted as late.
    fn addressed(&mut self, request: RequestId) -> Option<&mut Open> {
        let ours = request.coordinator == self.me && request.generation == self.generation;
        let open = self.open.get_mut(&request.counter).filter(|_| ours);
        if open.is_none() {
            self.counters.late += 1;
        }
        open
    }

    fn reroute(&mut self, now: Instant, routing: Routing) {
        let routing = Arc::new(routing);
        self.routing = Some(Arc::clone(&routing));
        self.for_each_open(now, |open| open.reroute(&routing));
    }

    fn for_each_open(&mut self, now: Instant, mut change: impl FnMut(&mut Open)) {
        let counters: Vec<u64> = self.open.keys().copied().collect();
        for counter in counters {
            if let Some(open) = self.open.get_mut(&counter) {
                change(open);
            }
            self.advance(now, counter);
        }
    }

    /// Does what a request's state calls for: fail over, cancel what is of no use any more, answer.
    fn advance(&mut self, now: Instant, counter: u64) {
        let Some(open) = self.open.get_mut(&counter) else { return };
        if now < open.deadline() {
            self.counters.restarts += u64::from(open.restart(now, &mut self.outputs));
            self.counters.failovers += open.fail_over(now, &mut self.outputs);
            open.cancel_needless(&mut self.outputs);
        }
        if let Some(ending) = open.ending(now) {
            self.end(now, counter, ending);
        }
    }

    fn end(&mut self, now: Instant, counter: u64, ending: Ending) {
        if let Some(open) = self.open.get(&counter)
            && now >= open.deadline()
        {
            let silent = open.silent(SILENCE_MIN).into_iter();
            self.outputs.extend(silent.map(|peer| Output::ReplicaFailed { peer, reason: FailureReason::Silent }));
        }
        let retry_after = self.retry_after(now);
        let epoch = self.routing.as_ref().and_then(|routing| routing.epoch);
        let open = self.close(counter);
        let (served, min_parts) = (open.served(), open.min_parts());
        let result = match ending {
            Ending::Answer => Ok(open.answer(epoch)),
            Ending::Overloaded => Err(RequestError::Overloaded { retry_after }),
            Ending::NoReplica => Err(RequestError::NoReplica { served, min_parts }),
            Ending::Deadline => Err(RequestError::Deadline { served, min_parts }),
        };
        if result.is_ok() {
            self.learn(now.since(open.started()));
        }
        self.reply(now, open.client(), Some(open.id()), open.started(), result);
    }

    fn learn(&mut self, sample: Duration) {
        let old = self.answer_time.unwrap_or(sample);
        self.answer_time = Some(old - old / SMOOTHING + sample / SMOOTHING);
    }

    /// Takes a request out, and its work off the replicas.
    fn close(&mut self, counter: u64) -> Open {
        let mut open = self.open.remove(&counter).expect("only an open request is closed");
        self.clients.remove(&open.client());
        self.deadlines.remove(&(open.deadline(), counter));
        open.cancel_all(&mut self.outputs);
        open
    }

    fn reply(
        &mut self,
        now: Instant,
        client: ClientId,
        request: Option<RequestId>,
        started: Instant,
        result: Result<Answer, RequestError>,
    ) {
        let outcome = Outcome::of(&result);
        self.outputs.push_back(Output::Answer { client, result });
        self.finished(request, outcome, now.since(started));
    }

    fn finished(&mut self, request: Option<RequestId>, outcome: Outcome, took: Duration) {
        self.outputs.push_back(Output::Event(Event::Finished { request, outcome, took }));
    }
}
