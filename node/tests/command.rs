//! The command `rocoin` as a user meets it: exit codes and what errors say.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use rocoin_netsim::harness::{HarnessError, Mesh, NodeOptions};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_rocoin");

fn rocoin(arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    for name in ["ROCOIN_FLEET_KEY_FILE", "ROCOIN_OPEN", "COLUMNS"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

/// Exit code and standard error.
fn failing(arguments: &[&str]) -> (Option<i32>, String) {
    let output = rocoin(arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with a fleet key.
fn fleet() -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let key = text(&dir.path().join("fleet.key")).to_owned();
    assert!(rocoin(&["fleet", "init", "--key-file", &key]).status.success());
    (dir, key)
}

/// What a node that does not start prints; none of these listens anywhere.
fn refused_node(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let state = dir.path().join("state");
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/0"];
    node_on(&state, &[&listen[..], arguments].concat())
}

/// What a node on this state folder prints that does not start.
fn node_on(state: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let node = ["node", "--state-dir", text(state), "--no-mdns", "--flops-per-s", "1e9"];
    failing(&[&node[..], arguments].concat())
}

#[test]
fn help_lists_every_command() {
    let output = rocoin(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for command in ["node", "fleet", "deploy", "infer", "status", "top", "doctor", "plan", "distill", "sim"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not in:\n{help}");
        assert!(rocoin(&[command, "--help"]).status.success(), "{command} --help");
    }
}

/// All commands, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = String::from_utf8(rocoin(&["--help"]).stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_shell_is_told_every_command() {
    let commands = commands();
    assert!(commands.len() >= 12, "{commands:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = rocoin(&["completions", shell]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in commands.iter().map(String::as_str).chain(["rotate", "retire", "--fleet-key-file", "--min-parts"]) {
            // Fish writes flags without their dashes.
            assert!(script.contains(word.trim_start_matches('-')), "{shell} is not told {word}");
        }
    }
    let (code, error) = failing(&["completions", "tcsh"]);
    assert!(code == Some(2) && error.contains("fish"), "{error}");
}

#[test]
fn every_command_has_a_manual_page_that_says_what_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("share/man/man1");
    assert!(rocoin(&["man", text(&folder)]).status.success());
    let below = ["fleet-init", "fleet-rotate", "fleet-retire", "distill-merge", "sim-run"].map(str::to_owned);
    let pages = commands().into_iter().chain(below).map(|command| format!("rocoin-{command}"));
    for name in pages.chain(["rocoin".to_owned()]) {
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        let section = |title: &str| {
            let lines = page.lines().skip_while(|line| *line != format!(".SH {title}")).skip(1);
            lines.take_while(|line| !line.starts_with(".SH")).collect::<Vec<_>>().join("\n")
        };
        let (_, short) = section("NAME").split_once(" \\- ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(short.len() > 10 && section("DESCRIPTION").len() > 10, "{name}:\n{page}");
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!page.contains(".SH DESCRIPTION\n.SH"), "{page}");
    }
    assert!(!folder.join("rocoin-help.1").exists());
}

#[test]
fn wrong_usage_exits_with_2_and_names_what_is_wrong() {
    for (arguments, needle) in [
        (&["nonsense"][..], "nonsense"),
        (&["node", "--no-such-flag"], "--no-such-flag"),
        (&["infer"], "FILE"),
        (&["infer", "--deadline-ms", "0", "x.npy"], "--deadline-ms"),
        (&["node", "--listen", "nowhere"], "--listen"),
        (&["top", "--interval", "0"], "--interval"),
        (&["doctor", "--against", "nowhere"], "HOST:PORT"),
        (&["distill", "--teacher", "t.onnx", "--data", "d", "--out", "b"], "--parts <K>"),
        (&["distill", "--teacher", "t.onnx", "--data", "d", "--out", "b", "--parts", "4"], "--zoo <ARCH>"),
        (&["distill", "merge", "a.work", "--out", "b"], "--teacher <ONNX>"),
    ] {
        let (code, error) = failing(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        assert!(error.contains(needle), "{arguments:?}: {error}");
    }
}

#[test]
fn a_node_without_a_fleet_key_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let (code, error) = refused_node(&dir, &["--http", "127.0.0.1:0"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("rocoin fleet init") && error.contains("--open"), "{error}");
}

#[test]
fn asking_nobody_fails_and_says_where_nobody_is() {
    // Bound, and then let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for arguments in [
        &["infer", "x.npy", "--node", &address][..],
        &["status", "--node", &address],
        &["top", "--node", &address],
        &["top", "--once", "--node", &address],
    ] {
        let (code, error) = failing(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        assert!(error.contains("cannot reach the node") && error.contains(&address), "{error}");
    }
}

#[test]
fn a_fleet_key_is_never_overwritten() {
    let (_dir, key) = fleet();
    let before = fs::read(&key).unwrap();
    let (code, error) = failing(&["fleet", "init", "--key-file", &key]);
    assert_eq!(code, Some(1));
    assert!(error.contains(&key) && error.contains("no key was made"), "{error}");
    assert_eq!(fs::read(&key).unwrap(), before);
}

#[test]
fn programs_get_the_new_keys_place_and_fingerprint_and_nothing_of_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = text(&dir.path().join("fleet.key")).to_owned();
    let output = rocoin(&["fleet", "init", "--json", "--key-file", &key]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let fingerprint = value["fingerprint"].as_str().unwrap();
    assert_eq!(
        value,
        serde_json::json!({"schema": "rocoin.fleet-init/1", "key_file": key, "fingerprint": fingerprint})
    );
    let secret = fs::read_to_string(&key).unwrap();
    assert!(!secret.contains(fingerprint), "{secret}");

    let again = rocoin(&["fleet", "init", "--json", "--key-file", &key]);
    assert_eq!(again.status.code(), Some(1));
    assert!(again.stdout.is_empty() && !again.stderr.is_empty(), "{again:?}");
}

#[test]
fn a_distillation_that_fails_leaves_standard_output_empty_for_programs() {
    // A build without training refuses all, one with it refuses these files: either way the reason is on standard error.
    let files = ["--teacher", "/nowhere/t.onnx", "--data", "/nowhere", "--json"];
    let out = tempfile::tempdir().unwrap();
    let bundle = text(&out.path().join("bundle")).to_owned();
    let made = ["--parts", "2", "--zoo", "wrn-10-1", "--out", &bundle];
    for arguments in [
        [&["distill"][..], &files, &made].concat(),
        [&["distill"][..], &files, &["--list-feature-tensors"]].concat(),
        [&["distill", "merge", "/nowhere.work"][..], &files, &["--out", &bundle]].concat(),
    ] {
        let output = rocoin(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty() && error.starts_with("error: "), "{arguments:?}: {error}");
        assert!(error.contains("/nowhere") || error.contains("--features distill"), "{arguments:?}: {error}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    let (dir, key) = fleet();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, error) = refused_node(&dir, &["--http", "127.0.0.1:0", "--fleet-key-file", &key]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let (dir, key) = fleet();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, error) = refused_node(&dir, &["--http", &address, "--fleet-key-file", &key]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(&address) && error.contains("--http"), "{error}");
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let state = dir.path().join("state2");
    let (code, error) = node_on(&state, &["--http", "127.0.0.1:0", "--fleet-key-file", &key, "--listen", &listen]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(&listen), "{error}");
}

#[test]
fn two_nodes_on_one_state_folder_are_refused_by_name() {
    let mut mesh = Mesh::new(Path::new(BINARY)).unwrap();
    let flags = ["--flops-per-s", "1e9"].map(str::to_owned).to_vec();
    let first = mesh.start(NodeOptions { flags, ..NodeOptions::named("first") }).unwrap();
    let state = mesh.node(first).state_dir();
    let key = mesh.fleet_key();
    let listen = "/ip4/127.0.0.1/tcp/0";
    let (code, error) = node_on(&state, &["--http", "127.0.0.1:0", "--fleet-key-file", text(&key), "--listen", listen]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(text(&state)) && error.contains("in use by another node"), "{error}");
    assert!(mesh.node(first).status().is_ok(), "the first goes on");
}

#[test]
fn top_prints_one_frame_of_a_node_where_there_is_no_terminal() {
    let mut mesh = Mesh::new(Path::new(BINARY)).unwrap();
    let flags = ["--flops-per-s", "1e9"].map(str::to_owned).to_vec();
    let node = mesh.start(NodeOptions { flags, ..NodeOptions::named("kitchen") }).unwrap();
    let address = mesh.node(node).announcement().unwrap().http.clone();
    for arguments in [&["top", "--node", &address][..], &["top", "--once", "--node", &address]] {
        let output = rocoin(arguments);
        let (frame, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && error.is_empty(), "{error}");
        for told in ["kitchen (", "no bundle", "1 of 1 alive", "0 answered, 0 degraded, 0 failed", "what happened"] {
            assert!(frame.contains(told), "{told} is not in:\n{frame}");
        }
        assert!(frame.lines().all(|line| line.chars().count() <= 80) && !frame.contains('\u{1b}'), "{frame}");
    }
}

#[test]
fn a_bundle_whose_student_is_not_what_the_manifest_says_is_not_deployed() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = serde_json::json!({
        "schema": "rocoin.bundle/1", "name": "tiny", "version": "1", "classes": 1, "labels": ["a"],
        "input": { "name": "image", "shape": [1, 1, 1], "dtype": "FP32",
                   "preprocess": { "scale": 1.0, "mean": [0.0], "std": [1.0] } },
        "teacher": { "sha256": "", "accuracy": 0.5 }, "data": { "name": "tiny", "sha256": "" },
        "parts": [{ "part": 0, "filters": [0], "students": [{
            "arch": "wrn-10-1", "precision": "f32", "file": "student.onnx", "sha256": "00".repeat(32),
            "bytes": 7, "memory_bytes": 1, "flops": 1, "params": 1 }] }],
        "merge": { "kind": "sum", "bias": [0.0] }, "accuracy": [], "training": null,
    });
    fs::write(dir.path().join("manifest.json"), manifest.to_string()).unwrap();
    fs::write(dir.path().join("student.onnx"), b"student").unwrap();
    let mut mesh = Mesh::new(Path::new(BINARY)).unwrap();
    let flags = ["--flops-per-s", "1e9"].map(str::to_owned).to_vec();
    let node = mesh.start(NodeOptions { flags, ..NodeOptions::named("node") }).unwrap();
    let Err(HarnessError::Command { output, .. }) = mesh.deploy(dir.path()) else { panic!("it was deployed") };
    assert!(output.contains("student.onnx") && output.contains(&"00".repeat(8)), "{output}");
    assert!(mesh.node(node).status().unwrap().bundle.is_none());
}
