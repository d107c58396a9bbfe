//! One machine by itself, with what others may say to it.

use std::sync::Arc;

use super::fixture::{bundle, capability, id};
use crate::fleet::{Capability, Device};
use crate::id::{Digest, Epoch, Generation, NodeId, Term};
use crate::leadership::change::PlanChange;
use crate::leadership::{
    Claim, Config, EpochPlan, Event, Input, Leadership, Message, Output, Promise, ViewMember, plan_for,
};
use crate::membership::State;
use crate::planner::Group;
use crate::time::{Duration, Instant};

pub(crate) fn member(n: u8) -> ViewMember {
    ViewMember {
        id: id(n),
        generation: Generation(1),
        state: State::Alive,
        priority: 0,
        uptime_class: 0,
        capability: capability(4),
        epoch: None,
        draining: false,
        linked: true,
    }
}

pub(super) fn plan(term: u64, leader: u8, sequence: u64) -> Arc<EpochPlan> {
    let epoch = Epoch { term: Term(term), leader: id(leader), sequence };
    Arc::new(EpochPlan { epoch, bundle: Digest([0; 32]), groups: Vec::new(), feasible: true })
}

fn claim(term: u64, leader: u8) -> Message {
    Message::Claim(Claim { term: Term(term), leader: id(leader), generation: Generation(1) })
}

fn from(n: u8, message: Message) -> Input {
    Input::Message { from: id(n), message }
}

fn outputs(machine: &mut Leadership) -> Vec<Output> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// Device 1 among 1, 2 and 3, with a promise; the view has just been seen.
fn node(durable: Promise) -> (Leadership, Instant) {
    let now = Instant::from_nanos(1);
    let mut machine = Leadership::new(id(1), Config::default(), durable, now);
    machine.handle(now, Input::View(vec![member(1), member(2), member(3)]));
    (machine, now)
}

fn promised(term: u64, plan: Option<Arc<EpochPlan>>) -> Promise {
    Promise { term: Term(term), plan }
}

fn epoch(machine: &Leadership) -> Option<Epoch> {
    machine.plan().map(|p| p.epoch)
}

#[test]
fn a_plan_that_is_not_greater_is_refused_and_answered_with_the_greater() {
    let own = plan(5, 2, 3);
    for stale in [plan(5, 2, 3), plan(5, 2, 2), plan(5, 1, 9), plan(4, 3, 9)] {
        let (mut machine, now) = node(promised(5, Some(own.clone())));
        outputs(&mut machine);
        let is_smaller = stale.epoch < own.epoch;
        machine.handle(now, from(3, Message::Plan(stale)));
        let answer = Output::Send { to: id(3), message: Message::Plan(own.clone()) };
        assert_eq!(outputs(&mut machine), if is_smaller { vec![answer] } else { Vec::new() });
        assert_eq!(machine.counters().plans_stale, 1);
        assert_eq!(epoch(&machine), Some(own.epoch));
    }
}

#[test]
fn a_smaller_claim_is_refused_and_answered_with_the_greater() {
    let (mut machine, now) = node(promised(6, None));
    machine.handle(now, from(3, claim(6, 3)));
    outputs(&mut machine);
    machine.handle(now, from(2, claim(6, 2)));
    assert_eq!(machine.leader(), Some(id(3)));
    assert_eq!(outputs(&mut machine), [Output::Send { to: id(2), message: claim(6, 3) }]);
}

#[test]
fn a_claim_is_followed_and_passed_on_only_once_its_term_is_on_disk() {
    let (mut machine, now) = node(promised(1, None));
    machine.handle(now, from(3, claim(2, 3)));
    assert_eq!(machine.leader(), None);
    assert_eq!(outputs(&mut machine), [Output::Persist(promised(2, None))]);
    machine.handle(now, Input::Persisted);
    assert_eq!(machine.leader(), Some(id(3)));
    assert!(outputs(&mut machine).contains(&Output::Send { to: id(2), message: claim(2, 3) }));
}

#[test]
fn a_plan_is_adopted_only_once_it_is_on_disk_and_not_if_that_fails() {
    let (mut machine, now) = node(promised(1, None));
    let new = plan(2, 3, 1);
    machine.handle(now, from(3, Message::Plan(new.clone())));
    assert_eq!(outputs(&mut machine), [Output::Persist(promised(2, Some(new.clone())))]);
    machine.handle(now, Input::PersistFailed { reason: "full".to_owned() });
    assert_eq!(machine.plan(), None);
    assert_eq!(outputs(&mut machine), [Output::Event(Event::PersistFailed { reason: "full".to_owned() })]);
    let later = now + Duration::from_secs(1);
    assert_eq!(machine.poll_timeout(), Some((later, "write the state")));
    machine.handle_timeout(later);
    let written = outputs(&mut machine);
    assert!(matches!(&written[..], [Output::Persist(promise)] if promise.plan == Some(new.clone())), "{written:?}");
    machine.handle(later, Input::Persisted);
    assert_eq!(machine.plan(), Some(&new));
    assert!(outputs(&mut machine).contains(&Output::Adopted(new)));
}

#[test]
fn terms_that_jump_too_far_are_refused_counted_and_named() {
    let highest = 7;
    let far = highest + (1 << 16) + 1;
    let mut far_member = member(2);
    far_member.epoch = Some(plan(u64::MAX, 2, 1).epoch);
    for input in [
        from(2, claim(far, 2)),
        from(2, Message::Plan(plan(far, 2, 1))),
        Input::View(vec![member(1), far_member, member(3)]),
    ] {
        let (mut machine, now) = node(promised(highest, None));
        machine.handle(now, input);
        assert_eq!(machine.counters().term_jumps_refused, 1);
        let refused = |o: &Output| matches!(o, Output::Event(Event::TermJumpRefused { from, .. }) if *from == id(2));
        let outputs = outputs(&mut machine);
        assert!(outputs.iter().any(refused));
        assert!(!outputs.iter().any(|o| matches!(o, Output::Persist(_))));
    }
    let (mut machine, now) = node(promised(highest, None));
    machine.handle(now, from(2, claim(far - 1, 2)));
    assert_eq!(machine.counters().term_jumps_refused, 0);
}

#[test]
fn a_node_that_has_seen_no_term_takes_any_that_leaves_room_above() {
    let (mut machine, now) = node(Promise::default());
    machine.handle(now, from(3, claim(u64::MAX, 3)));
    assert_eq!(machine.counters().term_jumps_refused, 1);
    machine.handle(now, from(3, claim(1 << 20, 3)));
    machine.handle(now, Input::Persisted);
    assert_eq!(machine.leader(), Some(id(3)));
}

#[test]
fn a_change_of_another_plan_of_the_same_epoch_is_refused_and_all_of_the_plan_is_asked_for() {
    let clones = EpochPlan { bundle: Digest([9; 32]), ..(*plan(5, 2, 3)).clone() };
    let next = EpochPlan { epoch: plan(5, 2, 4).epoch, ..clones.clone() };
    let change = PlanChange::between(&clones, &next).unwrap();
    let (mut machine, now) = node(promised(5, Some(plan(5, 2, 3))));
    machine.handle(now, from(2, Message::Change(Arc::new(change))));
    assert_eq!(outputs(&mut machine), [Output::Send { to: id(2), message: Message::Want { have: None } }]);
    assert_eq!((machine.counters().changes_refused, machine.counters().plans_malformed), (1, 0));
    assert_eq!(epoch(&machine), Some(plan(5, 2, 3).epoch));
}

#[test]
fn a_plan_that_cannot_be_one_is_refused() {
    let group = |part, members: &[u8]| crate::leadership::PlannedGroup {
        part: crate::id::PartId(part),
        student: Digest([1; 32]),
        members: members.iter().map(|n| id(*n)).collect(),
    };
    for groups in [vec![group(1, &[1])], vec![group(0, &[1]), group(0, &[2])], vec![group(0, &[1, 1])]] {
        let (mut machine, now) = node(promised(1, None));
        machine.handle(now, from(2, Message::Plan(Arc::new(EpochPlan { groups, ..(*plan(1, 2, 1)).clone() }))));
        assert_eq!(machine.counters().plans_malformed, 1);
        assert_eq!(outputs(&mut machine), []);
    }
}

#[test]
fn the_plan_that_a_leader_will_make_can_be_told_before_the_bundle_is_deployed() {
    let start = Instant::from_nanos(1);
    let mut machine = Leadership::new(id(4), Config::default(), Promise::default(), start);
    let leaving = ViewMember { draining: true, ..member(1) };
    let down = ViewMember { state: State::Down, ..member(2) };
    let small = ViewMember { capability: capability(1), ..member(3) };
    machine.handle(start, Input::View(vec![leaving, down, small, member(4)]));
    let claimed = start + Duration::from_millis(600);
    machine.handle_timeout(claimed);
    machine.handle(claimed, Input::Persisted);
    assert_eq!(machine.leader(), Some(id(4)));

    let bundle = bundle(2, 10, 1);
    let device = |(id, capability): (NodeId, Capability)| (id, Device { name: id.short(), capability });
    let (ids, devices): (Vec<_>, Vec<_>) = machine.plannable().map(device).unzip();
    assert_eq!(ids, [id(3), id(4)]);
    let told = plan_for(&ids, &devices, &bundle.manifest, machine.asks().0, &[]).unwrap();
    let members = |group: &Group| group.replicas.iter().map(|replica| ids[replica.device]).collect::<Vec<_>>();
    let told: Vec<_> = told.groups.iter().map(members).collect();

    machine.handle(claimed, Input::Bundle { digest: bundle.digest, manifest: bundle.manifest });
    machine.handle(claimed, Input::Persisted);
    let made: Vec<_> = machine.plan().unwrap().groups.iter().map(|group| group.members.clone()).collect();
    assert_eq!(made, told);
}

#[test]
fn the_claim_of_a_leader_not_yet_in_view_counts_as_soon_as_it_is() {
    let (mut machine, now) = node(promised(5, None));
    machine.handle(now, from(2, claim(5, 9)));
    assert_eq!(machine.leader(), None);
    machine.handle(now, Input::View(vec![member(1), member(2), member(9)]));
    assert_eq!(machine.leader(), Some(id(9)));
}

#[test]
fn a_suspected_leader_is_followed_on_and_a_suspect_does_not_claim() {
    let (mut machine, now) = node(promised(5, None));
    machine.handle(now, from(3, claim(5, 3)));
    let suspect = ViewMember { state: State::Suspect, ..member(3) };
    machine.handle(now, Input::View(vec![member(1), member(2), suspect]));
    assert_eq!(machine.leader(), Some(id(3)));
    assert_eq!(machine.poll_timeout().map(|(_, why)| why), Some("compare with another"));
}

#[test]
fn a_leader_that_sees_a_greater_epoch_of_nobody_it_sees_claims_above_it() {
    let now = Instant::from_nanos(1);
    let mut machine = Leadership::new(id(1), Config::default(), promised(1, None), now);
    machine.handle(now, Input::View(vec![member(1)]));
    let later = now + Duration::from_millis(600);
    machine.handle_timeout(later);
    machine.handle(later, Input::Persisted);
    assert_eq!((machine.leader(), machine.term()), (Some(id(1)), Term(2)));
    machine.handle(later, from(2, Message::Plan(plan(7, 9, 1))));
    machine.handle(later, Input::Persisted);
    assert_eq!(epoch(&machine).map(|e| e.term), Some(Term(7)), "the greater epoch is adopted at once");
    let end = later + Duration::from_millis(600);
    machine.handle_timeout(end);
    machine.handle(end, Input::Persisted);
    assert_eq!((machine.leader(), machine.term()), (Some(id(1)), Term(8)));
}

#[test]
fn a_term_that_is_on_disk_without_having_been_claimed_is_claimed_without_another_write() {
    let start = Instant::from_nanos(1);
    let mut machine = Leadership::new(id(1), Config::default(), promised(1, None), start);
    machine.handle(start, Input::View(vec![member(1)]));
    let claimed = start + Duration::from_millis(600);
    machine.handle_timeout(claimed);
    machine.handle(claimed, Input::PersistFailed { reason: "full".to_owned() });
    // Not a candidate while the write is tried again, so the term gets to the disk without a claim.
    let draining = ViewMember { draining: true, ..member(1) };
    machine.handle(claimed, Input::View(vec![draining]));
    let retried = claimed + Duration::from_secs(1);
    machine.handle_timeout(retried);
    machine.handle(retried, Input::Persisted);
    assert_eq!((machine.leader(), machine.term()), (None, Term(2)));
    machine.handle(retried, Input::View(vec![member(1)]));
    machine.handle_timeout(retried + Duration::from_millis(600));
    assert_eq!((machine.leader(), machine.term()), (Some(id(1)), Term(2)));
}

#[test]
fn a_view_that_is_never_stable_delays_the_best_but_does_not_stop_it() {
    let now = Instant::from_nanos(1);
    let mut machine = Leadership::new(id(9), Config::default(), Promise::default(), now);
    let mut claimed_after = None;
    for step in 0..80_u64 {
        let at = now + Duration::from_millis(100 * step);
        let input = if step % 2 == 0 { Input::View(vec![member(9), member(1)]) } else { Input::Gone { member: id(1) } };
        machine.handle(at, input);
        if machine.counters().claims_made > 0 {
            claimed_after.get_or_insert(at - now);
        }
    }
    assert_eq!(claimed_after, Some(Duration::from_secs(3)));
}

#[test]
fn a_suspect_is_planned_with_for_a_while_only() {
    let now = Instant::from_nanos(1);
    let mut machine = Leadership::new(id(3), Config::default(), Promise::default(), now);
    let bundle = bundle(1, 10, 0);
    machine.handle(now, Input::View(vec![member(3), ViewMember { state: State::Suspect, ..member(1) }]));
    machine.handle(now, Input::Bundle { digest: bundle.digest, manifest: bundle.manifest });
    let mut at = now;
    let mut sizes = Vec::new();
    while at < now + Duration::from_secs(8) {
        at = at + Duration::from_millis(50);
        machine.handle_timeout(at);
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Persist(_) => machine.handle(at, Input::Persisted),
                Output::Adopted(plan) => sizes.push((plan.groups[0].members.len(), (at - now).as_secs())),
                Output::Send { .. } | Output::Event(_) => {}
            }
        }
    }
    assert_eq!(sizes, [(2, 0), (1, 5)]);
}
