//! Students on disk and on their way: damaged, fetched, replaced.

use rocoin_netsim::harness::wait_until;

use crate::support::bundle::{artifacts, corrupt_students, is_ready};
use crate::support::{Load, PATIENCE, agreed, bundle, image, newer_bundle, serving, well_options};

#[test]
fn a_node_whose_students_rotted_on_disk_says_so_and_fetches_them_again() {
    let mut mesh = serving(3);
    let node = 2;
    mesh.node(node).stop().unwrap();
    let corrupted = corrupt_students(&mesh.node(node).state_dir(), bundle());
    assert_eq!(corrupted, 6, "every member keeps the whole bundle");
    mesh.restart(node).unwrap();
    let status = agreed(&mesh);
    let id = mesh.node(node).id().unwrap();
    wait_until("it is ready with what the plan gives it", PATIENCE, || {
        let status = mesh.nodes()[node].status().map_err(|e| e.to_string())?;
        if is_ready(&status, id) { Ok(()) } else { Err(format!("{:?}", status.parts)) }
    })
    .unwrap();
    let log = mesh.nodes()[node].log();
    assert!(log.contains("is corrupt: its bytes have the digest"), "{log}");
    let image = image(5);
    let reply = bundle().ask(&mesh.nodes()[node].client().unwrap(), &image).unwrap();
    assert_eq!(reply.logits, bundle().expected(&image, &reply, &status));
}

#[test]
fn bytes_that_a_holder_sends_wrong_are_never_kept_and_are_had_from_another() {
    let mut mesh = serving(3);
    assert_eq!(corrupt_students(&mesh.node(1).state_dir(), bundle()), 6, "every member keeps the whole bundle");
    let node = mesh.start(well_options("fetches")).unwrap();
    wait_until("it keeps the whole bundle", PATIENCE, || {
        let kept = artifacts(&mesh.nodes()[node].state_dir());
        assert!(kept.iter().all(|(_, sound)| *sound), "{kept:?}");
        if kept.len() == 7 { Ok(()) } else { Err(format!("{} of 7 artifacts", kept.len())) }
    })
    .unwrap();
    agreed(&mesh);
    let image = image(6);
    for node in mesh.nodes() {
        let reply = bundle().ask(&node.client().unwrap(), &image).unwrap();
        let status = node.status().unwrap();
        assert_eq!(reply.logits, bundle().expected(&image, &reply, &status));
    }
}

#[test]
fn a_new_version_takes_over_without_a_failed_request() {
    let mesh = serving(3);
    let load = Load::start(&mesh, &[0, 1, 2], &[0, 1, 2]);
    load.answer(20);
    mesh.deploy(&newer_bundle().path()).unwrap();
    mesh.wait("all serve the new one", PATIENCE, |status| match &status.bundle {
        Some(served) if served.digest == newer_bundle().digest() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    let status = agreed(&mesh);
    load.answer(20);
    let tally = load.stop();
    assert!(tally.failed.is_empty() && tally.degraded.is_empty() && tally.retried == 0, "{tally:?}");
    let image = image(7);
    for node in mesh.nodes() {
        let reply = newer_bundle().ask(&node.client().unwrap(), &image).unwrap();
        assert_eq!(reply.logits, newer_bundle().expected(&image, &reply, &status));
    }
}
