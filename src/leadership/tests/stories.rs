use super::fixture::{bundle, capability, id};
use super::fleet::Fleet;
use crate::id::Term;
use crate::leadership::{EpochPlan, Event, Input};
use crate::time::Duration;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A fleet that serves a bundle of `parts` parts.
fn serving(n: u8, parts: u16) -> Fleet {
    let mut fleet = Fleet::new(n);
    fleet.deploy(&bundle(parts, 10, 0));
    fleet.until(ms(1500), Fleet::is_settled);
    fleet
}

#[test]
fn from_a_cold_start_one_leads_and_it_is_the_best() {
    let mut fleet = Fleet::new(5);
    let took = fleet.until(ms(1000), |f| f.leader() == Some(5));
    assert!(took >= ms(600), "before the hold-off: {took:?}");
    assert_eq!(fleet.devices.values().map(|d| d.machine.counters().claims_made).sum::<u64>(), 1);
}

#[test]
fn the_best_is_the_one_with_the_greatest_priority_then_uptime_then_id() {
    let mut fleet = Fleet::new(4);
    fleet.device(1).priority = 1;
    fleet.device(1).uptime_class = 3;
    fleet.device(2).priority = 1;
    fleet.device(2).uptime_class = 4;
    fleet.device(3).uptime_class = 9;
    fleet.until(ms(1000), |f| f.leader() == Some(2));
}

#[test]
fn a_dead_leader_is_followed_by_the_next_with_a_higher_term_and_its_plan() {
    let mut fleet = serving(5, 2);
    let before = fleet.epoch().unwrap();
    fleet.kill(5);
    let took = fleet.until(ms(2000), Fleet::is_settled);
    assert_eq!(fleet.leader(), Some(4));
    assert!(fleet.epoch().unwrap().term > before.term);
    assert!(took <= ms(1500), "a lost leader took {took:?}");
}

#[test]
fn after_a_lost_member_the_leader_plans_anew_within_the_settle_time_and_moves_no_more_than_needed() {
    let mut fleet = serving(6, 2);
    let before = fleet.device(6).machine.plan().unwrap().clone();
    fleet.kill(1);
    let took = fleet.until(ms(1000), Fleet::is_settled);
    assert!(took <= ms(450), "view lag, settle, write, send: {took:?}");
    let after = fleet.device(6).machine.plan().unwrap().clone();
    assert_eq!((after.epoch.term, after.epoch.sequence), (before.epoch.term, before.epoch.sequence + 1));
    let pairs = |plan: &EpochPlan| {
        plan.groups.iter().flat_map(|g| g.members.iter().map(|m| (g.part, *m)).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let kept = pairs(&before).into_iter().filter(|(_, m)| *m != id(1));
    let now = pairs(&after);
    kept.for_each(|pair| assert!(now.contains(&pair), "{pair:?} moved"));
}

#[test]
fn a_view_that_changes_without_a_change_for_the_plan_makes_no_new_epoch() {
    let mut fleet = serving(4, 2);
    let before = fleet.epoch();
    fleet.device(1).uptime_class = 1;
    fleet.run(ms(3000));
    assert_eq!(fleet.epoch(), before);
    assert_eq!(fleet.leader(), Some(4), "and a better uptime takes nothing from a living leader");
}

#[test]
fn a_member_that_can_do_a_little_less_is_no_reason_to_plan() {
    let mut fleet = serving(4, 2);
    let plans = fleet.device(4).machine.counters().plans_made;
    for step in 0..20 {
        fleet.device(1).capability.flops_per_s = 1e9 - 1e6 * f64::from(step);
        fleet.run(ms(100));
        assert!(fleet.device(4).machine.poll_timeout().is_none_or(|(_, why)| why != "plan"));
    }
    assert_eq!(fleet.device(4).machine.counters().plans_made, plans);
}

#[test]
fn each_side_of_a_partition_leads_and_plans_for_itself_and_after_healing_there_is_one_epoch_above_both() {
    let mut fleet = serving(6, 2);
    fleet.part(&[1, 2, 3]);
    fleet.run(ms(2500));
    let epochs = [3, 6].map(|n: u8| fleet.device(n).machine.plan().unwrap().epoch);
    assert_eq!(fleet.device(1).machine.leader(), Some(id(3)));
    assert_eq!(epochs.map(|e| e.leader), [id(3), id(6)]);
    fleet.heal();
    let took = fleet.until(ms(4000), Fleet::is_settled);
    assert!(fleet.epoch() > Some(epochs[0]) && fleet.epoch() > Some(epochs[1]));
    assert!(took <= ms(2000), "healing took {took:?}");
}

#[test]
fn messages_that_are_lost_in_one_direction_do_not_keep_the_fleet_apart() {
    let mut fleet = serving(4, 2);
    // 4 leads, and cannot talk to 1 any more; the views do not notice.
    fleet.cut.insert((id(4), id(1)));
    fleet.kill(2);
    fleet.until(ms(4000), |f| {
        f.devices[&id(1)].machine.plan().map(|p| p.epoch) == f.devices[&id(4)].machine.plan().map(|p| p.epoch)
    });
}

#[test]
fn a_greater_priority_takes_the_lead_from_the_living_and_an_equal_one_does_not() {
    let mut fleet = Fleet::new(3);
    fleet.kill(3);
    fleet.until(ms(1500), |f| f.leader() == Some(2));
    fleet.start(3);
    fleet.run(ms(3000));
    assert_eq!(fleet.leader(), Some(2), "a greater id alone takes nothing");
    fleet.device(1).priority = 1;
    fleet.until(ms(1500), |f| f.leader() == Some(1));
}

#[test]
fn of_two_devices_with_one_identity_neither_leads() {
    let mut fleet = serving(3, 1);
    for n in 1..=3 {
        fleet.handle(n, Input::IdentityClash { member: id(3) });
    }
    fleet.until(ms(1500), |f| f.leader() == Some(2));
    fleet.run(ms(3000));
    assert_eq!(fleet.leader(), Some(2));
    assert!(fleet.device(3).events.contains(&Event::Barred { member: id(3) }));
}

#[test]
fn below_min_members_nothing_is_planned_and_people_are_told_once() {
    let mut fleet = Fleet::new(3);
    fleet.config.min_members = 3;
    fleet.kill(1);
    fleet.start(2);
    fleet.start(3);
    fleet.deploy(&bundle(1, 10, 0));
    fleet.run(ms(4000));
    assert_eq!(fleet.leader(), Some(3));
    assert_eq!(fleet.epoch(), None);
    let told = |e: &&Event| matches!(e, Event::NotPlanned { reason } if reason.contains("min_members"));
    assert_eq!(fleet.device(3).events.iter().filter(told).count(), 1);
    fleet.start(1);
    fleet.until(ms(2000), Fleet::is_settled);
}

#[test]
fn a_best_that_cannot_write_does_not_lead_and_the_next_does_in_its_stead() {
    let mut fleet = Fleet::new(3);
    fleet.device(3).disk_works = false;
    fleet.run(ms(5000));
    assert_eq!(fleet.leader(), None);
    assert_eq!(fleet.device(3).claims_sent, 0);
    assert!(fleet.device(3).machine.counters().persist_failures >= 3);
    fleet.until(ms(10_000), |f| f.devices[&id(1)].machine.leader() == Some(id(2)));
    fleet.device(3).disk_works = true;
    fleet.until(ms(2500), |f| f.leader() == Some(2));
}

#[test]
fn a_restarted_leader_has_its_plan_and_a_new_claim_is_made() {
    let mut fleet = serving(3, 1);
    let before = fleet.epoch().unwrap();
    fleet.kill(3);
    fleet.start(3);
    assert_eq!(fleet.device(3).machine.plan().map(|p| p.epoch), Some(before));
    fleet.until(ms(1500), Fleet::is_settled);
    assert!(fleet.epoch().unwrap().term > before.term, "an older start's claim is void");
}

#[test]
fn who_comes_later_gets_claim_and_plan_at_once() {
    let mut fleet = Fleet::new(4);
    fleet.kill(1);
    fleet.deploy(&bundle(1, 10, 0));
    fleet.run(ms(2000));
    let epoch = fleet.device(4).machine.plan().map(|p| p.epoch);
    fleet.start(1);
    fleet.run(ms(50));
    assert!(epoch.is_some());
    assert_eq!(fleet.device(1).machine.plan().map(|p| p.epoch), epoch);
    fleet.until(ms(1500), Fleet::is_settled);
    assert_eq!(fleet.leader(), Some(4));
}

#[test]
fn a_draining_leader_hands_over_and_is_planned_without() {
    let mut fleet = serving(3, 1);
    fleet.device(3).draining = true;
    fleet.until(ms(1500), |f| f.leader() == Some(2) && f.epoch().is_some_and(|e| e.leader == id(2)));
    let plan = fleet.device(1).machine.plan().unwrap();
    assert!(plan.students_of(id(3)).next().is_none());
}

#[test]
fn a_part_that_has_no_room_keeps_the_plan_and_says_so() {
    let mut fleet = Fleet::new(1);
    fleet.device(1).capability = capability(1);
    fleet.deploy(&bundle(3, 10, 0));
    fleet.run(ms(2000));
    let plan = fleet.device(1).machine.plan().unwrap();
    assert!(!plan.feasible);
    assert_eq!(plan.students_of(id(1)).count(), 1);
}

#[test]
fn an_idle_fleet_is_quiet() {
    let mut fleet = serving(8, 4);
    let sent = |f: &Fleet| {
        f.devices
            .values()
            .map(|d| (d.claims_sent + d.plans_sent, d.standings_sent))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    fleet.run(ms(3000));
    let before = sent(&fleet);
    fleet.run(ms(10_000));
    let after = sent(&fleet);
    assert_eq!(after.0, before.0, "no claims and no plans");
    assert!(after.1 - before.1 <= 90, "one comparison a second of each, two of the leader: {}", after.1 - before.1);
}

#[test]
fn a_re_plan_travels_as_what_it_changes() {
    let mut fleet = serving(12, 2);
    fleet.run(ms(1000));
    let sent = |f: &Fleet| f.devices.values().fold((0, 0), |sum, d| (sum.0 + d.plans_sent, sum.1 + d.changes_sent));
    let before = sent(&fleet);
    fleet.kill(1);
    fleet.until(ms(1000), Fleet::is_settled);
    let after = sent(&fleet);
    assert_eq!(after.0, before.0, "nobody needs all of the plan");
    assert!(after.1 - before.1 >= 10, "each of the others is told: {}", after.1 - before.1);
}

#[test]
fn who_missed_the_plan_before_is_sent_all_of_the_next() {
    let mut fleet = serving(8, 2);
    fleet.kill(1);
    fleet.run(ms(300));
    fleet.kill(2);
    fleet.until(ms(1500), Fleet::is_settled);
    fleet.start(1);
    fleet.start(2);
    fleet.until(ms(4000), Fleet::is_settled);
    assert_eq!(fleet.devices[&id(1)].machine.plan(), fleet.devices[&id(8)].machine.plan());
    assert!(fleet.devices.values().map(|d| d.plans_sent).sum::<usize>() > 0);
}

#[test]
fn the_lone_survivor_serves_alone_with_a_term_of_its_own() {
    let mut fleet = serving(4, 2);
    let term = fleet.epoch().unwrap().term;
    [2, 3, 4].into_iter().for_each(|n| fleet.kill(n));
    fleet.until(ms(2000), Fleet::is_settled);
    assert_eq!(fleet.epoch().unwrap().term, Term(term.0 + 1));
}
