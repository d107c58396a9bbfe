//! Stories of a coordinator. Its node is 0; replicas are 1 and up; there are two classes and two floats in an input.

mod driver;
mod failures;
mod hedged;
mod laws;
mod limits;
mod verify;

use super::*;
use crate::id::{Digest, PartId};
use crate::inference::{Route, merge};
use driver::{Story, ask, cancel, node, student};

#[test]
fn each_device_is_asked_once_for_all_its_students_with_the_input_and_what_is_left_of_the_deadline() {
    let mut story = Story::with(&[&[1, 2], &[1], &[2, 0]]);
    story.request(7, 1);
    let students = |parts: &[u16]| parts.iter().map(|&part| student(part)).collect::<Vec<_>>();
    assert_eq!(
        story.take_sent(),
        [
            (node(0), ask(0, students(&[2]), 2000)),
            (node(1), ask(0, students(&[0, 1]), 2000)),
            (node(2), ask(0, students(&[0, 2]), 2000)),
        ]
    );
}

#[test]
fn the_first_to_answer_for_each_part_are_asked_first_and_of_them_the_slowest() {
    let mut story = Story::without_routing();
    let mut routing = story.routing(&[&[1, 2], &[3, 4], &[5, 6]]);
    for (part, expected_ms) in [[30, 10], [20, 25], [90, 40]].into_iter().enumerate() {
        for (route, ms) in routing.parts[part].iter_mut().zip(expected_ms) {
            route.expected = Duration::from_millis(ms);
        }
    }
    story.handle(Input::Routing(routing));
    story.request(7, 1);
    let asked: Vec<_> = story.take_sent().into_iter().map(|(to, _)| to).collect();
    assert_eq!(asked, [6, 3, 2, 1, 4, 5].map(node));
}

#[test]
fn with_an_answer_for_every_part_the_request_is_complete_at_once_and_says_who_answered_what_and_when() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 1);
    story.after_ms(3).partial(2, 1, [10.0, 20.0]);
    assert!(story.answers.is_empty());
    story.after_ms(2).partial(1, 0, [1.0, 2.0]);

    let answer = story.answer_of(7);
    assert_eq!(answer.logits, [0.5 + 1.0 + 10.0, -0.5 + 2.0 + 20.0]);
    assert_eq!((answer.missing, answer.bundle, answer.epoch), (vec![], story.bundle, story.epoch));
    let from: Vec<_> = answer.parts.iter().map(|p| (p.part.0, p.replica, p.student, p.after.as_millis())).collect();
    assert_eq!(from, [(0, node(1), student(0), 5), (1, node(2), student(1), 3)]);
    assert_eq!(story.outcomes(), [Outcome::Complete]);
    assert_eq!(story.coordinator.poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn the_first_answer_of_a_part_wins_and_the_others_are_cancelled_and_ignored() {
    let mut story = Story::with(&[&[1, 2], &[3]]);
    story.request(7, 1);
    story.take_sent();

    story.partial(2, 0, [1.0, 1.0]);
    assert_eq!(story.take_sent(), [(node(1), cancel(0))]);
    story.partial(1, 0, [9.0, 9.0]);
    story.partial(3, 1, [0.0, 0.0]);

    assert_eq!(story.answer_of(7).logits, [1.5, 0.5]);
    assert_eq!(story.answer_of(7).parts[0].replica, node(2));
    assert_eq!(story.coordinator.counters().late, 1);
    assert_eq!(story.take_sent(), [], "who has answered is not cancelled");
}

#[test]
fn a_device_is_not_cancelled_while_one_of_its_parts_is_still_open() {
    let mut story = Story::with(&[&[1, 2], &[1]]);
    story.request(7, 1);
    story.take_sent();
    story.partial(2, 0, [1.0, 1.0]);
    assert_eq!(story.take_sent(), [], "1 holds part 1 alone");
    story.partial(1, 1, [1.0, 1.0]);
    assert_eq!(story.take_sent(), [(node(1), cancel(0))]);
    assert_eq!(story.outcomes(), [Outcome::Complete]);
}

#[test]
fn of_two_students_of_one_part_only_the_first_counts() {
    let mut story = Story::with(&[&[1]]);
    let other = Digest([200; 32]);
    let mut routing = story.routing(&[&[1]]);
    routing.parts[0].push(Route { replica: node(1), student: other, expected: driver::EXPECTED });
    story.handle(Input::Routing(routing));
    story.request(7, 1);
    story.partial_of(1, other, [4.0, 4.0]);
    story.partial(1, 0, [1.0, 1.0]);
    assert_eq!(story.answer_of(7).logits, [4.5, 3.5]);
    assert_eq!(story.answer_of(7).parts[0].student, other);
}

#[test]
fn a_cancelled_request_gets_no_answer_and_frees_its_replicas() {
    let mut story = Story::with(&[&[1, 2]]);
    story.request(7, 1);
    story.take_sent();
    story.handle(Input::CancelRequest { client: ClientId(7) });
    assert_eq!(story.take_sent(), [(node(1), cancel(0)), (node(2), cancel(0))]);
    story.partial(1, 0, [1.0, 1.0]);
    story.after_ms(5_000).tick();
    assert!(story.answers.is_empty());
    assert_eq!(story.outcomes(), [Outcome::Cancelled]);
    story.handle(Input::CancelRequest { client: ClientId(7) });
    assert_eq!(story.outcomes(), [Outcome::Cancelled], "a second cancellation is nothing new");
}

#[test]
fn a_draining_coordinator_finishes_what_is_open_and_refuses_the_rest() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 1);
    story.handle(Input::Drain);
    assert!(!story.coordinator.is_drained());
    story.request(8, 1);
    assert_eq!(story.error_of(8), RequestError::Draining);
    story.partial(1, 0, [1.0, 1.0]);
    assert!(!story.answer_of(7).is_degraded());
    assert!(story.coordinator.is_drained());
}

#[test]
fn an_answer_after_the_deadline_changes_nothing_even_if_the_shell_is_late() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 1);
    story.partial(1, 0, [1.0, 1.0]);
    story.after_ms(2_000).partial(2, 1, [5.0, 5.0]);
    let answer = story.answer_of(7);
    assert_eq!((answer.logits, answer.missing), (vec![1.5, 0.5], vec![PartId(1)]));
    assert_eq!(story.outcomes(), [Outcome::Degraded]);
    assert_eq!(story.coordinator.counters().late, 1);
}

#[test]
fn the_parts_of_an_answer_are_from_one_bundle_while_two_are_live() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 1);
    story.partial(1, 0, [1.0, 1.0]);
    story.take_sent();

    let old = story.bundle;
    story.bundle = Digest([99; 32]);
    story.routing_is(&[&[3], &[3]]);
    assert_eq!(story.take_sent(), [], "an open request stays with its bundle");
    story.partial(3, 1, [7.0, 7.0]);
    assert!(story.answers.is_empty(), "3 was not asked");
    story.request(8, 1);
    story.partial(2, 1, [2.0, 2.0]);

    assert_eq!(story.answer_of(7).bundle, old);
    assert_eq!(story.answer_of(7).logits, [3.5, 2.5]);
    story.partial_for(1, 3, student(0), [0.0, 0.0]);
    story.partial_for(1, 3, student(1), [0.0, 0.0]);
    assert_eq!(story.answer_of(8).bundle, story.bundle);
}
