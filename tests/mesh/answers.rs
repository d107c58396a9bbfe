//! What an undisturbed mesh answers, and how a node comes into it.

use std::time::Instant;

use rocoin::membership::State;
use rocoin_netsim::harness::wait_until;

use crate::support::{PATIENCE, agreed, bundle, image, serving, start, well_options};

/// What an idle node that holds students may take, bytes.
const IDLE_BYTES_MAX: u64 = 64 << 20;

#[test]
fn the_distributed_answer_equals_the_same_students_merged_in_one_process() {
    let mesh = serving(3);
    let status = agreed(&mesh);
    for n in 0..12 {
        let image = image(n);
        let client = mesh.nodes()[usize::try_from(n).unwrap() % 3].client().unwrap();
        let reply = bundle().ask(&client, &image).unwrap();
        assert_eq!(reply.parts_used, [0, 1, 2]);
        assert_eq!(reply.replicas.len(), 3);
        let expected = bundle().expected(&image, &reply, &status);
        assert_eq!(reply.logits, expected, "image {n}");
        assert_eq!(reply.label, format!("class {}", reply.class));
    }
}

#[test]
fn every_node_gives_the_same_answer() {
    let mesh = serving(4);
    let image = image(1);
    let replies: Vec<Vec<f32>> =
        mesh.nodes().iter().map(|node| bundle().ask(&node.client().unwrap(), &image).unwrap().logits).collect();
    assert!(replies.windows(2).all(|pair| pair[0] == pair[1]), "{replies:?}");
}

#[test]
fn a_started_node_is_alive_in_every_members_view_and_small_while_idle() {
    let mut mesh = start(2);
    let begun = Instant::now();
    let node = mesh.start(well_options("late")).unwrap();
    let listening = begun.elapsed();
    let id = mesh.node(node).id().unwrap();
    mesh.wait("the new node is alive everywhere", PATIENCE, |status| {
        let member = status.members.iter().find(|m| m.node == id);
        if member.is_some_and(|m| m.state == State::Alive && m.routable) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .unwrap();
    println!(
        "a node listens {:.3} s after its start and is alive in all views after {:.3} s",
        listening.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    mesh.deploy(&bundle().path()).unwrap();
    agreed(&mesh);
    for node in mesh.nodes() {
        let bytes = node.resident_bytes().unwrap();
        println!("{} takes {:.1} MiB", node.name(), bytes as f64 / f64::from(1 << 20));
        assert!(bytes <= IDLE_BYTES_MAX, "{} takes {bytes} bytes", node.name());
    }
}

#[test]
fn a_node_told_of_one_member_meets_all() {
    let mut mesh = start(3);
    let seed = mesh.nodes()[1].announcement().unwrap().addresses[0].clone();
    let mut options = well_options("told-of-one");
    options.seeded = false;
    options.flags.extend(["--peer".to_owned(), seed]);
    let node = mesh.start(options).unwrap();
    wait_until("it meets all", PATIENCE, || {
        let status = mesh.nodes()[node].status().map_err(|e| e.to_string())?;
        let met = status.members.iter().filter(|m| m.state == State::Alive && m.routable).count();
        if met == 4 { Ok(()) } else { Err(format!("{met} of 4")) }
    })
    .unwrap();
}
