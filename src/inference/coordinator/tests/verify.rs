//! Mode `verify`: answers of the same student are compared.

use super::driver::{Story, cancel, node, student};
use super::*;
use crate::id::{Digest, PartId};

const RIGHT: [f32; 2] = [1.0, 2.0];
const WRONG: [f32; 2] = [2.0, 1.0];

fn disagreement(part: u16, replica: u8, outvoted: bool) -> Disagreement {
    Disagreement { part: PartId(part), replica: node(replica), outvoted }
}

#[test]
fn the_answer_waits_until_all_that_can_be_compared_have_answered_and_says_what_was_verified() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2], &[3]]);
    story.request(7, 1);
    story.partial(1, 0, RIGHT);
    story.partial(3, 1, RIGHT);
    assert!(story.answers.is_empty(), "2 is still to be compared with 1");
    story.partial(2, 0, RIGHT);
    let answer = story.answer_of(7);
    assert_eq!((answer.mode, answer.asked), (Mode::Verify, 3));
    assert_eq!(answer.verified, [PartId(0)], "of part 1 there is one replica alone");
    assert_eq!(answer.disagreements, []);
    assert_eq!(answer.logits, [2.5, 3.5], "one answer of each part is added");
}

#[test]
fn a_liar_among_three_is_outvoted_and_named_even_if_it_is_the_first() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2, 3]]);
    story.request(7, 1);
    story.partial(1, 0, WRONG);
    story.partial(2, 0, RIGHT);
    assert!(story.answers.is_empty());
    story.partial(3, 0, RIGHT);
    let answer = story.answer_of(7);
    assert_eq!((answer.logits, answer.parts[0].replica), (vec![1.5, 1.5], node(2)));
    assert_eq!((answer.verified, answer.disagreements), (vec![PartId(0)], vec![disagreement(0, 1, true)]));
    assert_eq!(story.evidence, [(node(1), FailureReason::Outvoted)]);
    let told = |event: &Event| matches!(event, Event::Disagreed { replica, outvoted: true, .. } if *replica == node(1));
    assert!(story.events.iter().any(told));
    assert_eq!(story.coordinator.standing(node(1)), Standing { outvoted: 1, disputed: 0, distrusted: true });
    assert_eq!(story.coordinator.counters().outvoted, 1);
}

#[test]
fn of_two_that_disagree_the_first_counts_both_are_named_and_nobody_is_accused() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2]]);
    story.request(7, 1);
    story.partial(1, 0, WRONG);
    story.partial(2, 0, RIGHT);
    let answer = story.answer_of(7);
    assert_eq!((answer.verified, answer.parts[0].replica), (vec![], node(1)));
    assert_eq!(answer.disagreements, [disagreement(0, 1, false), disagreement(0, 2, false)]);
    assert_eq!(story.evidence, []);
    assert!(!story.coordinator.standing(node(2)).distrusted);
    assert_eq!(story.coordinator.counters().disputed, 2);
}

#[test]
fn once_a_majority_agrees_the_rest_is_waited_for_as_long_again() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2, 3]]);
    story.request(7, 1);
    story.take_sent();
    story.after_ms(30).partial(1, 0, RIGHT);
    story.after_ms(10).partial(2, 0, RIGHT);
    let (at, _) = story.coordinator.poll_timeout().unwrap();
    assert_eq!(at.since(story.now), Duration::from_millis(40));
    story.now = at;
    story.tick();
    assert_eq!(story.answer_of(7).verified, [PartId(0)]);
    assert_eq!(story.take_sent(), [(node(3), cancel(0))]);
}

#[test]
fn a_slow_liar_is_named_if_it_answers_while_the_rest_is_waited_for() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2, 3]]);
    story.request(7, 1);
    story.after_ms(30).partial(1, 0, RIGHT);
    story.partial(2, 0, RIGHT);
    story.after_ms(29).partial(3, 0, WRONG);
    assert_eq!(story.answer_of(7).disagreements, [disagreement(0, 3, true)]);
}

#[test]
fn a_lost_replica_is_not_waited_for_and_at_the_deadline_the_answer_says_that_nothing_was_verified() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2]]);
    story.request(7, 1);
    story.partial(1, 0, RIGHT);
    story.link_down(2);
    assert_eq!(story.answer_of(7).verified, []);

    story.routing_is(&[&[1, 2]]);
    story.request(8, 1);
    story.partial_for(1, 1, student(0), RIGHT);
    story.after_ms(2_000).tick();
    let answer = story.answer_of(8);
    assert_eq!((answer.verified, answer.missing), (vec![], vec![]));
    assert_eq!(story.evidence, [(node(2), FailureReason::Silent)]);
}

#[test]
fn students_of_different_architectures_are_neither_compared_nor_waited_for() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1]]);
    let mut routing = story.routing(&[&[1]]);
    routing.parts[0].push(Route { replica: node(2), student: Digest([200; 32]), expected: driver::EXPECTED });
    story.handle(Input::Routing(routing));
    story.request(7, 1);
    story.partial(1, 0, RIGHT);
    let answer = story.answer_of(7);
    assert_eq!((answer.verified, answer.disagreements), (vec![], vec![]));
}

#[test]
fn who_was_outvoted_is_left_out_by_the_other_modes_for_a_minute_where_the_part_has_another() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2, 3], &[1]]);
    story.request(7, 1);
    story.partial(1, 0, WRONG);
    story.partial(2, 0, RIGHT);
    story.partial(3, 0, RIGHT);
    story.partial(1, 1, RIGHT);
    story.take_sent();
    let mut asked_in = |mode, client| {
        story.mode = Some(mode);
        story.request(client, 1);
        let sent = story.take_sent();
        let of_first =
            |message: &Message| matches!(message, Message::Ask { students, .. } if students.contains(&student(0)));
        let asked: Vec<NodeId> = sent.iter().filter(|(_, m)| of_first(m)).map(|(to, _)| *to).collect();
        let second = sent.iter().any(|(to, _)| *to == node(1));
        story.handle(Input::CancelRequest { client: ClientId(client) });
        story.take_sent();
        (asked, second)
    };
    assert_eq!(asked_in(Mode::All, 8), (vec![node(2), node(3)], true), "of part 1 there is nobody else");
    assert!(!asked_in(Mode::Hedged, 9).0.contains(&node(1)));
    assert_eq!(asked_in(Mode::Verify, 10).0, [node(1), node(2), node(3)], "it is to be compared again");
    let (at, _) = story.coordinator.poll_timeout().unwrap();
    assert_eq!(at.since(story.now), Duration::from_secs(60));
    story.now = at;
    story.tick();
    story.mode = Some(Mode::All);
    story.request(11, 1);
    assert_eq!(story.take_sent().len(), 3, "it is trusted again");
    assert_eq!(story.coordinator.standing(node(1)).outvoted, 1);
}

#[test]
fn who_was_outvoted_and_agrees_again_is_trusted_again() {
    let mut story = Story::in_mode(Mode::Verify, &[&[1, 2, 3]]);
    story.request(7, 1);
    story.partial(1, 0, WRONG);
    story.partial(2, 0, RIGHT);
    story.partial(3, 0, RIGHT);
    story.request(8, 1);
    story.after_ms(10);
    (1..=3).for_each(|replica| story.partial_for(1, replica, student(0), RIGHT));
    assert!(!story.coordinator.standing(node(1)).distrusted);
    story.handle(Input::Gone { peer: node(1) });
    assert_eq!(story.coordinator.standing(node(1)), Standing::default(), "a member that is gone is forgotten");
}
