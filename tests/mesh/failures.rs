//! Devices that are killed or frozen while requests go on.

use rocoin::membership::State;
use rocoin::node::NodeSnapshot;
use rocoin_netsim::harness::{Mesh, wait_until};

use crate::support::{Load, PATIENCE, agreed, bundle, epoch, holders, image, one_of_each_part, serving};

#[test]
fn killing_a_replica_of_every_part_fails_and_degrades_no_request() {
    let mut mesh = serving(4);
    let killed = one_of_each_part(&mesh, &agreed(&mesh));
    let rest: Vec<usize> = (0..4).filter(|n| !killed.contains(n)).collect();
    let load = Load::start(&mesh, &[0, 1, 2, 3], &rest);
    load.answer(30);
    for node in &killed {
        mesh.node(*node).kill().unwrap();
    }
    load.answer(60);
    agreed(&mesh);
    load.answer(30);
    let tally = load.stop();
    assert!(tally.failed.is_empty() && tally.degraded.is_empty(), "{tally:?}");
    assert!(tally.retried > 0, "the killed coordinators were asked too: {tally:?}");
}

#[test]
fn a_frozen_replica_is_routed_around_then_given_up_and_is_back_once_thawed() {
    let mut mesh = serving(4);
    let leader = mesh.index_of(agreed(&mesh).leader.unwrap()).unwrap();
    let status = agreed(&mesh);
    let held: Vec<Vec<usize>> = (0..bundle().parts()).map(|part| holders(&mesh, &status, part)).collect();
    let can_be_missed = |n: &usize| held.iter().all(|holders| holders.iter().any(|holder| holder != n));
    let frozen = *held.iter().flatten().find(|n| **n != leader && can_be_missed(n)).unwrap();
    let rest: Vec<usize> = (0..4).filter(|n| *n != frozen).collect();
    let load = Load::start(&mesh, &rest, &rest);
    load.answer(20);
    let id = mesh.node(frozen).id().unwrap();
    let generation = mesh.node(frozen).status().unwrap().generation;
    mesh.node(frozen).freeze().unwrap();
    mesh.wait("it is suspected, or given up already", PATIENCE, |status| {
        state_is(status, id, &[State::Suspect, State::Down])
    })
    .unwrap();
    load.answer(20);
    mesh.wait("it is given up", PATIENCE, |status| state_is(status, id, &[State::Down])).unwrap();
    agreed_without(&mesh, frozen);
    load.answer(20);
    mesh.node(frozen).thaw().unwrap();
    let status = agreed(&mesh);
    load.answer(20);
    let tally = load.stop();
    assert!(tally.failed.is_empty() && tally.degraded.is_empty(), "{tally:?}");
    let member = status.members.iter().find(|m| m.node == id).unwrap();
    assert_eq!(member.generation, generation, "it was not restarted");
    assert!(mesh.nodes()[rest[0]].log().contains("Suspected"));
}

#[test]
fn when_a_whole_group_is_lost_answers_name_the_part_until_they_are_complete_again() {
    let mut mesh = serving(5);
    // Students of earlier plans, made while the nodes were meeting, are gone.
    let status = wait_until("only the groups hold their parts", PATIENCE, || {
        let status = agreed(&mesh);
        let is_planned = |p: usize| holders(&mesh, &status, p).len() == status.parts[p].group.len();
        if (0..bundle().parts()).all(is_planned) { Ok(status) } else { Err(format!("{:?}", status.parts)) }
    })
    .unwrap();
    let part = (0..bundle().parts()).min_by_key(|p| holders(&mesh, &status, *p).len()).unwrap();
    let group = holders(&mesh, &status, part);
    let rest: Vec<usize> = (0..5).filter(|n| !group.contains(n)).collect();
    assert!(!rest.is_empty(), "the plan puts part {part} on every node: {status:?}");
    let lost: Vec<u64> = (0..bundle().parts())
        .filter(|p| holders(&mesh, &status, *p).iter().all(|n| group.contains(n)))
        .map(|p| p as u64)
        .collect();
    let load = Load::start(&mesh, &rest, &rest);
    load.answer(20);
    for node in &group {
        mesh.node(*node).kill().unwrap();
    }
    load.answer(10);
    let after = agreed(&mesh);
    assert!(epoch(&after) > epoch(&status));
    let before = load.tally().degraded.len();
    load.answer(30);
    let tally = load.stop();
    println!("part {part} lost: {} degraded of {}", tally.degraded.len(), tally.degraded.len() + tally.complete);
    assert!(tally.failed.is_empty(), "{tally:?}");
    assert!(tally.degraded.iter().all(|missing| missing.iter().all(|p| lost.contains(p))), "{lost:?}: {tally:?}");
    assert!(!tally.degraded.is_empty(), "nobody could answer for part {part} at first: {tally:?}");
    assert!(tally.degraded.len() <= before + 2, "only requests under way may still be degraded: {before}, {tally:?}");
}

#[test]
fn a_client_whose_coordinator_dies_is_answered_by_another() {
    let mut mesh = serving(3);
    let status = agreed(&mesh);
    let dying = mesh.index_of(status.leader.unwrap()).map(|leader| (leader + 1) % 3).unwrap();
    let client = mesh.nodes()[dying].client().unwrap();
    bundle().ask(&client, &image(0)).unwrap();
    let other = mesh.nodes()[(dying + 1) % 3].client().unwrap();
    let load = Load::start(&mesh, &[dying], &[(dying + 1) % 3]);
    load.answer(20);
    mesh.node(dying).kill().unwrap();
    let error = bundle().ask(&client, &image(0)).unwrap_err();
    assert!(error.to_string().contains("cannot reach the node"), "{error}");
    assert!(!bundle().ask(&other, &image(0)).unwrap().is_degraded());
    load.answer(20);
    let tally = load.stop();
    assert!(tally.failed.is_empty() && tally.degraded.is_empty() && tally.retried > 0, "{tally:?}");
}

#[test]
fn when_the_leader_is_killed_another_leads_with_a_higher_term_and_no_request_fails() {
    let mut mesh = serving(4);
    let before = agreed(&mesh);
    let leader = mesh.index_of(before.leader.unwrap()).unwrap();
    let rest: Vec<usize> = (0..4).filter(|n| *n != leader).collect();
    let load = Load::start(&mesh, &[0, 1, 2, 3], &rest);
    load.answer(20);
    mesh.node(leader).kill().unwrap();
    let after = agreed(&mesh);
    load.answer(20);
    let tally = load.stop();
    assert_ne!(after.leader, before.leader);
    assert!(after.term > before.term, "{:?} after {:?}", after.term, before.term);
    assert!(epoch(&after) > epoch(&before));
    assert!(tally.failed.is_empty() && tally.degraded.is_empty(), "{tally:?}");
}

fn state_is(status: &NodeSnapshot, id: rocoin::id::NodeId, states: &[State]) -> Result<(), String> {
    let member = status.members.iter().find(|m| m.node == id).ok_or_else(|| "it is not known".to_owned())?;
    if states.contains(&member.state) { Ok(()) } else { Err(format!("{:?}", member.state)) }
}

/// Waits until those that are well have a plan without a frozen one.
fn agreed_without(mesh: &Mesh, frozen: usize) {
    let id = mesh.nodes()[frozen].id().unwrap();
    wait_until("the plan does without it", PATIENCE, || {
        let status = agreed(mesh);
        if status.parts.iter().any(|p| p.group.contains(&id)) { Err(format!("{:?}", status.parts)) } else { Ok(()) }
    })
    .unwrap();
}
