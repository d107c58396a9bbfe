//! One open request: who was asked for what, what came back, and what that calls for.

mod asking;
mod attempts;
mod result;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use self::attempts::Attempts;
use super::Output;
use super::forecast::Forecast;
use super::votes::{self, Vote};
use crate::blob::Blob;
use crate::bugs::{Bug, Bugs};
use crate::id::{Digest, NodeId, PartId, RequestId};
use crate::inference::{Fate, Loss, Message, Mode, Refusal, Request, Route, Routing, merge};
use crate::node::ClientId;
use crate::time::{Duration, Instant};

/// The largest size of a partial logit; a greater one is a broken answer. (Ours: the sum over 2^16 parts cannot overflow `f32`.)
const LOGIT_MAX: f32 = 1e30;

/// One replica's answer for a part.
#[derive(Debug)]
struct Reply {
    logits: Vec<f32>,
    student: Digest,
    replica: NodeId,
    after: Duration,
    run: Duration,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the part's answer, or one to compare with it.
    Used,
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

/// What is known of one part.
#[derive(Debug, Default)]
struct PartState {
    /// Its answers in the order in which they came; in modes `all` and `hedged` at most one.
    replies: Vec<Reply>,
    /// In mode `hedged`, when the next replica is asked; in mode `verify`, when enough was waited for the rest.
    due: Option<Instant>,
    /// Mode `verify`: nobody else is waited for.
    decided: bool,
    /// How the last replica that will not answer was lost.
    loss: Option<Loss>,
}

impl PartState {
    fn is_answered(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Whether an answer would be used.
    fn is_of_use(&self, mode: Mode) -> bool {
        !self.is_answered() || mode == Mode::Verify && !self.decided
    }
}

/// One open request. All of its answer is from one bundle.
#[derive(Debug)]
pub(super) struct Open {
    id: RequestId,
    client: ClientId,
    started: Instant,
    deadline: Instant,
    min_parts: usize,
    mode: Mode,
    input: Blob,
    routing: Arc<Routing>,
    /// What is served by now, if that is another bundle.
    next: Option<Arc<Routing>>,
    parts: Vec<PartState>,
    attempts: Attempts,
    /// Parts that a replica had no room for.
    overloaded: BTreeSet<usize>,
    /// Waits that were given up: of which replica, after how long.
    in_vain: Vec<(Route, Duration)>,
    asked: u32,
    hedges: u32,
    /// The coordinator's note of [`Self::due`].
    pub(super) due_told: Option<Instant>,
    bugs: Bugs,
}

impl Open {
    pub(super) fn new(
        id: RequestId,
        client: ClientId,
        (request, mode): (Request, Mode),
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
            mode,
            input: request.input,
            parts: routing.parts.iter().map(|_| PartState::default()).collect(),
            routing,
            next: None,
            attempts: Attempts::default(),
            overloaded: BTreeSet::new(),
            in_vain: Vec::new(),
            asked: 0,
            hedges: 0,
            due_told: None,
            bugs,
        }
    }

    /// Begins anew on the bundle that is served by now, if a part of its own is not to be had any more and the other has more for it;
    /// says whether it did.
    pub(super) fn restart(&mut self, now: Instant, forecast: &Forecast, out: &mut VecDeque<Output>) -> bool {
        let is_stranded =
            |part: usize| self.lacks(part) && !self.overloaded.contains(&part) && !self.attempts.is_expected(part);
        let stranded = self.next.is_some() && (0..self.parts.len()).any(is_stranded);
        let (elements, served, min_parts) = (self.routing.input_elements, self.served(), self.min_parts);
        let is_better = |next: &mut Arc<Routing>| {
            let parts = next.parts.iter().filter(|routes| !routes.is_empty()).count();
            next.input_elements == elements && parts > served && parts >= min_parts
        };
        let Some(next) = self.next.take_if(|next| stranded && is_better(next)) else { return false };
        self.cancel_all(now, out);
        self.parts = next.parts.iter().map(|_| PartState::default()).collect();
        self.attempts.clear();
        self.overloaded.clear();
        self.routing = next;
        self.ask_all(now, forecast, out);
        true
    }

    /// An answer came; with how long it took if it was being waited for.
    pub(super) fn partial(
        &mut self,
        now: Instant,
        (from, student): (NodeId, Digest),
        run: Duration,
        blob: &Blob,
    ) -> (Taken, Option<Duration>) {
        let logits = usable(blob, self.routing.bias.len());
        let fate = if logits.is_some() { Fate::Answered } else { Fate::Failed };
        let Some((part, asked)) = self.attempts.finish(now, (from, student), fate) else { return (Taken::Late, None) };
        let took = now.since(asked);
        let Some(logits) = logits else {
            self.hurry(part, Loss::BadAnswer);
            return (Taken::Bad, Some(took));
        };
        let is_settled = self.mode != Mode::Verify || self.parts[part].decided;
        let state = &mut self.parts[part];
        if let Some(first) = state.replies.first_mut().filter(|_| is_settled) {
            if self.bugs.has(Bug::DoubleMerge) {
                first.logits = merge(&first.logits, [logits.as_slice()]);
            }
            return (Taken::Late, Some(took));
        }
        state.replies.push(Reply { logits, student, replica: from, after: now.since(self.started), run });
        if self.mode == Mode::Verify {
            self.count_votes(now, part);
        }
        (Taken::Used, Some(took))
    }

    /// Mode `verify`: once a majority agrees, the rest is waited for as long again.
    fn count_votes(&mut self, now: Instant, part: usize) {
        let (state, waiting) = (&self.parts[part], |student: Digest| self.waiting(part, student));
        let Some(student) = state.replies.last().map(|reply| reply.student) else { return };
        let answered = state.replies.iter().filter(|reply| reply.student == student).count();
        let is_decided = votes::is_decided(&self.votes(part), student, answered + waiting(student));
        if state.due.is_none() && is_decided {
            self.parts[part].due = Some(now + now.since(self.started));
        }
    }

    /// Mode `verify`: those parts are decided whose rest was waited for long enough.
    pub(super) fn stop_waiting(&mut self, now: Instant) {
        if self.mode == Mode::Verify {
            for state in self.parts.iter_mut().filter(|state| state.due.is_some_and(|due| due <= now)) {
                (state.decided, state.due) = (true, None);
            }
        }
    }

    fn votes(&self, part: usize) -> Vec<Vote<'_>> {
        let replies = self.parts[part].replies.iter();
        replies.map(|reply| Vote { student: reply.student, logits: &reply.logits }).collect()
    }

    /// How many are being waited for with that student.
    fn waiting(&self, part: usize, student: Digest) -> usize {
        self.attempts.waiting_for(part).filter(|(_, of)| *of == student).count()
    }

    /// Whether the refusal was news.
    pub(super) fn refuse(&mut self, now: Instant, (from, student): (NodeId, Digest), reason: Refusal) -> bool {
        let Some((part, _)) = self.attempts.finish(now, (from, student), Fate::Failed) else { return false };
        if reason == Refusal::Overloaded {
            self.overloaded.insert(part);
        }
        self.hurry(part, Loss::Refusal);
        true
    }

    /// The link to the peer broke.
    pub(super) fn lose(&mut self, peer: NodeId) {
        self.attempts.lose(peer).into_iter().for_each(|part| self.hurry(part, Loss::Link));
    }

    /// Follows a new routing of the same bundle; one of another is for when this one cannot be completed.
    pub(super) fn reroute(&mut self, routing: &Arc<Routing>) {
        if routing.bundle != self.routing.bundle && !self.bugs.has(Bug::MixBundles) {
            self.next = Some(Arc::clone(routing));
            return;
        }
        self.next = None;
        assert_eq!(routing.parts.len(), self.parts.len(), "a bundle's number of parts never changes");
        self.routing = Arc::clone(routing);
        self.attempts.reroute(routing).into_iter().for_each(|part| self.hurry(part, Loss::Routing));
    }

    /// Tells each device that has work left, but none that is of use, to drop it.
    pub(super) fn cancel_needless(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        let (parts, mode) = (&self.parts, self.mode);
        let given_up = self.attempts.cancel_all_but(now, |part| parts[part].is_of_use(mode));
        self.give_up(given_up, out);
    }

    /// Tells every device that has work left to drop it.
    pub(super) fn cancel_all(&mut self, now: Instant, out: &mut VecDeque<Output>) {
        let given_up = self.attempts.cancel_all_but(now, |_| false);
        self.give_up(given_up, out);
    }

    fn give_up(&mut self, waits: Vec<(Route, Duration)>, out: &mut VecDeque<Output>) {
        let told: BTreeSet<NodeId> = waits.iter().map(|(route, _)| route.replica).collect();
        self.in_vain.extend(waits);
        let message = Message::Cancel { request: self.id };
        out.extend(told.into_iter().map(|to| Output::Send { to, message: message.clone(), blob: Blob::default() }));
    }

    /// Waits that were given up since it was asked last.
    pub(super) fn take_in_vain(&mut self) -> Vec<(Route, Duration)> {
        std::mem::take(&mut self.in_vain)
    }

    /// When its state calls for something, short of the deadline.
    pub(super) fn due(&self) -> Option<Instant> {
        let open = |part: &usize| match self.mode {
            Mode::All => false,
            Mode::Hedged => self.lacks(*part) && self.has_fresh(*part),
            Mode::Verify => self.is_of_use(*part),
        };
        (0..self.parts.len()).filter(open).filter_map(|part| self.parts[part].due).min()
    }

    /// Whether and how the request is to end now.
    pub(super) fn ending(&self, now: Instant) -> Option<Ending> {
        let expected = (0..self.parts.len()).any(|part| self.is_awaited(part));
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
                let lacking = self.overloaded.iter().any(|&part| self.lacks(part));
                // Nobody will plan for a bundle that is not served any more.
                let abandoned = self.next.is_some().then_some(Ending::NoReplica);
                if lacking { Some(Ending::Overloaded) } else { abandoned }
            }
        }
    }

    /// Whether the part has no answer yet.
    fn lacks(&self, part: usize) -> bool {
        !self.parts[part].is_answered()
    }

    /// Whether an answer for the part would be used.
    fn is_of_use(&self, part: usize) -> bool {
        self.parts[part].is_of_use(self.mode)
    }

    /// Whether the request waits for an answer of the part: one that would be used is expected, and if the part has one already, one
    /// that another can be compared with.
    fn is_awaited(&self, part: usize) -> bool {
        if self.lacks(part) {
            return self.attempts.is_expected(part);
        }
        let compares = |student: Digest| {
            let answered = self.parts[part].replies.iter().filter(|reply| reply.student == student).count();
            answered + self.waiting(part, student) > 1
        };
        self.is_of_use(part) && self.attempts.waiting_for(part).any(|(_, student)| compares(student))
    }

    /// Jobs that the replica owes this request, asked for after `since`.
    pub(super) fn owed_since(&self, replica: NodeId, since: Instant) -> usize {
        self.attempts.owed_since(replica, since)
    }

    /// Who owes this request a job; once for each.
    pub(super) fn owing(&self) -> impl Iterator<Item = NodeId> {
        self.attempts.owing()
    }

    /// Who may still be asked for a part that lacks, or owes it; once for each.
    pub(super) fn helpers(&self) -> impl Iterator<Item = NodeId> {
        let lacking = (0..self.parts.len()).filter(|&part| self.mode == Mode::Hedged && self.lacks(part));
        self.owing().chain(lacking.flat_map(|part| self.fresh(part)).map(|route| route.replica))
    }

    /// Whether too few parts can be had in time, if `is_late` tells which replica will be late with its next job. A part that
    /// nobody is asked for may come with another routing.
    pub(super) fn is_hopeless(&self, is_late: impl Fn(NodeId) -> bool) -> bool {
        let is_lost = |part: usize| {
            self.lacks(part)
                && self.attempts.is_expected(part)
                && self.attempts.waiting_for(part).all(|(replica, _)| is_late(replica))
                && (self.mode != Mode::Hedged || self.fresh(part).all(|route| is_late(route.replica)))
        };
        let lost = (0..self.parts.len()).filter(|&part| is_lost(part)).count();
        self.parts.len() - lost < self.min_parts
    }

    /// Who was asked for a part, at least so long before the deadline, whose answer would be of use, and has said nothing.
    pub(super) fn silent(&self, for_at_least: Duration) -> BTreeSet<NodeId> {
        let deadline = self.deadline;
        self.attempts.silent(|asked| deadline.since(asked) >= for_at_least, |part| self.is_of_use(part))
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
        self.parts.iter().filter(|part| part.is_answered()).count()
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
