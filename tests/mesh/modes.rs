//! Replicas asked one after the other, and compared with each other; one of them lies.

use rocoin::id::NodeId;
use rocoin::inference::Mode;
use rocoin_netsim::harness::{Client, ClientError, Mesh, NodeOptions, wait_until};

use crate::support::{PATIENCE, agreed, binary, bundle, image, well_options};

/// Three nodes so unreliable that each of the three parts gets all of them as replicas.
fn three_of_each_part() -> Mesh {
    let unreliable = |n: usize| {
        let options = well_options(&format!("node{n}"));
        let flags = options.flags.into_iter().map(|flag| if flag == "0.2" { "0.3".to_owned() } else { flag });
        NodeOptions { flags: flags.collect(), ..options }
    };
    let mut mesh = Mesh::new(&binary()).unwrap();
    mesh.start_all((0..3).map(unreliable).collect()).unwrap();
    mesh.deploy(&bundle().path()).unwrap();
    let status = agreed(&mesh);
    assert!(status.parts.iter().all(|part| part.ready.len() == 3), "{:?}", status.parts);
    mesh
}

fn client(mesh: &Mesh, mode: Mode) -> Client {
    mesh.nodes()[0].client().unwrap().in_mode(Some(mode))
}

#[test]
fn a_node_that_lies_is_outvoted_named_counted_and_left_out_until_it_tells_the_truth_again() {
    let mesh = three_of_each_part();
    let plan = agreed(&mesh);
    let liar: NodeId = mesh.nodes()[2].id().unwrap();
    mesh.nodes()[2].lie(true).unwrap();
    let verify = client(&mesh, Mode::Verify);
    let (mut asked, mut named) = (0, 0);
    wait_until("the liar is named again and again", PATIENCE, || {
        let image = image(asked);
        asked += 1;
        let reply = bundle().ask(&verify, &image).map_err(|e| e.to_string())?;
        assert_eq!(reply.logits, bundle().expected(&image, &reply, &plan), "{reply:?}");
        assert_eq!((reply.mode.as_str(), reply.replicas_asked), ("verify", 9));
        assert_eq!(reply.verified_parts, Some(vec![0, 1, 2]));
        assert!(reply.disagreements.iter().all(|d| d.replica == liar.to_string() && d.outvoted), "{reply:?}");
        named += u64::from(!reply.disagreements.is_empty());
        // It is not, where it answers much later than the others.
        if named < 5 { Err(format!("{named} of {asked}")) } else { Ok(()) }
    })
    .unwrap();
    let standing = || {
        let status = mesh.nodes()[0].status().unwrap();
        status.members.into_iter().find(|member| member.node == liar).unwrap()
    };
    let member = standing();
    assert!(member.outvoted >= 5 && member.distrusted && member.routable, "{member:?}");
    assert!(mesh.nodes()[0].log().contains("answers otherwise for part"), "{}", mesh.nodes()[0].log_tail());

    for mode in [Mode::All, Mode::Hedged] {
        for n in 0..5 {
            let image = image(n);
            let reply = bundle().ask(&client(&mesh, mode), &image).unwrap();
            assert_eq!(reply.logits, bundle().expected(&image, &reply, &plan), "image {n}, mode {mode}");
            assert!(!reply.replicas.contains(&liar.to_string()), "{reply:?}");
        }
    }

    mesh.nodes()[2].lie(false).unwrap();
    let reply = bundle().ask(&verify, &image(9)).unwrap();
    assert_eq!((reply.verified_parts, reply.disagreements), (Some(vec![0, 1, 2]), vec![]));
    assert_eq!(agreed(&mesh).epoch, plan.epoch, "nobody was given up, nothing was planned anew");
}

#[test]
fn in_mode_hedged_one_replica_of_each_part_is_asked_and_a_frozen_one_costs_no_answer() {
    let mut mesh = three_of_each_part();
    let plan = agreed(&mesh);
    let hedged = client(&mesh, Mode::Hedged);
    let ask = |n: u64| {
        let reply = bundle().ask(&hedged, &image(n)).unwrap();
        assert!(!reply.is_degraded(), "{reply:?}");
        assert_eq!(reply.replicas_asked, 3 + reply.hedges.unwrap(), "{reply:?}");
        reply
    };
    let mut asked = 0;
    wait_until("the first is soon enough for every part", PATIENCE, || {
        asked += 1;
        let reply = ask(asked);
        assert_eq!(reply.logits, bundle().expected(&image(asked), &reply, &plan), "{reply:?}");
        if reply.hedges == Some(0) { Ok(()) } else { Err(format!("{:?}", reply.hedges)) }
    })
    .unwrap();
    mesh.node(1).freeze().unwrap();
    for n in 100..120 {
        ask(n);
    }
}

#[test]
fn without_fault_injection_no_node_can_be_told_to_lie() {
    let mut mesh = Mesh::new(&binary()).unwrap();
    mesh.start(NodeOptions {
        flags: ["--flops-per-s", "1e9"].map(str::to_owned).to_vec(),
        ..NodeOptions::named("honest")
    })
    .unwrap();
    let refused = mesh.nodes()[0].client().unwrap().set_faults(&serde_json::json!({ "lie": true }));
    assert!(matches!(refused, Err(ClientError::Refused { status: 404, .. })), "{refused:?}");
}
