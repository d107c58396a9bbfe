//! Bad requests, and too many of them.

use super::driver::Story;
use super::*;

#[test]
fn nothing_is_served_before_there_is_a_routing() {
    let mut story = Story::without_routing();
    story.request(7, 1);
    assert_eq!(story.error_of(7), RequestError::NotServing);
    assert_eq!(story.outcomes(), [Outcome::NotServing]);
}

#[test]
fn a_bad_request_is_refused_before_anybody_is_asked() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 2);
    assert!(matches!(story.error_of(7), RequestError::BadInput(text) if text.contains("min_parts is 2")));
    assert_eq!(story.outcomes(), [Outcome::BadInput]);
    assert_eq!(story.take_sent(), []);
}

#[test]
fn one_request_too_many_is_refused_at_once_with_a_time_to_retry() {
    let mut story = Story::with(&[&[1]]);
    for client in 0..5 {
        story.request(client, 1);
    }
    assert_eq!(story.coordinator.open_requests(), 4);
    assert_eq!(story.error_of(4), RequestError::Overloaded { retry_after: RETRY_AFTER_FIRST });

    story.after_ms(40).partial(1, 0, [1.0, 1.0]);
    assert!(!story.answer_of(0).is_degraded());
    story.request(5, 1);
    story.request(6, 1);
    assert_eq!(story.error_of(6), RequestError::Overloaded { retry_after: Duration::from_millis(40) });

    story.after_ms(1_950).request(8, 1);
    assert_eq!(
        story.error_of(8),
        RequestError::Overloaded { retry_after: Duration::from_millis(10) },
        "at the next deadline a place is free"
    );
}

#[test]
fn if_replicas_refuse_for_overload_and_too_few_parts_are_left_the_client_is_told_at_once() {
    let mut story = Story::with(&[&[1], &[2, 3]]);
    story.request(7, 2);
    story.partial(1, 0, [1.0, 1.0]);
    story.refuse(2, 1, Refusal::Overloaded);
    assert!(story.answers.is_empty(), "3 may have room");
    story.refuse(3, 1, Refusal::Overloaded);
    assert!(matches!(story.error_of(7), RequestError::Overloaded { .. }));
    assert_eq!(story.evidence, [], "who is busy is not dead");
}

#[test]
fn an_overload_that_cost_no_part_does_not_end_a_request() {
    let mut story = Story::with(&[&[1, 2], &[3]]);
    story.request(7, 2);
    story.refuse(1, 0, Refusal::Overloaded);
    story.partial(2, 0, [1.0, 1.0]);
    story.link_down(3);
    assert!(story.answers.is_empty(), "a re-plan may come");
}

#[test]
fn the_next_deadline_is_the_time_to_call_again() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 1);
    story.after_ms(100).request(8, 1);
    let (at, _) = story.coordinator.poll_timeout().unwrap();
    assert_eq!(at.since(story.now), Duration::from_millis(1_900));
}

#[test]
fn a_request_whose_turn_would_come_too_late_is_refused_at_once_and_taken_when_the_queue_is_shorter() {
    let mut story = Story::with(&[&[1]]);
    story.request(7, 1);
    story.paced_partial(0, (1, 0), 500, 5);
    story.take_sent();
    story.request(8, 1);
    assert_eq!(story.error_of(8), RequestError::Overloaded { retry_after: Duration::from_millis(500) });
    assert_eq!(story.take_sent(), [], "nobody is asked");
    story.after_ms(1_000).request(9, 1);
    assert_eq!(story.coordinator.open_requests(), 1, "three are left before it");
}

#[test]
fn what_was_asked_since_the_last_answer_counts_and_what_is_over_does_not() {
    let mut story = Story::with(&[&[1]]);
    story.request(0, 1);
    story.paced_partial(0, (1, 0), 1_000, 0);
    story.after_ms(1);
    for client in 1..=3 {
        story.request(client, 1);
    }
    assert_eq!(story.coordinator.open_requests(), 2, "the third would wait for two seconds");
    assert!(matches!(story.error_of(3), RequestError::Overloaded { .. }));
    story.handle(Input::CancelRequest { client: ClientId(2) });
    story.request(4, 1);
    assert_eq!(story.coordinator.open_requests(), 2);
}

#[test]
fn one_replica_that_is_free_or_not_known_yet_is_enough_for_a_part_and_min_parts_for_a_request() {
    let mut story = Story::with(&[&[1, 2], &[1]]);
    story.request(0, 2);
    story.paced_partial(0, (1, 0), 500, 9);
    story.paced_partial(0, (1, 1), 500, 9);
    story.request(1, 1);
    assert_eq!(story.coordinator.open_requests(), 1, "part 0 may come from 2");
    story.request(2, 2);
    assert!(matches!(story.error_of(2), RequestError::Overloaded { .. }), "part 1 cannot come in time");
    story.link_down(1);
    story.request(3, 2);
    assert_eq!(story.coordinator.open_requests(), 2, "what was heard of it is forgotten with it");
}

#[test]
fn what_was_taken_before_the_pace_was_known_is_refused_as_soon_as_it_is_hopeless() {
    let mut story = Story::with(&[&[1]]);
    for client in 0..4 {
        story.request(client, 1);
    }
    story.after_ms(900).paced_partial(0, (1, 0), 900, 3);
    assert!(matches!(story.error_of(3), RequestError::Overloaded { .. }), "two runs of 900 ms do not fit into 1,100");
    assert_eq!(story.coordinator.open_requests(), 2, "one does");
}
