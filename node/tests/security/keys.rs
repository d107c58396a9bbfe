//! A change of the fleet's key while the fleet answers.

use std::fs;
use std::path::{Path, PathBuf};

use rocoin_netsim::harness::{Mesh, NodeOptions, wait_until};

use super::fleet::{Load, PATIENCE, all_routable, binary, counter, logged, options, serving};
use super::hostile::Hostile;

/// As a person does it: beside the old one, then in its place; with its mode.
fn copy(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).unwrap();
    fs::rename(beside, to).unwrap();
}

#[test]
fn the_fleet_key_is_changed_device_by_device_without_losing_a_request() {
    let mesh = Mesh::new(binary()).unwrap();
    let operators = mesh.fleet_key();
    let file = |name: &str| -> PathBuf { mesh.dir().join(format!("{name}.key")) };
    let names = ["a", "b", "c", "missed"];
    let files = names.map(file);
    let old = file("old");
    let nodes = names.iter().zip(&files).map(|(name, path)| {
        copy(&operators, path);
        NodeOptions { key_file: Some(path.clone()), ..options(name) }
    });
    let nodes: Vec<NodeOptions> = nodes.collect();
    copy(&operators, &old);
    let mesh = serving(mesh, nodes);
    let load = Load::start(&mesh, &[0, 1, 2]);
    load.answer(10);

    // Both keys, to one device after the other.
    mesh.run(&["fleet", "rotate", "--key-file", &operators.to_string_lossy()]).unwrap();
    for (node, path) in mesh.nodes().iter().zip(&files[..3]) {
        copy(&operators, path);
        logged(node, &["the fleet has a new key; both are accepted"]);
        load.answer(10);
        all_routable(&mesh, 4);
    }
    wait_until("those that have it talk under the new key", PATIENCE, || {
        let behind: Vec<u64> =
            mesh.nodes()[..3].iter().map(|node| counter(node, "network_links_on_previous_key")).collect();
        if behind == [1, 1, 1] { Ok(()) } else { Err(format!("{behind:?} links on the previous key")) }
    })
    .unwrap();
    load.answer(10);
    let stranger = Hostile::connect(&old, &mesh.nodes()[0].announcement().unwrap().addresses[0]);
    assert!(stranger.is_some(), "the old key is good still");
    drop(stranger);

    // Then the new one alone. The fourth device was forgotten.
    mesh.run(&["fleet", "retire", "--key-file", &operators.to_string_lossy()]).unwrap();
    for (node, path) in mesh.nodes().iter().zip(&files[..3]) {
        copy(&operators, path);
        logged(node, &["WARN", "missed (", "its fleet key is not accepted any more"]);
        load.answer(10);
    }
    let (answered, failed) = load.stop();
    assert!(failed.is_empty(), "{failed:?} of {answered}");
    println!("{answered} requests answered in full while the key was changed, none lost");

    let address = &mesh.nodes()[0].announcement().unwrap().addresses[0];
    assert!(Hostile::connect(&old, address).is_none(), "the old key is out");
    logged(&mesh.nodes()[0], &["WARN", "has a fleet key that is not accepted any more"]);
    assert!(mesh.nodes()[..3].iter().all(|node| {
        let members = node.status().unwrap().members;
        members.iter().any(|m| m.name == "missed" && !m.routable)
    }));

    // It is brought back with the file alone.
    copy(&operators, &files[3]);
    all_routable(&mesh, 4);
}
