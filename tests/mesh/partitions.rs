//! Networks cut in two and healed, and links that lose one way only.

use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin_netsim::harness::{Mesh, wait_until};

use crate::support::{Load, PATIENCE, agreed, bundle, epoch, image, serving};

#[test]
fn both_sides_of_a_partition_answer_and_after_healing_there_is_one_leader_and_one_plan() {
    let mesh = serving(5);
    let before = agreed(&mesh);
    let (left, right) = ([0, 1], [2, 3, 4]);
    let loads = [Load::start(&mesh, &left, &left), Load::start(&mesh, &right, &right)];
    loads.iter().for_each(|load| load.answer(10));
    mesh.partition(&[&left, &right]).unwrap();
    for side in [&left[..], &right] {
        side_is_whole(&mesh, side);
    }
    let leaders = [left[0], right[0]].map(|node| mesh.nodes()[node].status().unwrap().leader);
    assert_ne!(leaders[0], leaders[1], "each side leads itself");
    let degraded: Vec<usize> = loads.iter().map(|load| load.tally().degraded.len()).collect();
    loads.iter().for_each(|load| load.answer(20));
    let later: Vec<usize> = loads.iter().map(|load| load.tally().degraded.len()).collect();
    assert!(
        later.iter().zip(&degraded).all(|(l, d)| *l <= d + 2),
        "whole sides answer in full: {degraded:?}, {later:?}"
    );
    mesh.heal().unwrap();
    let after = agreed(&mesh);
    assert!(epoch(&after) > epoch(&before));
    let healed: Vec<usize> = loads.iter().map(|load| load.tally().degraded.len()).collect();
    loads.iter().for_each(|load| load.answer(10));
    for (load, healed) in loads.into_iter().zip(healed) {
        let tally = load.stop();
        assert!(tally.failed.is_empty(), "{tally:?}");
        assert!(tally.degraded.len() <= healed, "healing serves no less than either side did: {tally:?}");
    }
}

#[test]
fn a_link_that_loses_one_way_only_stops_no_request_and_ends_in_one_view() {
    let mesh = serving(4);
    let before = agreed(&mesh);
    let deaf = mesh.nodes()[3].id().unwrap();
    let load = Load::start(&mesh, &[0, 1, 2, 3], &[0, 1, 2]);
    load.answer(20);
    let others: Vec<(NodeId, &str)> = (0..2).map(|n| (mesh.nodes()[n].id().unwrap(), "inbound")).collect();
    mesh.nodes()[3].block(&others).unwrap();
    wait_until("those it cannot hear notice", PATIENCE, || {
        let status = mesh.nodes()[0].status().map_err(|e| e.to_string())?;
        let member = status.members.iter().find(|m| m.node == deaf).unwrap();
        if member.routable { Err("still routable".to_owned()) } else { Ok(()) }
    })
    .unwrap();
    load.answer(40);
    mesh.heal().unwrap();
    let after = agreed(&mesh);
    load.answer(20);
    let tally = load.stop();
    assert!(epoch(&after) >= epoch(&before));
    assert!(tally.failed.is_empty() && tally.degraded.is_empty(), "{tally:?}");
}

#[test]
fn a_node_cut_off_alone_answers_with_every_part_and_says_whom_it_lacks() {
    let mesh = serving(3);
    mesh.partition(&[&[0], &[1, 2]]).unwrap();
    side_is_whole(&mesh, &[0]);
    let status = mesh.nodes()[0].status().unwrap();
    assert_eq!(status.members.iter().filter(|m| m.state == State::Down).count(), 2);
    let reply = bundle().ask(&mesh.nodes()[0].client().unwrap(), &image(3)).unwrap();
    assert!(!reply.is_degraded());
    mesh.heal().unwrap();
    agreed(&mesh);
}

/// Waits until every node of a side leads or follows one of it and has every part served by it alone: everybody holds the whole
/// bundle, so every side can be whole.
fn side_is_whole(mesh: &Mesh, side: &[usize]) {
    let ids: Vec<NodeId> = side.iter().map(|n| mesh.nodes()[*n].id().unwrap()).collect();
    wait_until("the side serves itself", PATIENCE, || {
        for node in side {
            let status = mesh.nodes()[*node].status().map_err(|e| e.to_string())?;
            if status.leader.is_none_or(|leader| !ids.contains(&leader)) {
                return Err(format!("the leader is {:?}", status.leader));
            }
            let all_ours = status
                .parts
                .iter()
                .all(|p| !p.group.is_empty() && p.group.iter().all(|id| ids.contains(id) && p.ready.contains(id)));
            if !all_ours {
                return Err(format!("{:?}", status.parts));
            }
        }
        Ok(())
    })
    .unwrap();
}
