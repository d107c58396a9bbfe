//! Replicas that die, vanish, refuse or talk nonsense.

use super::driver::{Story, ask, cancel, id, node, student};
use super::*;
use crate::id::{Digest, PartId};
use crate::inference::{Fate, Loss};

#[test]
fn one_dead_replica_costs_nothing_while_another_answers() {
    let mut story = Story::with(&[&[1, 2], &[3]]);
    story.request(7, 2);
    story.take_sent();
    story.link_down(1);
    assert_eq!(story.take_sent(), [], "2 has been asked already");
    story.partial(3, 1, [1.0, 1.0]);
    story.partial(2, 0, [1.0, 1.0]);
    assert!(!story.answer_of(7).is_degraded());
    assert_eq!(story.coordinator.counters().failovers, 0);
}

#[test]
fn with_a_whole_group_dead_the_answer_is_degraded_at_once_and_names_the_part() {
    let mut story = Story::with(&[&[1], &[2, 3]]);
    story.request(7, 1);
    story.partial(1, 0, [1.0, 1.0]);
    story.link_down(2);
    assert!(story.answers.is_empty(), "3 may still answer");
    story.link_down(3);
    assert_eq!(story.answer_of(7).missing, [PartId(1)]);
    assert_eq!(story.answer_of(7).logits, [1.5, 0.5]);
    assert_eq!(story.outcomes(), [Outcome::Degraded]);
}

#[test]
fn a_part_without_any_replica_does_not_hold_up_the_others() {
    let mut story = Story::with(&[&[1], &[]]);
    story.request(7, 1);
    story.partial(1, 0, [1.0, 1.0]);
    assert_eq!(story.answer_of(7).missing, [PartId(1)]);
}

#[test]
fn with_too_few_parts_a_request_waits_for_a_new_routing_until_its_deadline() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 2);
    story.partial(1, 0, [1.0, 1.0]);
    story.link_down(2);
    story.take_sent();
    assert!(story.answers.is_empty(), "a re-plan may come");

    story.after_ms(500).routing_is(&[&[1], &[4]]);
    assert_eq!(story.take_sent(), [(node(4), ask(0, vec![student(1)], 1500))]);
    story.partial(4, 1, [1.0, 1.0]);
    assert!(!story.answer_of(7).is_degraded());
}

#[test]
fn with_too_few_parts_and_nobody_left_the_deadline_says_that_there_is_no_replica() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 2);
    story.partial(1, 0, [1.0, 1.0]);
    story.link_down(2);
    assert_eq!(story.coordinator.poll_timeout().unwrap().0, story.now + Duration::from_secs(2));
    story.after_ms(2_000).tick();
    assert_eq!(story.error_of(7), RequestError::NoReplica { served: 1, min_parts: 2 });
    assert_eq!(story.evidence, [], "the broken link has spoken for itself");
}

#[test]
fn silent_replicas_end_in_a_deadline_error_and_are_reported() {
    let mut story = Story::with(&[&[1], &[2, 3]]);
    story.request(7, 2);
    story.partial(1, 0, [1.0, 1.0]);
    story.take_sent();
    story.after_ms(2_000).tick();
    assert_eq!(story.error_of(7), RequestError::Deadline { served: 1, min_parts: 2 });
    assert_eq!(story.evidence, [(node(2), FailureReason::Silent), (node(3), FailureReason::Silent)]);
    assert_eq!(story.take_sent(), [(node(2), cancel(0)), (node(3), cancel(0))]);
}

#[test]
fn at_the_deadline_enough_parts_make_a_degraded_answer() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 1);
    story.partial(1, 0, [1.0, 1.0]);
    story.after_ms(1_999).tick();
    assert!(story.answers.is_empty());
    story.after_ms(1).tick();
    assert_eq!(story.answer_of(7).missing, [PartId(1)]);
}

#[test]
fn a_short_deadline_brings_nobody_into_disrepute() {
    let mut story = Story::with(&[&[1]]);
    let request = Request {
        input: Blob::from_floats(&[0.0, 0.0]),
        deadline: Duration::from_millis(499),
        min_parts: 1,
        mode: None,
    };
    story.handle(Input::Request { client: ClientId(7), request });
    story.after_ms(499).tick();
    assert_eq!(story.outcomes(), [Outcome::Deadline]);
    assert_eq!(story.evidence, []);
}

#[test]
fn a_lost_link_fails_over_to_a_replica_that_was_not_asked_yet() {
    let mut story = Story::with(&[&[1], &[1]]);
    story.request(7, 1);
    story.routing_is(&[&[1, 2], &[1, 2]]);
    story.take_sent();
    assert_eq!(story.coordinator.counters().failovers, 0, "1 is still expected to answer");

    story.link_down(1);
    assert_eq!(story.take_sent(), [(node(2), ask(0, vec![student(0), student(1)], 2000))]);
    assert_eq!(story.coordinator.counters().failovers, 2);
    let failover = |part| Event::Failover { request: id(0), part: PartId(part), to: node(2), loss: Loss::Link };
    assert_eq!(story.events, [failover(0), failover(1)]);
    story.partial(2, 0, [1.0, 1.0]);
    story.partial(2, 1, [1.0, 1.0]);
    assert!(!story.answer_of(7).is_degraded());
}

#[test]
fn a_refusal_fails_over_too_and_the_refuser_is_not_asked_again() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 1);
    story.routing_is(&[&[1, 2]]);
    story.take_sent();
    story.refuse(1, 0, Refusal::NotLoaded);
    assert_eq!(story.take_sent(), [(node(2), ask(0, vec![student(0)], 2000))]);
    story.refuse(2, 0, Refusal::Failed);
    story.routing_is(&[&[1, 2]]);
    assert_eq!(story.take_sent(), []);
    assert_eq!(story.evidence, [(node(2), FailureReason::StudentFailed)]);
    story.refuse(2, 0, Refusal::Failed);
    assert_eq!(story.coordinator.counters().late, 1);
    assert_eq!(story.evidence.len(), 1, "said once");
}

#[test]
fn a_suspected_replica_counts_as_failed_but_its_late_answer_is_taken() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 1);
    story.routing_is(&[&[], &[2]]);
    story.partial(1, 0, [1.0, 1.0]);
    story.partial(2, 1, [1.0, 1.0]);
    assert!(!story.answer_of(7).is_degraded());

    story.routing_is(&[&[1], &[2]]);
    story.request(8, 1);
    story.routing_is(&[&[], &[2]]);
    story.partial_for(1, 2, student(1), [1.0, 1.0]);
    assert_eq!(story.answer_of(8).missing, [PartId(0)], "nobody waits for a suspect");
}

#[test]
fn a_lost_replica_that_is_routed_to_again_is_asked_again() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 1);
    story.link_down(1);
    story.take_sent();
    story.routing_is(&[&[]]);
    story.after_ms(100).routing_is(&[&[1]]);
    assert_eq!(story.take_sent(), [(node(1), ask(0, vec![student(0)], 1900))]);
    story.partial(1, 0, [1.0, 1.0]);
    assert!(!story.answer_of(7).is_degraded());
}

#[test]
fn a_broken_link_is_not_asked_through_before_a_routing_says_it_is_back() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 1);
    story.take_sent();
    story.link_down(1);
    story.link_down(1);
    assert_eq!(story.take_sent(), []);
}

#[test]
fn an_unusable_answer_counts_as_a_refusal_and_is_reported() {
    let cases = [
        Blob::from_floats(&[1.0]),
        Blob::from_floats(&[1.0, 2.0, 3.0]),
        Blob::from_floats(&[1.0, f32::NAN]),
        Blob::from_floats(&[1.0, f32::NEG_INFINITY]),
        Blob::from_floats(&[1.0, 2e30]),
        Blob::from(vec![0; 7]),
        Blob::default(),
    ];
    for blob in cases {
        let mut story = Story::with(&[&[1, 2]]);
        story.request(7, 1);
        story.raw_partial(0, 1, student(0), blob.clone());
        assert_eq!(story.evidence, [(node(1), FailureReason::BadAnswer)], "{blob:?}");
        assert!(story.answers.is_empty());
        story.partial(2, 0, [1.0, 1.0]);
        assert!(!story.answer_of(7).is_degraded());
    }
}

#[test]
fn answers_that_nobody_asked_for_are_ignored_and_counted() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 1);
    story.partial(1, 1, [9.0, 9.0]);
    story.partial(9, 0, [9.0, 9.0]);
    story.partial_for(5, 1, student(0), [9.0, 9.0]);
    let stranger = RequestId { generation: Generation(2), ..id(0) };
    let message =
        Message::Partial { request: stranger, student: student(0), epoch: None, run: Duration::ZERO, queue: 0 };
    story.handle(Input::Message { from: node(1), message, blob: Blob::from_floats(&[9.0, 9.0]) });
    assert_eq!(story.coordinator.counters().late, 4);
    story.handle(Input::Message { from: node(1), message: cancel(0), blob: Blob::default() });
    assert_eq!(story.coordinator.counters().unexpected, 1);

    story.partial(1, 0, [1.0, 1.0]);
    story.partial(2, 1, [1.0, 1.0]);
    assert_eq!(story.answer_of(7).logits, [2.5, 1.5]);
}

#[test]
fn a_request_that_cannot_be_completed_when_another_bundle_is_served_begins_anew_on_that_one() {
    for lost_first in [true, false] {
        let mut story = Story::with(&[&[1], &[2]]);
        story.request(7, 2);
        story.partial(1, 0, [9.0, 9.0]);
        story.take_sent();
        story.bundle = Digest([99; 32]);
        if lost_first {
            story.link_down(2);
            story.after_ms(500).routing_is(&[&[3], &[4]]);
        } else {
            story.routing_is(&[&[3], &[4]]);
            assert_eq!(story.take_sent(), [], "2 may still answer");
            story.after_ms(500).link_down(2);
        }
        let asked: Vec<_> = story.take_sent().into_iter().map(|(to, _)| to).collect();
        assert_eq!(asked, [node(3), node(4)]);
        story.partial(2, 1, [7.0, 7.0]);
        story.partial(3, 0, [1.0, 1.0]);
        assert!(story.answers.is_empty(), "nothing of the old bundle counts");
        story.partial(4, 1, [2.0, 2.0]);
        let answer = story.answer_of(7);
        assert_eq!((answer.bundle, answer.logits, answer.missing), (story.bundle, vec![3.5, 2.5], vec![]));
        assert_eq!(story.coordinator.counters().restarts, 1);
    }
}

#[test]
fn a_request_that_neither_bundle_can_answer_ends_at_once() {
    let mut story = Story::with(&[&[1], &[2]]);
    story.request(7, 2);
    story.link_down(2);
    story.partial(1, 0, [1.0, 1.0]);
    assert!(story.answers.is_empty(), "a re-plan may come");
    story.bundle = Digest([99; 32]);
    story.routing_is(&[&[1], &[]]);
    assert_eq!(story.error_of(7), RequestError::NoReplica { served: 1, min_parts: 2 });
}

#[test]
fn an_answer_says_what_became_of_every_replica_that_was_asked() {
    let mut story = Story::with(&[&[1, 2, 3, 4, 5], &[4]]);
    story.request(7, 1);
    story.after_ms(5).link_down(1);
    story.after_ms(5).refuse(2, 0, Refusal::NotLoaded);
    story.after_ms(5).partial(3, 0, [1.0, 1.0]);
    story.after_ms(5).partial(4, 0, [1.0, 1.0]);
    story.after_ms(5).partial(4, 1, [1.0, 1.0]);
    let ms = |time: Duration| time.as_millis();
    let tries: Vec<_> = story.answer_of(7).tries;
    let mut told: Vec<_> = tries.iter().map(|t| (t.part.0, t.replica, t.ended.map(ms), t.fate)).collect();
    told.sort_by_key(|(part, replica, ..)| (*part, *replica));
    assert_eq!(
        told,
        [
            (0, node(1), None, Fate::Lost),
            (0, node(2), Some(10), Fate::Failed),
            (0, node(3), Some(15), Fate::Answered),
            (0, node(4), Some(20), Fate::Answered),
            (0, node(5), Some(15), Fate::Cancelled),
            (1, node(4), Some(25), Fate::Answered),
        ]
    );
    assert!(tries.iter().all(|t| t.asked == Duration::ZERO));
}
