//! The serving side: what coordinators ask of this node's students, one bounded queue for all of them.
//!
//! First in, first out. Deadlines nearly always differ by nothing but the time of asking, so that the earliest deadline is the
//! first in anyway; and where they do differ, under overload the earliest deadline would prefer what is about to expire (and a
//! peer that claims short ones). Jobs that have expired are dropped before they run, silently: their coordinator has answered.
//! A student that runs is not interrupted. Nothing here needs a timer.

mod interface;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::{Event, Message, Refusal};
use crate::blob::Blob;
use crate::id::{Digest, Epoch, NodeId, RequestId};
use crate::node::JobId;
use crate::queue::Queue;
use crate::time::{Duration, Instant};
pub use interface::{Config, Counters, Input, Output};

/// Students in one [`Message::Ask`] at most; a longer one is ignored and counted. (Ours: far above the parts of any bundle.)
pub const STUDENTS_PER_ASK_MAX: usize = 64;

/// One student to run on one input, for one coordinator.
#[derive(Debug)]
struct Job {
    from: NodeId,
    request: RequestId,
    student: Digest,
    input: Blob,
    deadline: Instant,
}

/// A job on a worker.
#[derive(Debug)]
struct Running {
    from: NodeId,
    request: RequestId,
    student: Digest,
    /// Taken back: its answer is not sent.
    cancelled: bool,
}

/// What waits for this node's students, and what runs.
#[derive(Debug)]
pub struct ReplicaQueue {
    config: Config,
    epoch: Option<Epoch>,
    students: BTreeMap<Digest, usize>,
    queue: VecDeque<Job>,
    running: BTreeMap<JobId, Running>,
    next: u64,
    draining: bool,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl ReplicaQueue {
    /// An empty queue with nothing loaded.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            epoch: None,
            students: BTreeMap::new(),
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            next: 0,
            draining: false,
            counters: Counters::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Message { from, message, blob } => self.message(now, from, message, &blob),
            Input::JobDone { job, result, run } => self.done(job, result, run),
            Input::Ready { epoch, students } => self.ready(epoch, students),
            Input::Drain => self.draining = true,
        }
        self.start(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Jobs that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The same as a queue with its bound.
    pub fn queue(&self) -> Queue {
        Queue::new("waiting runs", self.waiting(), self.config.queue_max)
    }

    /// Jobs that run.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether it was told to drain and has no job left.
    pub fn is_drained(&self) -> bool {
        self.draining && self.queue.is_empty() && self.running.is_empty()
    }

    /// What was dropped or ignored since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn message(&mut self, now: Instant, from: NodeId, message: Message, blob: &Blob) {
        match message {
            Message::Ask { request, students, remaining, .. }
                if request.coordinator == from && students.len() <= STUDENTS_PER_ASK_MAX =>
            {
                for student in students {
                    let job = Job { from, request, student, input: blob.clone(), deadline: now + remaining };
                    self.enqueue(now, job);
                }
            }
            Message::Cancel { request } if request.coordinator == from => self.cancel(request),
            Message::Ask { .. } | Message::Cancel { .. } | Message::Partial { .. } | Message::Refuse { .. } => {
                self.counters.unexpected += 1;
            }
        }
    }

    fn enqueue(&mut self, now: Instant, job: Job) {
        if self.is_known(&job) {
            self.counters.repeated += 1;
        } else if let Some(reason) = self.objection(now, &job) {
            self.refuse(job.from, job.request, job.student, reason);
        } else {
            self.queue.push_back(job);
        }
    }

    /// A coordinator asks again when it has seen the link break, not knowing whether the first message got through.
    fn is_known(&mut self, job: &Job) -> bool {
        let again = |request, student| request == job.request && student == job.student;
        self.queue.iter().any(|other| again(other.request, other.student))
            || self.running.values().any(|other| !other.cancelled && again(other.request, other.student))
    }

    fn objection(&mut self, now: Instant, job: &Job) -> Option<Refusal> {
        if self.draining {
            return Some(Refusal::Draining);
        }
        let Some(elements) = self.students.get(&job.student) else { return Some(Refusal::NotLoaded) };
        if job.input.len() != elements * size_of::<f32>() {
            return Some(Refusal::BadInput);
        }
        (!self.has_room(now, job.from)).then_some(Refusal::Overloaded)
    }

    fn has_room(&mut self, now: Instant, from: NodeId) -> bool {
        let room = |queue: &VecDeque<Job>, config: &Config| {
            queue.len() < config.queue_max
                && queue.iter().filter(|job| job.from == from).count() < config.queue_per_peer_max
        };
        if !room(&self.queue, &self.config) {
            self.drop_expired(now);
        }
        room(&self.queue, &self.config)
    }

    fn drop_expired(&mut self, now: Instant) {
        let before = self.queue.len();
        self.queue.retain(|job| now < job.deadline);
        self.counters.expired += (before - self.queue.len()) as u64;
    }

    fn cancel(&mut self, request: RequestId) {
        let before = self.queue.len();
        self.queue.retain(|job| job.request != request);
        self.counters.cancelled += (before - self.queue.len()) as u64;
        for running in self.running.values_mut().filter(|r| r.request == request && !r.cancelled) {
            running.cancelled = true;
            self.counters.cancelled += 1;
        }
    }

    fn done(&mut self, job: JobId, result: Result<Blob, String>, run: Duration) {
        let Some(Running { from, request, student, cancelled }) = self.running.remove(&job) else {
            self.counters.unexpected += 1;
            return;
        };
        match result {
            Ok(_) if cancelled => {}
            Ok(blob) => {
                let turns = self.queue.len() / self.config.workers.max(1);
                let queue = u16::try_from(turns).unwrap_or(u16::MAX);
                let message = Message::Partial { request, student, epoch: self.epoch, run, queue };
                self.outputs.push_back(Output::Send { to: from, message, blob });
            }
            Err(reason) => {
                self.outputs.push_back(Output::Event(Event::StudentFailed { student, reason }));
                if !cancelled {
                    self.send_refusal(from, request, student, Refusal::Failed);
                }
            }
        }
    }

    fn ready(&mut self, epoch: Option<Epoch>, students: BTreeMap<Digest, usize>) {
        self.epoch = epoch;
        self.students = students;
        let (kept, gone) =
            self.queue.drain(..).partition::<VecDeque<_>, _>(|job| self.students.contains_key(&job.student));
        self.queue = kept;
        for job in gone {
            self.refuse(job.from, job.request, job.student, Refusal::NotLoaded);
        }
    }

    fn refuse(&mut self, to: NodeId, request: RequestId, student: Digest, reason: Refusal) {
        self.counters.refused += 1;
        self.send_refusal(to, request, student, reason);
    }

    fn send_refusal(&mut self, to: NodeId, request: RequestId, student: Digest, reason: Refusal) {
        let message = Message::Refuse { request, student, reason };
        self.outputs.push_back(Output::Send { to, message, blob: Blob::default() });
    }

    /// Fills the workers from the front of the queue.
    fn start(&mut self, now: Instant) {
        while self.running.len() < self.config.workers
            && let Some(Job { from, request, student, input, deadline }) = self.queue.pop_front()
        {
            if deadline <= now {
                self.counters.expired += 1;
                continue;
            }
            let job = JobId(self.next);
            self.next += 1;
            self.running.insert(job, Running { from, request, student, cancelled: false });
            self.outputs.push_back(Output::Run { job, student, input });
        }
    }
}
