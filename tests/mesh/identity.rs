//! Restarts with, without and with an old state; two devices with one identity; a stranger.

use std::fs;
use std::path::Path;

use rocoin::membership::State;
use rocoin_netsim::harness::{Mesh, wait_until};

use crate::support::bundle::is_ready;
use crate::support::{Load, PATIENCE, agreed, binary, bundle, epoch, newer_bundle, serving, start, well_options};

#[test]
fn a_node_restarted_with_its_state_is_the_same_and_serves_again() {
    let mut mesh = serving(3);
    let id = mesh.node(1).id().unwrap();
    let generation = mesh.node(1).status().unwrap().generation;
    mesh.node(1).kill().unwrap();
    mesh.restart(1).unwrap();
    assert_eq!(mesh.node(1).id().unwrap(), id);
    agreed(&mesh);
    let status = mesh.node(1).status().unwrap();
    assert!(status.generation > generation);
    await_ready(&mesh, 1);
}

#[test]
fn a_node_restarted_without_its_state_is_a_new_one_and_fetches_its_students() {
    let mut mesh = serving(3);
    let old = mesh.node(1).id().unwrap();
    mesh.node(1).kill().unwrap();
    mesh.node(1).wipe().unwrap();
    mesh.restart(1).unwrap();
    let new = mesh.node(1).id().unwrap();
    assert_ne!(new, old);
    agreed(&mesh);
    await_ready(&mesh, 1);
    assert!(mesh.node(1).log().contains("Fetched"));
    let status = mesh.node(0).status().unwrap();
    assert!(status.members.iter().all(|m| m.node != old || m.state == State::Down), "{:?}", status.members);
}

#[test]
fn a_node_with_an_old_state_takes_the_newer_plan_and_never_sets_the_mesh_back() {
    let mut mesh = serving(3);
    let (state, copy) = (mesh.node(2).state_dir(), mesh.dir().join("copy"));
    mesh.node(2).stop().unwrap();
    copy_folder(&state, &copy);
    mesh.restart(2).unwrap();
    agreed(&mesh);
    mesh.deploy(&newer_bundle().path()).unwrap();
    let before = agreed(&mesh);
    mesh.node(2).kill().unwrap();
    fs::remove_dir_all(&state).unwrap();
    copy_folder(&copy, &state);
    let load = Load::start(&mesh, &[0, 1], &[0, 1]);
    mesh.restart(2).unwrap();
    let after = wait_until("the united mesh serves the newer bundle", PATIENCE, || {
        let status = agreed(&mesh);
        let served = status.bundle.as_ref().map(|b| b.digest);
        if served == Some(newer_bundle().digest()) { Ok(status) } else { Err(format!("{:?}", status.bundle)) }
    })
    .unwrap();
    load.answer(10);
    let tally = load.stop();
    assert!(epoch(&after) >= epoch(&before), "{:?} after {:?}", after.epoch, before.epoch);
    assert!(tally.failed.is_empty(), "{tally:?}");
}

#[test]
fn two_devices_with_one_identity_are_noticed_and_neither_leads() {
    let mut mesh = serving(3);
    let leader = mesh.index_of(agreed(&mesh).leader.unwrap()).unwrap();
    let id = mesh.node(leader).id().unwrap();
    mesh.node(leader).stop().unwrap();
    copy_folder(&mesh.node(leader).state_dir(), &mesh.dir().join("clone").join("state"));
    mesh.restart(leader).unwrap();
    agreed(&mesh);
    let clone = mesh.start(well_options("clone")).unwrap();
    assert_eq!(mesh.node(clone).id().unwrap(), id);
    let others: Vec<usize> = (0..3).filter(|n| *n != leader).collect();
    wait_until("the others name both, and one of them leads", PATIENCE, || {
        for other in &others {
            let node = &mesh.nodes()[*other];
            let log = node.log();
            let named = log.lines().any(|line| {
                line.contains("IdentityClash") && line.contains(&format!("node{leader}")) && line.contains("clone")
            });
            if !named {
                return Err(format!("{} names no clash of both:\n{log}", node.name()));
            }
            let status = node.status().map_err(|e| e.to_string())?;
            if status.leader.is_none_or(|l| l == id) {
                return Err(format!("{} follows {:?}", node.name(), status.leader));
            }
        }
        Ok(())
    })
    .unwrap();
    let load = Load::start(&mesh, &others, &others);
    load.answer(20);
    assert!(load.stop().failed.is_empty());
}

#[test]
fn a_node_with_another_fleet_key_never_becomes_a_member() {
    let mesh = start(2);
    let seed = mesh.nodes()[0].announcement().unwrap().addresses[0].clone();
    let mut others = Mesh::new(&binary()).unwrap();
    let mut options = well_options("stranger");
    options.flags.extend(["--peer".to_owned(), seed]);
    others.start(options).unwrap();
    wait_until("the stranger is told why", PATIENCE, || {
        let log = others.nodes()[0].log();
        if log.contains("does it have the same fleet key") { Ok(()) } else { Err(log) }
    })
    .unwrap();
    for node in mesh.nodes() {
        assert_eq!(node.status().unwrap().members.len(), 2);
    }
    assert_eq!(others.nodes()[0].status().unwrap().members.len(), 1);
}

fn await_ready(mesh: &Mesh, node: usize) {
    let id = mesh.nodes()[node].id().unwrap();
    wait_until("it holds what the plan gives it", PATIENCE, || {
        let status = mesh.nodes()[node].status().map_err(|e| e.to_string())?;
        let planned = status.parts.iter().any(|p| p.group.contains(&id));
        if is_ready(&status, id) || !planned { Ok(planned) } else { Err(format!("{:?}", status.parts)) }
    })
    .map(|planned| assert!(planned, "in a mesh of three, each part wants two replicas, so everybody holds some"))
    .unwrap();
    assert_eq!(mesh.nodes()[node].status().unwrap().bundle.unwrap().name, bundle().name());
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    // A node takes no folder that others can write to, as a generous umask would make it.
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
