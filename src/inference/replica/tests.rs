//! Stories of a replica: node 0 with students 1 and 2, which take two floats; coordinators are 0 and up.

use proptest::prelude::*;

use super::*;
use crate::id::{Generation, Term};

fn node(id: u8) -> NodeId {
    NodeId([id; 32])
}

fn student(id: u8) -> Digest {
    Digest([id; 32])
}

fn request(coordinator: u8, counter: u64) -> RequestId {
    RequestId { coordinator: node(coordinator), generation: Generation(1), counter }
}

/// What the queue did, in words that are easy to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Did {
    Run(u64, u8),
    Answer { to: u8, counter: u64, student: u8, queue: u16 },
    Refuse { to: u8, counter: u64, student: u8, reason: Refusal },
    StudentFailed(u8),
}

struct Story {
    queue: ReplicaQueue,
    now: Instant,
    did: Vec<Did>,
}

impl Story {
    fn new() -> Self {
        Self::with(Config { workers: 1, queue_max: 4, queue_per_peer_max: 3 })
    }

    fn with(config: Config) -> Self {
        let mut story = Self { queue: ReplicaQueue::new(config), now: Instant::ZERO, did: Vec::new() };
        story.ready(&[1, 2]);
        story
    }

    fn ready(&mut self, students: &[u8]) {
        let epoch = Some(Epoch { term: Term(4), leader: node(1), sequence: 2 });
        let students = students.iter().map(|&id| (student(id), 2)).collect();
        self.handle(Input::Ready { epoch, students });
    }

    fn ask(&mut self, from: u8, counter: u64, students: &[u8]) {
        self.ask_within(from, counter, students, 1_000);
    }

    fn ask_within(&mut self, from: u8, counter: u64, students: &[u8], remaining_ms: u64) {
        let message = Message::Ask {
            request: request(from, counter),
            bundle: Digest([9; 32]),
            students: students.iter().map(|&id| student(id)).collect(),
            remaining: Duration::from_millis(remaining_ms),
        };
        self.message(from, message, Blob::from_floats(&[1.0, 2.0]));
    }

    fn cancel(&mut self, from: u8, counter: u64) {
        self.message(from, Message::Cancel { request: request(from, counter) }, Blob::default());
    }

    fn done(&mut self, job: u64) {
        let result = Ok(Blob::from_floats(&[1.0]));
        self.handle(Input::JobDone { job: JobId(job), result, run: Duration::from_millis(7) });
    }

    fn message(&mut self, from: u8, message: Message, blob: Blob) {
        self.handle(Input::Message { from: node(from), message, blob });
    }

    fn handle(&mut self, input: Input) {
        self.queue.handle(self.now, input);
        while let Some(output) = self.queue.poll_output() {
            self.did.push(match output {
                Output::Run { job, student, input } => {
                    assert_eq!(input.len(), 8);
                    Did::Run(job.0, student.0[0])
                }
                Output::Send { to, message: Message::Partial { request, student, epoch, run, queue }, blob } => {
                    assert_eq!((request.coordinator, epoch.unwrap().term), (to, Term(4)));
                    assert_eq!((run, blob.len()), (Duration::from_millis(7), 4));
                    Did::Answer { to: to.0[0], counter: request.counter, student: student.0[0], queue }
                }
                Output::Send { to, message: Message::Refuse { request, student, reason }, .. } => {
                    Did::Refuse { to: to.0[0], counter: request.counter, student: student.0[0], reason }
                }
                Output::Event(Event::StudentFailed { student, .. }) => Did::StudentFailed(student.0[0]),
                other @ (Output::Send { .. } | Output::Event(_)) => panic!("a replica does not do this: {other:?}"),
            });
        }
    }

    fn take(&mut self) -> Vec<Did> {
        std::mem::take(&mut self.did)
    }
}

#[test]
fn students_of_one_request_run_one_after_another_and_each_answer_goes_out_as_it_is_there() {
    let mut story = Story::new();
    story.ask(5, 1, &[1, 2]);
    assert_eq!(story.take(), [Did::Run(0, 1)]);
    story.done(0);
    assert_eq!(story.take(), [Did::Answer { to: 5, counter: 1, student: 1, queue: 1 }, Did::Run(1, 2)]);
    story.done(1);
    assert_eq!(story.take(), [Did::Answer { to: 5, counter: 1, student: 2, queue: 0 }]);
}

#[test]
fn as_many_jobs_run_at_once_as_there_are_workers_first_in_first_out() {
    let mut story = Story::with(Config { workers: 2, ..Config::default() });
    for counter in 0..4 {
        story.ask(5, counter, &[1]);
    }
    assert_eq!(story.take(), [Did::Run(0, 1), Did::Run(1, 1)]);
    assert_eq!((story.queue.running(), story.queue.waiting()), (2, 2));
    story.done(1);
    let told = Did::Answer { to: 5, counter: 1, student: 1, queue: 1 };
    assert_eq!(story.take(), [told, Did::Run(2, 1)], "two that wait, for two workers, are one turn");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let mut story = Story::new();
    for from in 1..=5 {
        story.ask(from, 0, &[1]);
    }
    story.take();
    story.ask(6, 0, &[1, 2]);
    let refuse = |student| Did::Refuse { to: 6, counter: 0, student, reason: Refusal::Overloaded };
    assert_eq!(story.take(), [refuse(1), refuse(2)]);
    assert_eq!(story.queue.counters().refused, 2);
}

#[test]
fn one_peer_cannot_take_every_place() {
    let mut story = Story::new();
    for counter in 0..5 {
        story.ask(1, counter, &[1]);
    }
    assert_eq!(
        story.take(),
        [Did::Run(0, 1), Did::Refuse { to: 1, counter: 4, student: 1, reason: Refusal::Overloaded }]
    );
    story.ask(2, 0, &[1]);
    assert_eq!(story.take(), [], "there is a place for another peer");
}

#[test]
fn what_has_expired_is_dropped_before_it_runs_and_makes_room() {
    let mut story = Story::new();
    story.ask(1, 0, &[1]);
    for counter in 1..=3 {
        story.ask_within(1, counter, &[1], 10);
    }
    story.take();
    story.now = story.now + Duration::from_millis(10);
    story.ask(1, 4, &[1]);
    story.done(0);
    assert_eq!(story.take(), [Did::Answer { to: 1, counter: 0, student: 1, queue: 1 }, Did::Run(1, 1)]);
    assert_eq!(story.queue.counters().expired, 3);

    story.ask_within(1, 5, &[1], 10);
    story.now = story.now + Duration::from_millis(11);
    story.done(1);
    assert_eq!(story.take(), [Did::Answer { to: 1, counter: 4, student: 1, queue: 1 }]);
    assert_eq!((story.queue.counters().expired, story.queue.waiting()), (4, 0));
}

#[test]
fn a_cancelled_request_leaves_the_queue_and_a_running_student_finishes_unheard() {
    let mut story = Story::new();
    story.ask(1, 0, &[1, 2]);
    story.ask(2, 0, &[2]);
    story.take();
    story.cancel(1, 0);
    assert_eq!((story.queue.running(), story.queue.waiting()), (1, 1), "what runs is not interrupted");
    story.done(0);
    assert_eq!(story.take(), [Did::Run(1, 2)]);
    assert_eq!(story.queue.counters().cancelled, 2);
}

#[test]
fn nobody_can_ask_or_cancel_in_anothers_name() {
    let mut story = Story::new();
    story.ask(1, 0, &[1]);
    story.ask(1, 1, &[1]);
    story.take();
    story.message(2, Message::Cancel { request: request(1, 1) }, Blob::default());
    let students = vec![student(1)];
    let remaining = Duration::from_secs(1);
    let ask = Message::Ask { request: request(1, 2), bundle: Digest([9; 32]), students, remaining };
    story.message(2, ask, Blob::from_floats(&[1.0, 2.0]));
    assert_eq!((story.queue.waiting(), story.queue.counters().unexpected), (1, 2));
}

#[test]
fn each_refusal_says_why() {
    let mut story = Story::new();
    story.ask(1, 0, &[3]);
    let ask = |students| Message::Ask {
        request: request(1, 1),
        bundle: Digest([9; 32]),
        students,
        remaining: Duration::from_secs(1),
    };
    story.message(1, ask(vec![student(2)]), Blob::from_floats(&[1.0]));
    story.ask(1, 2, &[1]);
    story.handle(Input::JobDone { job: JobId(0), result: Err("no such tensor".to_owned()), run: Duration::ZERO });
    let refuse = |counter, student, reason| Did::Refuse { to: 1, counter, student, reason };
    assert_eq!(
        story.take(),
        [
            refuse(0, 3, Refusal::NotLoaded),
            refuse(1, 2, Refusal::BadInput),
            Did::Run(0, 1),
            Did::StudentFailed(1),
            refuse(2, 1, Refusal::Failed),
        ]
    );
    story.message(1, ask(vec![student(1); STUDENTS_PER_ASK_MAX + 1]), Blob::from_floats(&[1.0, 2.0]));
    story.message(
        1,
        Message::Refuse { request: request(0, 0), student: student(1), reason: Refusal::Failed },
        Blob::default(),
    );
    story.done(77);
    assert_eq!((story.take(), story.queue.counters().unexpected), (vec![], 3));
}

#[test]
fn what_waits_for_a_student_that_is_unloaded_is_refused() {
    let mut story = Story::new();
    story.ask(1, 0, &[1, 2]);
    story.take();
    story.ready(&[1]);
    assert_eq!(story.take(), [Did::Refuse { to: 1, counter: 0, student: 2, reason: Refusal::NotLoaded }]);
}

#[test]
fn a_job_that_is_asked_for_again_runs_once() {
    let mut story = Story::new();
    story.ask(1, 0, &[1, 2]);
    story.ask(1, 0, &[1, 2]);
    story.done(0);
    story.done(1);
    assert_eq!((story.queue.waiting(), story.queue.counters().repeated), (0, 2));
    story.take();
    story.ask(1, 0, &[1]);
    assert_eq!(story.take(), [Did::Run(2, 1)], "the answer may have been lost with the link");
}

#[test]
fn a_draining_replica_finishes_what_it_has_and_refuses_the_rest() {
    let mut story = Story::new();
    story.ask(1, 0, &[1, 2]);
    story.handle(Input::Drain);
    story.ask(1, 1, &[1]);
    story.done(0);
    assert!(!story.queue.is_drained());
    story.done(1);
    assert!(story.queue.is_drained());
    assert!(story.take().contains(&Did::Refuse { to: 1, counter: 1, student: 1, reason: Refusal::Draining }));
}

proptest! {
    #[test]
    fn every_job_is_answered_refused_cancelled_expired_or_repeated_and_no_bound_is_passed(
        steps in prop::collection::vec((0..4_u8, 1..4_u8, 0..12_u64, 0..30_u64), 0..150),
    ) {
        let mut story = Story::with(Config { workers: 2, queue_max: 6, queue_per_peer_max: 4 });
        let (mut asked, mut next_done) = (0_u64, 0_u64);
        for (kind, peer, counter, ms) in steps {
            match kind {
                0 | 1 => {
                    asked += 2;
                    story.ask_within(peer, counter, &[1, 2], 20);
                }
                2 => story.cancel(peer, counter),
                _ => story.now = story.now + Duration::from_millis(ms),
            }
            prop_assert!(story.queue.waiting() <= 6 && story.queue.running() <= 2);
            if kind == 3 && story.queue.running() > 0 {
                story.done(next_done);
                next_done += 1;
            }
        }
        while story.queue.running() > 0 {
            story.done(next_done);
            next_done += 1;
        }
        prop_assert_eq!(story.queue.waiting(), 0);
        let answers = story.did.iter().filter(|did| matches!(did, Did::Answer { .. })).count() as u64;
        let Counters { expired, cancelled, repeated, refused, unexpected } = story.queue.counters();
        prop_assert_eq!((answers + expired + cancelled + repeated + refused, unexpected), (asked, 0));
    }
}
