//! Nodes that are told to stop.

use rocoin_netsim::harness::{NodeOptions, wait_until};

use crate::support::{Load, PATIENCE, agreed, bundle, image, serving, start, well_options};

#[test]
fn a_node_that_is_told_to_stop_loses_no_request_and_is_gone_from_the_view() {
    let mut mesh = serving(4);
    let leaving = mesh.index_of(agreed(&mesh).leader.unwrap()).unwrap();
    let id = mesh.node(leaving).id().unwrap();
    let rest: Vec<usize> = (0..4).filter(|n| *n != leaving).collect();
    let load = Load::start(&mesh, &[0, 1, 2, 3], &rest);
    load.answer(20);
    assert_eq!(mesh.node(leaving).stop().unwrap(), Some(0));
    agreed(&mesh);
    load.answer(20);
    let tally = load.stop();
    assert!(tally.failed.is_empty() && tally.degraded.is_empty(), "{tally:?}");
    let status = mesh.nodes()[rest[0]].status().unwrap();
    assert!(status.members.iter().all(|m| m.node != id), "it said farewell: {:?}", status.members);
}

#[test]
fn a_request_under_way_is_answered_before_the_node_leaves() {
    let mut mesh = start(0);
    let seconds_a_run = 0.5;
    mesh.start(NodeOptions {
        emulate_flops_per_s: Some(bundle().smallest_flops() / seconds_a_run),
        ..well_options("slow")
    })
    .unwrap();
    mesh.deploy(&bundle().path()).unwrap();
    let client = mesh.node(0).client().unwrap();
    let asking = std::thread::spawn(move || bundle().ask(&client, &image(1)));
    wait_until("the request is under way", PATIENCE, || {
        let open = mesh.nodes()[0].status().map_err(|e| e.to_string())?.open_requests;
        if open == 1 { Ok(()) } else { Err(format!("{open} open")) }
    })
    .unwrap();
    assert_eq!(mesh.node(0).stop().unwrap(), Some(0));
    assert!(!asking.join().unwrap().unwrap().is_degraded());
}
