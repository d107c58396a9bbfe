//! One open request: who was asked for what, what came back, and what that calls for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Output;
use crate::blob::Blob;
use crate::bugs::{Bug, Bugs};
use crate::id::{Digest, Epoch, NodeId, PartId, RequestId};
use crate::inference::{Answer, Event, Message, PartAnswer, Refusal, Request, Route, Routing, merge};
use crate::node::ClientId;
use crate::time::{Duration, Instant};

/// The largest size of a partial logit; a greater one is a broken answer. (Ours: the sum over 2^16 parts cannot overflow `f32`.)
const LOGIT_MAX: f32 = 1e30;

/// One replica's try at one part.
#[derive(Debug)]
struct Attempt {
    part: usize,
    asked: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Asked; an answer is expected.
    Waiting,
    /// Not expected any more, but still taken: the link broke, or the replica is not routed to.
    Lost,
    /// Lost, but routed to again: may be asked anew.
    Back,
    /// Answered, refused or cancelled: nothing more is taken from it.
    Over,
}

/// A part's first answer.
#[derive(Debug)]
struct First {
    logits: Vec<f32>,
    student: Digest,
    replica: NodeId,
    after: Duration,
    run: Duration,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is the part's answer.
    Taken,
    /// The part was answered already, or this replica was not asked or had its say.
    Late,
    /// Its content is unusable; counts as a refusal.
    Bad,
}

/// How a request is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an answer, complete or degraded.
    Answer,
    /// Too few parts, and a replica of a lacking one had no room: waiting is of no use.
    Overloaded,
    /// Too few parts and nobody left who could answer the others, by the deadline or once another bundle is served.
    NoReplica,
    /// The deadline passed with too few parts while replicas were silent.
    Deadline,
}

/// One open request. All of its answer is from one bundle.
#[derive(Debug)]
pub(super) struct Open {
    id: RequestId,
    client: ClientId,
    started: Instant,
    deadline: Instant,
    min_parts: usize,
    input: Blob,
    routing: Arc<Routing>,
    /// What is served by now, if that is another bundle.
    next: Option<Arc<Routing>>,
    firsts: Vec<Option<First>>,
    attempts: BTreeMap<(NodeId, Digest), Attempt>,
    /// Parts that a replica had no room for.
    overloaded: BTreeSet<usize>,
    bugs: Bugs,
}

impl Open {
    pub(super) fn new(
        id: RequestId,
        client: ClientId,
        request: Request,
        routing: Arc<Routing>,
        bugs: Bugs,
        now: Instant,
    ) -> Self {
        Self {
            id,
            client,
            started: now,
            deadline: now + request.deadline,
            min_parts: request.min_parts,
            input: request.input,
            firsts: routing.parts.iter().map(|_| None).collect(),
            routing,
            next: None,
            attempts: BTreeMap::new(),
            overloaded: BTreeSet::new(),
            bugs,
        }
    }

    /// Mode `all`: every replica of every part.
    pub(super) fn ask_all(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        let routing = Arc::clone(&self.routing);
        let routes = routing.parts.iter().enumerate().flat_map(|(part, routes)| routes.iter().map(move |r| (part, *r)));
        self.ask(now, routes, out);
    }

    /// Begins anew on the bundle that is served by now, if a part of its own is not to be had any more and the other has more for it;
    /// says whether it did.
    pub(super) fn restart(&mut self, now: Instant, out: &mut VecDeque<Output>) -> bool {
        let is_stranded =
            |part: usize| self.firsts[part].is_none() && !self.overloaded.contains(&part) && !self.is_expected(part);
        let stranded = (0..self.firsts.len()).any(is_stranded);
        let (elements, served, min_parts) = (self.routing.input_elements, self.served(), self.min_parts);
        let is_better = |next: &mut Arc<Routing>| {
            let parts = next.parts.iter().filter(|routes| !routes.is_empty()).count();
            next.input_elements == elements && parts > served && parts >= min_parts
        };
        let Some(next) = self.next.take_if(|next| stranded && is_better(next)) else { return false };
        self.cancel_all(out);
        self.firsts = next.parts.iter().map(|_| None).collect();
        self.attempts.clear();
        self.overloaded.clear();
        self.routing = next;
        self.ask_all(now, out);
        true
    }

    /// Asks another replica for each part that has lost all that were asked; says for how many.
    pub(super) fn fail_over(&mut self, now: Instant, out: &mut VecDeque<Output>) -> u64 {
        let stranded: Vec<(usize, Route)> = (0..self.firsts.len())
            .filter(|&part| self.firsts[part].is_none() && !self.is_expected(part))
            .filter_map(|part| self.fresh_route(part).map(|route| (part, route)))
            .collect();
        let mut failovers = 0;
        for &(part, route) in stranded.iter().filter(|(part, _)| self.attempts.values().any(|a| a.part == *part)) {
            failovers += 1;
            out.push_back(Output::Event(Event::Failover { request: self.id, part: part_id(part), to: route.replica }));
        }
        self.ask(now, stranded.into_iter(), out);
        failovers
    }

    /// One message a device, with the input once and all the students it is asked for, in part order.
    fn ask(&mut self, now: Instant, routes: impl Iterator<Item = (usize, Route)>, out: &mut VecDeque<Output>) {
        let mut devices: BTreeMap<NodeId, Vec<Digest>> = BTreeMap::new();
        for (part, Route { replica, student }) in routes {
            self.attempts.insert((replica, student), Attempt { part, asked: now, state: State::Waiting });
            devices.entry(replica).or_default().push(student);
        }
        let remaining = self.deadline.since(now);
        out.extend(devices.into_iter().map(|(to, students)| Output::Send {
            to,
            message: Message::Ask { request: self.id, bundle: self.routing.bundle, students, remaining },
            blob: self.input.clone(),
        }));
    }

    /// The best replica of the part that was not asked yet, or was lost and is back.
    fn fresh_route(&self, part: usize) -> Option<Route> {
        let is_fresh = |route: &&Route| {
            self.attempts.get(&(route.replica, route.student)).is_none_or(|attempt| attempt.state == State::Back)
        };
        self.routing.parts[part].iter().find(is_fresh).copied()
    }

    pub(super) fn partial(&mut self, now: Instant, from: NodeId, student: Digest, run: Duration, blob: &Blob) -> Reply {
        let Some(attempt) = self.attempts.get_mut(&(from, student)).filter(|a| a.state != State::Over) else {
            return Reply::Late;
        };
        attempt.state = State::Over;
        let Some(logits) = usable(blob, self.routing.bias.len()) else { return Reply::Bad };
        let first = &mut self.firsts[attempt.part];
        if let Some(first) = first {
            if self.bugs.has(Bug::DoubleMerge) {
                first.logits = merge(&first.logits, [logits.as_slice()]);
            }
            return Reply::Late;
        }
        *first = Some(First { logits, student, replica: from, after: now.since(self.started), run });
        Reply::Taken
    }

    /// Whether the refusal was news.
    pub(super) fn refuse(&mut self, from: NodeId, student: Digest, reason: Refusal) -> bool {
        let Some(attempt) = self.attempts.get_mut(&(from, student)).filter(|a| a.state != State::Over) else {
            return false;
        };
        attempt.state = State::Over;
        if reason == Refusal::Overloaded {
            self.overloaded.insert(attempt.part);
        }
        true
    }

    /// The link to the peer broke.
    pub(super) fn lose(&mut self, peer: NodeId) {
        for (_, attempt) in self.attempts.iter_mut().filter(|((replica, _), _)| *replica == peer) {
            if attempt.state != State::Over {
                attempt.state = State::Lost;
            }
        }
    }

    /// Follows a new routing of the same bundle; one of another is for when this one cannot be completed.
    pub(super) fn reroute(&mut self, routing: &Arc<Routing>) {
        if routing.bundle != self.routing.bundle && !self.bugs.has(Bug::MixBundles) {
            self.next = Some(Arc::clone(routing));
            return;
        }
        self.next = None;
        assert_eq!(routing.parts.len(), self.firsts.len(), "a bundle's number of parts never changes");
        self.routing = Arc::clone(routing);
        for (&(replica, student), attempt) in &mut self.attempts {
            let routed = routing.parts[attempt.part].contains(&Route { replica, student });
            attempt.state = match (attempt.state, routed) {
                (State::Lost | State::Back, true) => State::Back,
                (State::Waiting | State::Lost | State::Back, false) => State::Lost,
                (kept @ (State::Waiting | State::Over), _) => kept,
            };
        }
    }

    /// Tells each device that has work left, but none that is of use, to drop it.
    pub(super) fn cancel_needless(&mut self, out: &mut VecDeque<Output>) {
        let useful: BTreeSet<NodeId> = (self.attempts.iter())
            .filter(|(_, attempt)| attempt.state != State::Over && self.firsts[attempt.part].is_none())
            .map(|((replica, _), _)| *replica)
            .collect();
        self.cancel(out, |replica| !useful.contains(&replica));
    }

    /// Tells every device that has work left to drop it.
    pub(super) fn cancel_all(&mut self, out: &mut VecDeque<Output>) {
        self.cancel(out, |_| true);
    }

    fn cancel(&mut self, out: &mut VecDeque<Output>, whom: impl Fn(NodeId) -> bool) {
        let mut told = BTreeSet::new();
        for (&(replica, _), attempt) in &mut self.attempts {
            if attempt.state == State::Waiting && whom(replica) {
                attempt.state = State::Over;
                told.insert(replica);
            }
        }
        let message = Message::Cancel { request: self.id };
        out.extend(told.into_iter().map(|to| Output::Send { to, message: message.clone(), blob: Blob::default() }));
    }

    /// Whether and how the request is to end now.
    pub(super) fn ending(&self, now: Instant) -> Option<Ending> {
        let expected = (0..self.firsts.len()).any(|part| self.firsts[part].is_none() && self.is_expected(part));
        let due = now >= self.deadline;
        if expected && !due {
            return None;
        }
        if self.served() >= self.min_parts {
            return Some(Ending::Answer);
        }
        match (due, expected) {
            (true, true) => Some(Ending::Deadline),
            (true, false) => Some(Ending::NoReplica),
            (false, _) => {
                let lacking = self.overloaded.iter().any(|&part| self.firsts[part].is_none());
                // Nobody will plan for a bundle that is not served any more.
                let abandoned = self.next.is_some().then_some(Ending::NoReplica);
                if lacking { Some(Ending::Overloaded) } else { abandoned }
            }
        }
    }

    fn is_expected(&self, part: usize) -> bool {
        self.attempts.values().any(|attempt| attempt.part == part && attempt.state == State::Waiting)
    }

    /// Jobs that the replica owes this request, asked for after `since`.
    pub(super) fn owed_since(&self, replica: NodeId, since: Instant) -> usize {
        let attempts = self.attempts.iter().filter(|((who, _), _)| *who == replica);
        attempts.filter(|(_, attempt)| attempt.state == State::Waiting && attempt.asked > since).count()
    }

    /// Who owes this request a job; once for each.
    pub(super) fn owing(&self) -> impl Iterator<Item = NodeId> {
        let waiting = self.attempts.iter().filter(|(_, attempt)| attempt.state == State::Waiting);
        waiting.map(|((replica, _), _)| *replica)
    }

    /// Whether too few parts can be had in time, if `is_late` tells which replica will be late with its next job. A part that
    /// nobody is asked for may come with another routing.
    pub(super) fn is_hopeless(&self, is_late: impl Fn(NodeId) -> bool) -> bool {
        let is_lost = |part: usize| {
            let mut asked = self.attempts.iter().filter(|(_, a)| a.part == part && a.state == State::Waiting);
            self.firsts[part].is_none() && self.is_expected(part) && asked.all(|((replica, _), _)| is_late(*replica))
        };
        let lost = (0..self.firsts.len()).filter(|&part| is_lost(part)).count();
        self.firsts.len() - lost < self.min_parts
    }

    /// Who was asked for a part that nobody has answered, at least so long before the deadline, and has said nothing.
    pub(super) fn silent(&self, for_at_least: Duration) -> BTreeSet<NodeId> {
        (self.attempts.iter())
            .filter(|(_, attempt)| attempt.state == State::Waiting && self.firsts[attempt.part].is_none())
            .filter(|(_, attempt)| self.deadline.since(attempt.asked) >= for_at_least)
            .map(|((replica, _), _)| *replica)
            .collect()
    }

    pub(super) fn answer(&self, epoch: Option<Epoch>) -> Answer {
        let present = || self.firsts.iter().enumerate().filter_map(|(part, first)| Some((part, first.as_ref()?)));
        let mut firsts: Vec<&First> = self.firsts.iter().flatten().collect();
        if self.bugs.has(Bug::MergeAsCame) {
            firsts.sort_by_key(|first| first.after);
        }
        Answer {
            logits: merge(&self.routing.bias, firsts.iter().map(|first| first.logits.as_slice())),
            bundle: self.routing.bundle,
            epoch,
            parts: present()
                .map(|(part, &First { student, replica, after, run, .. })| PartAnswer {
                    part: part_id(part),
                    student,
                    replica,
                    after,
                    run,
                })
                .collect(),
            missing: (0..self.firsts.len()).filter(|&part| self.firsts[part].is_none()).map(part_id).collect(),
        }
    }

    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn client(&self) -> ClientId {
        self.client
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn min_parts(&self) -> usize {
        self.min_parts
    }

    /// Parts that were answered.
    pub(super) fn served(&self) -> usize {
        self.firsts.iter().flatten().count()
    }
}

/// The logits, if they are as many as there are classes and all of sensible size.
fn usable(blob: &Blob, classes: usize) -> Option<Vec<f32>> {
    let logits = blob.to_floats().ok()?;
    (logits.len() == classes && logits.iter().all(|logit| logit.abs() <= LOGIT_MAX)).then_some(logits)
}

fn part_id(part: usize) -> PartId {
    PartId(u16::try_from(part).expect("a manifest has at most 65,535 parts"))
}
