//! The coordinator of the requests that clients bring to this node.
//!
//! How replicas are asked is the request's [`Mode`]; each device gets one message and the input once for all that it is asked at one
//! moment. The coordinator deliberately does not judge who is alive (it reports evidence and follows its [`Routing`]), does not
//! retry a request elsewhere (the client does), and keeps nothing across a restart.

mod check;
mod forecast;
mod interface;
mod open;
mod pace;
mod times;
mod trust;
mod votes;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Answer, Disagreement, Event, Message, Mode, Outcome, Refusal, Request, RequestError, Route, Routing};
use crate::blob::Blob;
use crate::bugs::Bug;
use crate::id::{Generation, NodeId, RequestId};
use crate::node::ClientId;
use crate::queue::Queue;
use crate::time::{Duration, Instant};
use forecast::Forecast;
pub use interface::{Config, Counters, FailureReason, Input, Output};
use open::{Ending, Open, Taken};
use pace::{Backlog, Pace};
use times::Times;
pub use trust::Standing;
use trust::Trust;

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
    /// When a request's mode calls for something before its deadline.
    dues: BTreeSet<(Instant, u64)>,
    answer_time: Option<Duration>,
    pace: Pace,
    times: Times,
    trust: Trust,
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
            dues: BTreeSet::new(),
            answer_time: None,
            pace: Pace::default(),
            times: Times::default(),
            trust: Trust::default(),
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
            Input::Gone { peer } => {
                self.pace.forget(peer);
                self.times.forget(peer);
                self.trust.forget(peer);
            }
            Input::Drain => self.draining = true,
        }
    }

    /// Ends the requests whose deadline has passed, and asks or stops waiting where a mode wants it.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.trust.handle_timeout(now);
        while let Some(&(deadline, counter)) = self.deadlines.first()
            && deadline <= now
        {
            self.advance(now, counter);
            assert!(!self.open.contains_key(&counter), "a request ends at its deadline at the latest");
        }
        while let Some(&(due, counter)) = self.dues.first()
            && due <= now
        {
            self.advance(now, counter);
        }
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let deadline = self.deadlines.first().filter(|_| !self.config.bugs.has(Bug::NoDeadline));
        let timeouts = [
            deadline.map(|&(at, _)| (at, "request deadline")),
            self.dues.first().map(|&(at, _)| (at, "overdue answer")),
            self.trust.poll_timeout().map(|at| (at, "replica trusted again")),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Requests that are open now.
    pub fn open_requests(&self) -> usize {
        self.open.len()
    }

    /// The same as a queue with its bound.
    pub fn queue(&self) -> Queue {
        Queue::new("open requests", self.open.len(), self.config.open_requests_max)
    }

    /// Whether it was told to drain and has no open request left.
    pub fn is_drained(&self) -> bool {
        self.draining && self.open.is_empty()
    }

    /// What was ignored or worked around since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How a replica's answers stood to those of others.
    pub fn standing(&self, replica: NodeId) -> Standing {
        self.trust.standing(replica)
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
        let mode = request.mode.unwrap_or(self.config.mode);
        let open = Open::new(id, client, (request, mode), routing, self.config.bugs, now);
        self.deadlines.insert((open.deadline(), counter));
        self.clients.insert(client, counter);
        let forecast = Forecast::new(self.trust.distrusted(), counter);
        self.open.entry(counter).or_insert(open).ask_all(now, &forecast, &mut self.outputs);
        self.advance(now, counter);
    }

    fn admit(&self, now: Instant, request: &Request) -> Result<Arc<Routing>, RequestError> {
        if self.draining {
            return Err(RequestError::Draining);
        }
        let routing = self.routing.as_ref().ok_or(RequestError::NotServing)?;
        check::check(request, routing, self.config.deadline_max)?;
        if self.open.len() >= self.config.open_requests_max && !self.config.bugs.has(Bug::UnboundedRequests) {
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
        let replicas: BTreeSet<NodeId> = self.open.values().flat_map(Open::helpers).collect();
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
            let open = self.close(now, counter);
            self.finished(Some(open.id()), Outcome::Cancelled, now.since(open.started()));
        }
    }

    fn message(&mut self, now: Instant, from: NodeId, message: Message, blob: &Blob) {
        match message {
            Message::Partial { request, student, run, queue, .. } => {
                self.pace.hear(now, from, run, queue);
                let Some(open) = self.addressed(request) else { return };
                let (taken, took) = open.partial(now, (from, student), run, blob);
                if let Some(took) = took.filter(|_| taken != Taken::Bad) {
                    self.times.hear(now, from, student, took, run);
                }
                match taken {
                    Taken::Used => {}
                    Taken::Late => self.counters.late += 1,
                    Taken::Bad => {
                        self.counters.bad_answers += 1;
                        self.outputs.push_back(Output::ReplicaFailed { peer: from, reason: FailureReason::BadAnswer });
                    }
                }
                self.advance(now, request.counter);
                self.shed(now);
            }
            Message::Refuse { request, student, reason } => {
                let Some(open) = self.addressed(request) else { return };
                if !open.refuse(now, (from, student), reason) {
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
        self.times.tidy(now);
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

    /// Does what a request's state calls for: fail over, hedge, cancel what is of no use any more, answer.
    fn advance(&mut self, now: Instant, counter: u64) {
        let plain = Forecast::new(self.trust.distrusted(), counter);
        let Some(open) = self.open.get_mut(&counter) else { return };
        let due = open.due_told;
        if now < open.deadline() {
            self.counters.restarts += u64::from(open.restart(now, &plain, &mut self.outputs));
            open.stop_waiting(now);
            self.ask_next(now, counter, plain);
        }
        let Some(open) = self.open.get_mut(&counter) else { return };
        if now < open.deadline() {
            open.cancel_needless(now, &mut self.outputs);
            for (route, after) in open.take_in_vain() {
                self.times.gave_up(now, route, after);
            }
        }
        if let Some(ending) = open.ending(now) {
            return self.end(now, counter, ending);
        }
        let next = open.due();
        debug_assert!(next.is_none_or(|next| next > now), "what is due is done");
        if next != due {
            open.due_told = next;
            self.dues.extend(next.map(|next| (next, counter)));
            if let Some(due) = due {
                self.dues.remove(&(due, counter));
            }
        }
    }

    /// Asks whom a request wants asked now, the best first.
    fn ask_next(&mut self, now: Instant, counter: u64, mut forecast: Forecast) {
        let Some(open) = self.open.get(&counter).filter(|open| open.wants_more(now)) else { return };
        if open.mode() == Mode::Hedged {
            let mut waits = BTreeMap::new();
            for route in open.candidates(now) {
                let mut estimate = self.times.estimate(now, route);
                let wait = waits.entry(route.replica).or_insert_with(|| self.wait(now, route.replica, estimate.run));
                estimate.typical = estimate.typical.saturating_add(*wait);
                forecast.expect(route, estimate);
            }
        }
        let Some(open) = self.open.get_mut(&counter) else { return };
        let before = open.hedges();
        self.counters.failovers += open.ask_next(now, &mut forecast, &mut self.outputs);
        self.counters.hedges += u64::from(open.hedges() - before);
    }

    /// For how long a new job waits at a replica; where nothing was heard of it, for the jobs it was asked for, each of which takes `run`.
    fn wait(&self, now: Instant, replica: NodeId, run: Duration) -> Duration {
        let owed = || self.open.values().map(|open| open.owed_since(replica, Instant::ZERO)).sum::<usize>();
        let unheard = || run.saturating_mul(u32::try_from(owed()).unwrap_or(u32::MAX));
        self.backlog(now, replica).map_or_else(unheard, Backlog::wait)
    }

    /// Notes whose answers differed, and whose a majority bore out.
    fn weigh(&mut self, now: Instant, counter: u64) {
        let Some(open) = self.open.get(&counter).filter(|open| open.mode() == Mode::Verify) else { return };
        open.confirmed().into_iter().for_each(|replica| self.trust.confirmed(replica));
        for Disagreement { part, replica, outvoted } in open.disagreements() {
            if outvoted {
                self.counters.outvoted += 1;
                let reason = FailureReason::Outvoted;
                self.outputs.push_back(Output::ReplicaFailed { peer: replica, reason });
            } else {
                self.counters.disputed += 1;
            }
            if self.trust.differed(now, replica, outvoted) {
                let request = open.id();
                self.outputs.push_back(Output::Event(Event::Disagreed { request, part, replica, outvoted }));
            }
        }
    }

    fn end(&mut self, now: Instant, counter: u64, ending: Ending) {
        if let Some(open) = self.open.get(&counter)
            && now >= open.deadline()
        {
            let silent = open.silent(SILENCE_MIN).into_iter();
            self.outputs.extend(silent.map(|peer| Output::ReplicaFailed { peer, reason: FailureReason::Silent }));
        }
        self.weigh(now, counter);
        let retry_after = self.retry_after(now);
        let epoch = self.routing.as_ref().and_then(|routing| routing.epoch);
        let open = self.close(now, counter);
        let (served, min_parts) = (open.served(), open.min_parts());
        if matches!(ending, Ending::Deadline) && self.config.bugs.has(Bug::NeverAnswer) {
            return;
        }
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
    fn close(&mut self, now: Instant, counter: u64) -> Open {
        let mut open = self.open.remove(&counter).expect("only an open request is closed");
        self.clients.remove(&open.client());
        self.deadlines.remove(&(open.deadline(), counter));
        if let Some(due) = open.due_told {
            self.dues.remove(&(due, counter));
        }
        open.cancel_all(now, &mut self.outputs);
        for (route, after) in open.take_in_vain() {
            self.times.gave_up(now, route, after);
        }
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
        if self.config.bugs.has(Bug::AnswerTwice) {
            self.outputs.push_back(Output::Answer { client, result: result.clone() });
        }
        self.outputs.push_back(Output::Answer { client, result });
        self.finished(request, outcome, now.since(started));
    }

    fn finished(&mut self, request: Option<RequestId>, outcome: Outcome, took: Duration) {
        self.outputs.push_back(Output::Event(Event::Finished { request, outcome, took }));
    }
}
