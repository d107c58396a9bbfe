//! Whatever is said and whatever fails: no panic, nothing falls, and in the end there is one leader with one plan.

use proptest::prelude::*;

use super::fixture::{bundle, id};
use super::fleet::Fleet;
use super::single::{member, plan};
use crate::id::{Generation, Term};
use crate::leadership::{Claim, Config, Input, Leadership, Message, Output, Promise, ViewMember};
use crate::membership::State;
use crate::time::{Duration, Instant};

const IDS: u8 = 4;

fn message() -> impl Strategy<Value = Message> {
    let term = prop_oneof![0..5_u64, Just(1 << 17), Just(u64::MAX)];
    prop_oneof![
        (term.clone(), 0..IDS, 0..3_u64).prop_map(|(term, leader, generation)| Message::Claim(Claim {
            term: Term(term),
            leader: id(leader),
            generation: Generation(generation),
        })),
        (term, 0..IDS, 0..3_u64).prop_map(|(term, leader, sequence)| Message::Plan(plan(term, leader, sequence))),
    ]
}

fn view_member() -> impl Strategy<Value = ViewMember> {
    let state = prop_oneof![Just(State::Alive), Just(State::Suspect), Just(State::Down)];
    let epoch = proptest::option::of((0..5_u64, 0..IDS, 0..3_u64));
    (0..IDS, 0..3_u64, state, 0..2, any::<bool>(), any::<bool>(), epoch).prop_map(
        |(n, generation, state, priority, draining, linked, epoch)| ViewMember {
            generation: Generation(generation),
            state,
            priority,
            draining,
            linked,
            epoch: epoch.map(|(term, leader, sequence)| plan(term, leader, sequence).epoch),
            ..member(n)
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    let bundle = bundle(1, 10, 0);
    prop_oneof![
        4 => (0..IDS, message()).prop_map(|(from, message)| Input::Message { from: id(from), message }),
        2 => proptest::collection::vec(view_member(), 0..5).prop_map(Input::View),
        1 => (0..IDS).prop_map(|peer| Input::LinkUp { peer: id(peer) }),
        4 => Just(Input::Persisted),
        1 => Just(Input::PersistFailed { reason: String::new() }),
        1 => (0..IDS).prop_map(|member| Input::IdentityClash { member: id(member) }),
        1 => Just(Input::Bundle { digest: bundle.digest, manifest: bundle.manifest }),
    ]
}

#[derive(Debug, Clone)]
enum Fault {
    Kill(u8),
    Start(u8),
    Part(Vec<u8>),
    Heal,
    BreakDisk(u8),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (1..=5_u8).prop_map(Fault::Kill),
        (1..=5_u8).prop_map(Fault::Start),
        proptest::sample::subsequence(vec![1, 2, 3, 4, 5], 1..5).prop_map(Fault::Part),
        Just(Fault::Heal),
        (1..=5_u8).prop_map(Fault::BreakDisk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_nothing_falls(steps in proptest::collection::vec((input(), 0..2_000_u64), 0..60)) {
        let mut now = Instant::from_nanos(1);
        let mut machine = Leadership::new(id(1), Config::default(), Promise::default(), now);
        let (mut term, mut epoch, mut writing) = (Term::default(), None, false);
        for (input, wait) in steps {
            now = now + Duration::from_millis(wait);
            let mut steps = vec![Some(input)];
            steps.extend(machine.poll_timeout().is_some_and(|(due, _)| due <= now).then_some(None));
            while let Some(step) = steps.pop() {
                if let Some(input) = step {
                    writing &= !matches!(input, Input::Persisted | Input::PersistFailed { .. });
                    machine.handle(now, input);
                } else {
                    machine.handle_timeout(now);
                    prop_assert!(machine.poll_timeout().is_none_or(|(due, _)| due > now));
                }
                while let Some(output) = machine.poll_output() {
                    match output {
                        Output::Persist(_) => prop_assert!(!std::mem::replace(&mut writing, true)),
                        Output::Send { to, message: Message::Claim(claim) } => {
                            prop_assert!(to != id(1) && claim.term <= machine.term());
                        }
                        Output::Send { message: Message::Plan(plan), .. } => {
                            prop_assert_eq!(Some(&plan), machine.plan());
                        }
                        Output::Send { message: Message::Standing { claim, epoch }, .. } => {
                            prop_assert!(claim.is_none_or(|claim| claim.term <= machine.term()));
                            prop_assert_eq!(epoch, machine.plan().map(|p| p.epoch));
                        }
                        Output::Send { message: Message::Change(change), .. } => {
                            prop_assert_eq!(Some(change.epoch), machine.plan().map(|p| p.epoch));
                        }
                        Output::Send { message: Message::Want { .. }, .. } | Output::Adopted(_) | Output::Event(_) => {}
                    }
                }
            }
            let (new_term, new_epoch) = (machine.term(), machine.plan().map(|p| p.epoch));
            prop_assert!(new_term >= term && new_epoch >= epoch);
            prop_assert!(new_epoch.is_none_or(|e| e.term <= new_term));
            (term, epoch) = (new_term, new_epoch);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_in_the_end_there_is_one_leader_with_one_plan(
        faults in proptest::collection::vec((fault(), 0..1_500_u64), 0..10)
    ) {
        let mut fleet = Fleet::new(5);
        fleet.deploy(&bundle(2, 10, 0));
        for (fault, wait) in faults {
            fleet.run(Duration::from_millis(wait));
            match fault {
                Fault::Kill(n) => fleet.kill(n),
                Fault::Start(n) => fleet.start(n),
                Fault::Part(side) => fleet.part(&side),
                Fault::Heal => fleet.heal(),
                Fault::BreakDisk(n) => fleet.device(n).disk_works = false,
            }
        }
        fleet.heal();
        for n in 1..=5 {
            fleet.device(n).disk_works = true;
        }
        fleet.start(1);
        fleet.until(Duration::from_secs(6), Fleet::is_settled);
    }
}
