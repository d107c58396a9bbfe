use super::fleet::{Fleet, plan};
use crate::deployment::{ChunkError, Config, Event, Input, Message};
use crate::id::Digest;
use crate::leadership::tests::fixture::{Bundle, STUDENT_MEMORY, bundle, id};
use crate::time::Duration;

/// Ten chunks.
const BYTES: usize = 10 * 16 * 1024 - 7;

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn all_hold(fleet: &mut Fleet, devices: core::ops::RangeInclusive<u8>, bundle: &Bundle) -> bool {
    devices.into_iter().all(|n| fleet.device(n).holds_all_of(bundle))
}

#[test]
fn a_bundle_given_to_one_is_kept_whole_by_everybody_with_room() {
    let (mut fleet, bundle) = (Fleet::new(6), bundle(4, BYTES, 0));
    fleet.deploy(3, &bundle);
    fleet.until(s(10), |f| all_hold(f, 1..=6, &bundle));
    let sent: usize = (1..=6).map(|n| fleet.device(n).bytes_sent).sum();
    let size: usize = bundle.files.values().map(Vec::len).sum();
    assert_eq!(sent, 5 * size, "nothing is fetched twice");
}

#[test]
fn the_planned_students_come_first_are_loaded_and_told_of() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(4, BYTES, 0));
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[1], &[1], &[2]]));
    fleet.until(s(5), |f| f.device(2).is_ready(bundle.students()[3]));
    assert_eq!(fleet.device(2).store.files.len(), 2, "the manifest and the one student");
    fleet.until(s(10), |f| all_hold(f, 2..=2, &bundle));
    assert_eq!(fleet.device(2).loads, 1);
}

#[test]
fn a_holder_that_dies_midway_is_replaced_and_nothing_is_fetched_twice() {
    let (mut fleet, bundle) = (Fleet::new(3), bundle(1, 40 * BYTES, 0));
    fleet.deploy(1, &bundle);
    fleet.deploy(2, &bundle);
    fleet.until(s(5), |f| (1..=2).all(|n| f.device(n).bytes_sent > 2 * BYTES));
    fleet.kill(1);
    fleet.until(s(10), |f| all_hold(f, 3..=3, &bundle));
    let sent = fleet.device(1).bytes_sent + fleet.device(2).bytes_sent;
    let size: usize = bundle.files.values().map(Vec::len).sum();
    assert!((size..=size + 64 * 1024).contains(&sent), "what was under way comes again, no more: {sent} for {size}");
}

#[test]
fn a_holder_that_falls_silent_is_left_for_another() {
    let (mut fleet, bundle) = (Fleet::new(3), bundle(1, 40 * BYTES, 0));
    fleet.deploy(1, &bundle);
    fleet.deploy(2, &bundle);
    fleet.until(s(5), |f| (1..=2).all(|n| f.device(n).bytes_sent > 2 * BYTES));
    fleet.silent.insert(id(1));
    fleet.until(s(15), |f| all_hold(f, 3..=3, &bundle));
}

#[test]
fn wrong_bytes_are_discarded_reported_and_the_other_holder_is_used() {
    for liar in [1, 2] {
        let (mut fleet, bundle) = (Fleet::new(3), bundle(4, BYTES, 0));
        fleet.deploy(1, &bundle);
        fleet.deploy(2, &bundle);
        fleet.device(liar).store.lies = true;
        fleet.until(s(20), |f| all_hold(f, 3..=3, &bundle));
        let wrong = fleet.device(3).stock.counters().wrong_hashes;
        let told = |e: &&Event| matches!(e, Event::WrongHash { from, .. } if *from == id(liar));
        assert_eq!(fleet.device(3).events.iter().filter(told).count() as u64, wrong);
        assert!(wrong <= 5, "no more than once an artifact: {wrong}");
    }
}

#[test]
fn a_lone_liar_is_not_asked_again_and_again() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(1, 10, 0));
    fleet.deploy(1, &bundle);
    fleet.device(1).store.lies = true;
    fleet.run(s(30));
    assert_eq!(fleet.device(2).stock.counters().wrong_hashes, 1);
    fleet.device(1).store.lies = false;
    fleet.until(s(60), |f| all_hold(f, 2..=2, &bundle));
}

#[test]
fn a_restarted_node_loads_its_students_at_once() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(2, BYTES, 0));
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[2]]));
    fleet.until(s(10), |f| all_hold(f, 2..=2, &bundle) && f.device(2).is_ready(bundle.students()[1]));
    fleet.kill(1);
    fleet.restart(2);
    let took = fleet.until(s(1), |f| f.device(2).is_ready(bundle.students()[1]));
    assert!(took <= Duration::from_millis(20), "{took:?}");
    assert_eq!(fleet.device(2).stock.serving().map(|(digest, _)| digest), Some(bundle.digest));
}

#[test]
fn a_student_is_loaded_only_when_a_manifest_names_it() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(2, BYTES, 0));
    let student = bundle.students()[1];
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[2]]));
    fleet.until(s(10), |f| all_hold(f, 2..=2, &bundle) && f.device(2).is_ready(student));
    fleet.kill(1);
    fleet.device(2).store.files.remove(&bundle.digest);
    fleet.restart(2);
    fleet.run(s(2));
    assert_eq!(fleet.device(2).loads, 0, "nobody knows what it takes");
    fleet.restart(1);
    fleet.until(s(5), |f| f.device(2).is_ready(student));
    assert_eq!(fleet.device(2).loads, 1);
}

#[test]
fn a_later_deployment_wins_wherever_it_is_made() {
    let (mut fleet, first, second) = (Fleet::new(3), bundle(1, 10, 9), bundle(1, 10, 1));
    fleet.deploy(1, &first);
    fleet.until(s(5), |f| all_hold(f, 1..=3, &first));
    fleet.deploy(2, &second);
    fleet.until(s(5), |f| all_hold(f, 1..=3, &second));
    for n in 1..=3 {
        assert_eq!(fleet.device(n).stock.desired().map(|d| (d.bundle, d.sequence)), Some((second.digest, 2)));
    }
}

#[test]
fn students_of_the_old_plan_stay_until_the_new_one_is_served_and_a_grace_time_is_over() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(2, BYTES, 0));
    let [first, second] = bundle.students().try_into().unwrap();
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[2]]));
    fleet.until(s(10), |f| f.device(1).is_ready(first) && f.device(2).is_ready(second));
    fleet.device(2).store.unloadable.insert(first);
    fleet.adopt(&plan(2, &bundle, &[&[2], &[1]]));
    fleet.run(s(40));
    assert!(fleet.device(1).is_ready(first), "nobody else serves part 0");
    fleet.device(2).store.unloadable.clear();
    fleet.until(s(70), |f| f.device(2).is_ready(first));
    fleet.until(s(10), |f| !f.device(1).loaded.contains(&first) && !f.device(2).loaded.contains(&second));
    assert!(fleet.device(1).has(&Event::Unloaded { student: first }));
}

#[test]
fn within_the_grace_time_nothing_is_freed() {
    let (mut fleet, bundle) = (Fleet::new(1), bundle(2, 10, 0));
    let [first, second] = bundle.students().try_into().unwrap();
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[]]));
    fleet.run(s(1));
    fleet.adopt(&plan(2, &bundle, &[&[], &[1]]));
    let took = fleet.until(s(10), |f| !f.device(1).loaded.contains(&first));
    assert!(took >= s(5), "{took:?}");
    assert!(fleet.device(1).is_ready(second));
}

#[test]
fn where_memory_does_not_hold_both_plans_the_old_students_go_first() {
    let (mut fleet, bundle) = (Fleet::new(1), bundle(2, 10, 0));
    let [first, second] = bundle.students().try_into().unwrap();
    fleet.configure(1, Config { memory_bytes_max: STUDENT_MEMORY, ..Config::default() });
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[]]));
    fleet.until(s(1), |f| f.device(1).is_ready(first));
    fleet.adopt(&plan(2, &bundle, &[&[], &[1]]));
    fleet.until(s(1), |f| f.device(1).is_ready(second));
    assert!(!fleet.device(1).loaded.contains(&first));
}

#[test]
fn a_full_disk_is_told_of_and_tried_again_later() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(3, 10, 0));
    fleet.deploy(1, &bundle);
    fleet.device(2).store.is_full = true;
    fleet.run(s(4));
    let told = |e: &&Event| matches!(e, Event::StoreFailed { .. });
    assert_eq!(fleet.device(2).events.iter().filter(told).count(), 4, "the manifest and each student, once");
    fleet.run(s(20));
    assert!(fleet.device(2).events.iter().filter(told).count() <= 12, "less and less often");
    fleet.device(2).store.is_full = false;
    fleet.until(s(40), |f| all_hold(f, 2..=2, &bundle));
}

#[test]
fn a_member_without_room_keeps_its_own_students_and_those_too_few_others_keep() {
    let (mut fleet, bundle) = (Fleet::new(3), bundle(4, BYTES, 0));
    let manifest = bundle.files[&bundle.digest].len() as u64;
    fleet.configure(2, Config { storage_bytes_max: manifest + 2 * BYTES as u64, ..Config::default() });
    fleet.deploy(1, &bundle);
    fleet.adopt(&plan(1, &bundle, &[&[1], &[1], &[1], &[2]]));
    fleet.until(s(10), |f| f.device(2).store.files.len() == 3);
    fleet.run(s(10));
    assert_eq!(fleet.device(2).store.files.len(), 3, "the manifest, the planned one, and one more");
    assert!(fleet.device(2).is_ready(bundle.students()[3]));
    assert!(fleet.device(3).holds_all_of(&bundle));
}

#[test]
fn a_damaged_file_is_fetched_anew() {
    let (mut fleet, bundle) = (Fleet::new(2), bundle(1, 10, 0));
    fleet.deploy(1, &bundle);
    fleet.until(s(5), |f| all_hold(f, 2..=2, &bundle));
    let student = bundle.students()[0];
    fleet.device(2).store.files.remove(&student);
    fleet.adopt(&plan(1, &bundle, &[&[2]]));
    fleet.until(s(10), |f| f.device(2).is_ready(student));
    assert_eq!(fleet.device(2).stock.counters().load_failures, 2);
}

#[test]
fn what_could_not_be_read_this_time_is_still_held_and_what_is_gone_is_not() {
    let (mut fleet, bundle) = (Fleet::new(1), bundle(1, BYTES, 0));
    fleet.deploy(1, &bundle);
    let artifact = bundle.students()[0];
    let told = |fleet: &mut Fleet, error| {
        fleet.give(1, Input::ChunkRead { to: id(9), artifact, offset: 0, chunk: Err(error) });
        fleet.device(1).stock.holds(artifact)
    };
    assert!(told(&mut fleet, ChunkError::Unread));
    assert!(!told(&mut fleet, ChunkError::Absent));
}

#[test]
fn what_nobody_asked_for_is_refused_and_counted() {
    let mut fleet = Fleet::new(1);
    let artifact = Digest([7; 32]);
    for message in [
        Message::Chunk { artifact, offset: u64::MAX, total: u64::MAX },
        Message::Absent { artifact },
        Message::Fetch { artifact, offset: 0, length: u32::MAX },
        Message::Fetch { artifact, offset: 0, length: 0 },
        Message::Taken { artifact, offset: 0 },
    ] {
        fleet.give(1, Input::Message { from: id(9), message, blob: Vec::new().into() });
    }
    assert_eq!(fleet.device(1).stock.counters().messages_refused, 5);
}

#[test]
fn a_manifest_that_makes_no_sense_is_told_of_once() {
    let mut fleet = Fleet::new(2);
    let good = bundle(1, 10, 0);
    let bytes = b"{}".to_vec();
    let digest = Digest::of(&bytes);
    let bad = Bundle { digest, files: [(digest, bytes)].into(), ..good };
    fleet.deploy(1, &bad);
    fleet.run(s(5));
    let told = |e: &&Event| matches!(e, Event::BadManifest { bundle, .. } if *bundle == digest);
    assert_eq!(fleet.device(2).events.iter().filter(told).count(), 1);
}

#[test]
fn when_a_bundle_is_served_everywhere_all_but_it_and_the_one_before_is_deleted() {
    let mut fleet = Fleet::new(3);
    let bundles = [1, 2, 3].map(|seed| bundle(2, 10, seed));
    for (sequence, bundle) in (1..).zip(&bundles) {
        fleet.deploy(1, bundle);
        fleet.until(s(20), |f| all_hold(f, 1..=3, bundle));
        fleet.adopt(&plan(sequence, bundle, &[&[1, 2], &[3]]));
        fleet.run(s(70));
    }
    for n in 1..=3 {
        assert!(fleet.device(n).holds_all_of(&bundles[1]) && fleet.device(n).holds_all_of(&bundles[2]));
        let first = bundles[0].files.keys().filter(|file| fleet.device(n).store.files.contains_key(file)).count();
        assert_eq!(first, 0, "on {n}");
        assert!(!fleet.device(n).stock.holds(bundles[0].digest));
    }
    fleet.deploy(2, &bundles[0]);
    fleet.until(s(20), |f| all_hold(f, 1..=3, &bundles[0]));
}

#[test]
fn nothing_is_deleted_while_the_new_bundle_is_not_served() {
    let mut fleet = Fleet::new(2);
    let bundles = [1, 2, 3].map(|seed| bundle(2, 10, seed));
    for (sequence, bundle) in (1..).zip(&bundles) {
        fleet.deploy(1, bundle);
        fleet.until(s(20), |f| all_hold(f, 1..=2, bundle));
        fleet.device(2).store.unloadable.insert(bundles[2].students()[1]);
        fleet.adopt(&plan(sequence, bundle, &[&[1], &[2]]));
        fleet.run(s(20));
    }
    fleet.run(s(200));
    assert!((1..=2).all(|n| fleet.device(n).holds_all_of(&bundles[0])));
    fleet.device(2).store.unloadable.clear();
    fleet.until(s(200), |f| (1..=2).all(|n| !f.device(n).holds_all_of(&bundles[0])));
}
