//! Mode `hedged`: the best replica first, the next one when its answer is overdue.

use super::driver::{Story, ask, cancel, node, student};
use super::*;
use crate::id::PartId;

/// Who was asked since the last look.
fn asked(story: &mut Story) -> Vec<NodeId> {
    let is_ask = |(to, message): (NodeId, Message)| matches!(message, Message::Ask { .. }).then_some(to);
    story.take_sent().into_iter().filter_map(is_ask).collect()
}

/// Calls the coordinator when it wants to be called, until something is asked; how long that took, and whom it asked.
fn until_asked(story: &mut Story) -> (u64, Vec<NodeId>) {
    let began = story.now;
    for _ in 0..10 {
        let (at, _) = story.coordinator.poll_timeout().expect("something is waited for");
        story.now = at;
        story.tick();
        let asked = asked(story);
        if !asked.is_empty() {
            return (u64::try_from(story.now.since(began).as_millis()).unwrap(), asked);
        }
    }
    panic!("nobody more is asked");
}

#[test]
fn one_replica_of_each_part_is_asked_and_each_device_at_most_once() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1], &[1], &[2, 3]]);
    story.request(7, 1);
    let sent = story.take_sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[0], (node(1), ask(0, vec![student(0), student(1)], 2000)));
    story.partial(1, 0, [1.0, 1.0]);
    story.partial(1, 1, [1.0, 1.0]);
    let third = if sent[1].0 == node(2) { 2 } else { 3 };
    story.partial(third, 2, [1.0, 1.0]);
    let answer = story.answer_of(7);
    assert_eq!((answer.mode, answer.asked, answer.hedges), (Mode::Hedged, 3, 0));
    assert_eq!(story.coordinator.poll_timeout(), None);
}

#[test]
fn a_silent_replica_is_overdue_after_its_95th_percentile_and_the_next_is_asked_with_what_is_left() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2, 3]]);
    story.request(7, 1);
    let first = asked(&mut story);
    assert_eq!(first.len(), 1);
    let (after, second) = until_asked(&mut story);
    assert_eq!(after, 60, "three times what the cost model expects");
    let (after, third) = until_asked(&mut story);
    assert_eq!(after, 60);
    let all: BTreeSet<NodeId> = first.iter().chain(&second).chain(&third).copied().collect();
    assert_eq!(all.len(), 3, "another one each time");
    assert_eq!(story.coordinator.poll_timeout().unwrap().1, "request deadline", "nobody is left to ask");
    story.partial(third[0].0[0], 0, [1.0, 1.0]);
    assert_eq!((story.answer_of(7).asked, story.answer_of(7).hedges), (3, 2));
    assert_eq!(story.coordinator.counters().hedges, 2);
    assert_eq!(story.take_sent().len(), 2, "the others are told to drop it");
}

#[test]
fn a_late_answer_of_the_first_still_counts_if_it_is_the_first() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2]]);
    story.request(7, 1);
    let first = asked(&mut story)[0];
    let (_, second) = until_asked(&mut story);
    story.after_ms(1).partial(first.0[0], 0, [3.0, 3.0]);
    assert_eq!(story.answer_of(7).parts[0].replica, first);
    assert_eq!(story.take_sent(), [(second[0], cancel(0))]);
}

#[test]
fn what_is_known_of_a_replica_decides_who_is_asked_and_when_the_next_is() {
    let mut story = Story::in_mode(Mode::All, &[&[1, 2]]);
    for counter in 0..20 {
        story.request(counter, 1);
        story.after_ms(10).paced_partial(counter, (2, 0), 9, 0);
    }
    story.mode = Some(Mode::Hedged);
    story.take_sent();
    story.request(99, 1);
    assert_eq!(asked(&mut story), [node(2)], "10 ms and not 20 ms");
    assert_eq!(until_asked(&mut story), (10, vec![node(1)]));
}

#[test]
fn a_replica_that_has_a_queue_is_passed_over_for_one_that_is_slower_and_idle() {
    let mut story = Story::in_mode(Mode::All, &[&[1, 2]]);
    story.request(0, 1);
    story.after_ms(10).paced_partial(0, (2, 0), 9, 0);
    story.request(1, 1);
    story.after_ms(10).paced_partial(1, (2, 0), 9, 4);
    story.mode = Some(Mode::Hedged);
    story.take_sent();
    story.request(2, 1);
    assert_eq!(asked(&mut story), [node(1)], "20 ms and not 10 + 4 × 9 ms");
}

#[test]
fn requests_at_one_moment_spread_over_replicas_that_are_as_good() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2, 3, 4]]);
    (0..4).for_each(|client| story.request(client, 1));
    let asked: BTreeSet<NodeId> = asked(&mut story).into_iter().collect();
    assert_eq!(asked.len(), 4, "who was asked already has a queue");
}

#[test]
fn a_lost_refusing_or_unroutable_replica_gives_the_next_its_turn_at_once() {
    type Loss = fn(&mut Story, u8);
    let losses: [Loss; 4] = [
        |story, replica| story.link_down(replica),
        |story, replica| story.refuse(replica, 0, Refusal::Overloaded),
        |story, replica| story.raw_partial(0, replica, student(0), Blob::from(vec![1])),
        |story, replica| {
            let others: &[u8] = if replica == 1 { &[2] } else { &[1] };
            story.routing_is(&[others]);
        },
    ];
    for lose in losses {
        let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2]]);
        story.request(7, 1);
        let first = asked(&mut story)[0];
        lose(&mut story, first.0[0]);
        assert_eq!(asked(&mut story).len(), 1);
        let other = if first == node(1) { 2 } else { 1 };
        story.partial(other, 0, [1.0, 1.0]);
        assert_eq!((story.answer_of(7).asked, story.answer_of(7).hedges), (2, 1));
    }
}

#[test]
fn if_one_of_two_that_were_asked_is_lost_the_third_has_its_turn_at_once() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2, 3]]);
    story.request(7, 1);
    let first = asked(&mut story)[0];
    until_asked(&mut story);
    story.link_down(first.0[0]);
    assert_eq!(asked(&mut story).len(), 1);
}

#[test]
fn everybody_is_asked_by_half_of_the_deadline_and_early_enough_for_the_slowest() {
    let all = |expected: Duration| {
        let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2, 3, 4]]);
        let mut routing = story.routing(&[&[1, 2, 3, 4]]);
        routing.parts[0].iter_mut().for_each(|route| route.expected = expected);
        story.handle(Input::Routing(routing));
        story.request(7, 1);
        let (began, mut who) = (story.now, asked(&mut story));
        while who.len() < 4 {
            who.extend(until_asked(&mut story).1);
        }
        story.now.since(began).as_micros().div_ceil(1000)
    };
    assert_eq!(all(Duration::from_millis(300)), 1000, "three turns, each a third of half of 2 s");
    assert_eq!(all(Duration::from_millis(500)), 500, "the slowest may need 1.5 s");
    assert_eq!(all(Duration::from_secs(1)), 0, "there is no time to wait");
}

#[test]
fn a_device_that_is_to_run_two_students_is_later_with_the_second_so_that_another_is_asked_for_it() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2], &[1, 2]]);
    story.request(7, 1);
    assert_eq!(asked(&mut story), [node(1), node(2)]);
}

#[test]
fn a_part_that_nobody_answers_is_missing_at_the_deadline_and_the_silent_are_reported() {
    let mut story = Story::in_mode(Mode::Hedged, &[&[1, 2], &[3]]);
    story.request(7, 1);
    story.partial(3, 1, [1.0, 1.0]);
    while story.answers.is_empty() {
        let (at, _) = story.coordinator.poll_timeout().unwrap();
        story.now = at;
        story.tick();
    }
    assert_eq!(story.answer_of(7).missing, [PartId(0)]);
    let mut silent: Vec<NodeId> = story.evidence.iter().map(|(peer, _)| *peer).collect();
    silent.sort_unstable();
    assert_eq!(silent, [node(1), node(2)]);
}
