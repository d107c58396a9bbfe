//! What would be deployed, and on what: `deploy --dry-run` and `fleet export` beside a node that runs.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rocoin_netsim::harness::{Mesh, NodeOptions};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_rocoin");

fn bundle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bundles/fashion-mnist")
}

fn rocoin(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// One node that is alone, and where its HTTP interface is. What it observes changes nothing of what it plans.
fn alone(failure_probability: &str) -> (Mesh, String) {
    let mut mesh = Mesh::new(Path::new(BINARY)).unwrap();
    let flags = ["--flops-per-s", "1e9", "--failure-probability", failure_probability].map(str::to_owned).to_vec();
    let node = mesh.start(NodeOptions { flags, memory_bytes: Some(64 << 20), ..NodeOptions::named("pi") }).unwrap();
    mesh.wait("it leads", std::time::Duration::from_secs(30), |status| match status.leader {
        Some(_) => Ok(()),
        None => Err("nobody leads".to_owned()),
    })
    .unwrap();
    let http = mesh.node(node).announcement().unwrap().http.clone();
    (mesh, http)
}

#[test]
fn a_dry_run_tells_what_deploying_then_does_and_gives_nothing_to_anybody() {
    let (mesh, http) = alone("0.001");
    let (path, folder) = (bundle(), tempfile::tempdir().unwrap());
    let path = path.to_str().unwrap();
    let dry_run = || {
        let output = rocoin(&["deploy", path, "--dry-run", "--json", "--node", &http]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let told = dry_run();
    assert_eq!((&told["schema"], &told["deployed"]), (&json!("rocoin.deploy-plan/1"), &json!(false)));
    let groups = told["plan"]["groups"].as_array().unwrap().clone();
    assert!(groups.len() == 4 && groups.iter().all(|group| group["devices"] == json!(["pi"])), "{groups:?}");
    let status = mesh.nodes()[0].status().unwrap();
    assert!(status.bundle.is_none() && status.members[0].bundles.is_empty(), "{status:?}");

    mesh.deploy(Path::new(path)).unwrap();
    let status = mesh.nodes()[0].status().unwrap();
    let students: Vec<_> = status.parts.iter().map(|part| part.student.clone().unwrap()).collect();
    let planned: Vec<_> = groups.iter().map(|group| group["student"]["arch"].as_str().unwrap().to_owned()).collect();
    assert_eq!(students, planned);
    let told = dry_run();
    assert_eq!((&told["deployed"], &told["devices"]), (&json!(true), &json!([])));
    let page = rocoin(&["deploy", path, "--dry-run", "--node", &http]);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("Nothing was sent") && page.contains("No device loads or unloads anything"), "{page}");

    // The same plan from the mesh as a file.
    let file = folder.path().join("fleet.toml");
    let exported = rocoin(&["fleet", "export", "--node", &http]);
    assert!(exported.status.success() && exported.stderr.is_empty(), "{exported:?}");
    fs::write(&file, exported.stdout).unwrap();
    let plan = rocoin(&["plan", "--fleet", file.to_str().unwrap(), "--bundle", path, "--json"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["groups"], Value::Array(groups));
}

#[test]
fn a_plan_that_would_not_be_feasible_is_shown_and_fails_with_its_reasons() {
    let (_mesh, http) = alone("0.3");
    let path = bundle();
    let output = rocoin(&["deploy", path.to_str().unwrap(), "--dry-run", "--json", "--node", &http]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("not feasible") && error.contains("group_failure_max") && error.contains("(pi)"), "{error}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["plan"]["feasible"], false);
}

#[test]
fn what_cannot_be_planned_is_an_error_that_says_what_is_wrong() {
    // Bound, and then let go: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let path = bundle();
    for arguments in [
        &["deploy", path.to_str().unwrap(), "--dry-run", "--node", &nobody][..],
        &["fleet", "export", "--node", &nobody],
    ] {
        let output = rocoin(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{error}");
        assert!(error.contains("cannot reach the node") && error.contains(&nobody), "{error}");
    }

    let damaged = tempfile::tempdir().unwrap();
    for file in fs::read_dir(&path).unwrap().flatten().filter(|file| file.path().is_file()) {
        fs::copy(file.path(), damaged.path().join(file.file_name())).unwrap();
    }
    let student = damaged.path().join("part2-wrn-10-1-f32.onnx");
    let mut bytes = fs::read(&student).unwrap();
    bytes[100] ^= 1;
    fs::write(&student, bytes).unwrap();
    let output = rocoin(&["deploy", damaged.path().to_str().unwrap(), "--dry-run", "--node", &nobody]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("part2-wrn-10-1-f32.onnx"), "{error}");
    assert!(!error.contains("cannot reach"), "the bundle is checked before anybody is asked: {error}");
}
