//! Faults that loopback and files are enough for.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::support::{BINARY, address, doctor, examine, mesh, node, text};

#[test]
fn a_node_is_met_and_neither_it_nor_any_file_is_changed_by_that() {
    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let (key, at) = (mesh.fleet_key(), address(&mesh, 0, "/ip4/127"));
    let state = mesh.node(0).state_dir();
    let files = || {
        let mut files: Vec<_> = fs::read_dir(&state).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let (before, log) = (files(), mesh.nodes()[0].log());
    let said = doctor(&["--fleet-key-file", text(&key), "--against", &at]);
    assert!(said.has("well", "target-met") && said.has("well", "key-usable"), "{said:?}");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(files(), before);
    assert_eq!(mesh.nodes()[0].log(), log, "the node has nothing to tell of the visit");
    assert_eq!(mesh.nodes()[0].status().unwrap().members.len(), 1, "the visitor is no member");
}

#[test]
fn a_multiaddr_that_names_another_node_is_told() {
    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let at = mesh.nodes()[0].announcement().unwrap().addresses[0].clone();
    let key = mesh.fleet_key();
    let other = "12D3KooWGRUzGhNBzXpKkHxPMQUAWTKDH8mMTtDZtnTxYLsG8qWz";
    let said = doctor(&["--fleet-key-file", text(&key), "--against", &format!("{at}/p2p/{other}")]);
    assert_eq!((said.wrong(), said.code), (vec!["target-other-peer"], Some(1)));
}

#[test]
fn another_fleet_key_is_told_from_a_node_without_one_and_from_other_listeners() {
    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let at = address(&mesh, 0, "/ip4/127");
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.key");
    mesh.run(&["fleet", "init", "--key-file", text(&other)]).unwrap();

    let said = doctor(&["--fleet-key-file", text(&other), "--against", &at]);
    assert_eq!((said.wrong(), said.code), (vec!["target-other-key"], Some(1)));
    assert!(said.remedies("target-other-key").contains("fingerprint"), "{said:?}");

    let said = doctor(&["--open", "--against", &at]);
    assert_eq!(said.wrong(), ["target-other-key"], "a private node is known by how it begins");

    let said = doctor(&["--against", &at]);
    assert!(said.has("notice", "target-key-needed") && said.code == Some(0), "{said:?}");

    let http = mesh.nodes()[0].announcement().unwrap().http.clone();
    let said = doctor(&["--fleet-key-file", text(&other), "--against", &http]);
    assert_eq!(said.wrong(), ["target-is-http"]);
}

#[test]
fn a_node_that_was_not_given_the_new_key_yet_is_met_with_the_one_before() {
    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let at = address(&mesh, 0, "/ip4/127");
    let dir = tempfile::tempdir().unwrap();
    let changed = dir.path().join("changed.key");
    fs::copy(mesh.fleet_key(), &changed).unwrap();
    mesh.run(&["fleet", "rotate", "--key-file", text(&changed)]).unwrap();
    let said = doctor(&["--fleet-key-file", text(&changed), "--against", &at]);
    assert!(said.has("well", "target-met") && said.code == Some(0), "{said:?}");
    mesh.run(&["fleet", "retire", "--key-file", text(&changed)]).unwrap();
    let said = doctor(&["--fleet-key-file", text(&changed), "--against", &at]);
    assert_eq!(said.wrong(), ["target-other-key"]);
}

#[test]
fn a_node_that_lets_in_only_others_turns_the_visitor_away() {
    let mut mesh = mesh();
    let nobody = "00".repeat(32);
    mesh.start(node("first", &["--allow", &nobody], None)).unwrap();
    let (key, at) = (mesh.fleet_key(), address(&mesh, 0, "/ip4/127"));
    let said = doctor(&["--fleet-key-file", text(&key), "--against", &at]);
    assert_eq!(said.wrong(), ["target-turned-away"]);
}

#[test]
fn a_closed_port_is_told_with_how_to_listen_there() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = doctor(&["--against", &gone.to_string()]);
    assert_eq!((said.wrong(), said.code), (vec!["target-refused"], Some(1)));
    assert!(said.remedies("target-refused").contains(&format!("--listen /ip4/0.0.0.0/tcp/{}", gone.port())));
}

#[test]
fn a_taken_port_is_told_and_a_node_that_has_it_by_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    let said = doctor(&["--listen", &listen]);
    assert_eq!((said.wrong(), said.code), (vec!["port-taken"], Some(1)));

    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let listen = mesh.nodes()[0].announcement().unwrap().addresses[0].clone();
    let key = mesh.fleet_key();
    let said = doctor(&["--fleet-key-file", text(&key), "--listen", &listen]);
    assert_eq!(said.wrong(), ["port-taken-by-node"]);
}

#[test]
fn the_node_that_runs_here_is_asked_what_it_sees() {
    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let (state, key) = (mesh.node(0).state_dir(), mesh.fleet_key());
    let announcement = mesh.nodes()[0].announcement().unwrap().clone();
    let said = doctor(&[
        "--fleet-key-file",
        text(&key),
        "--state-dir",
        text(&state),
        "--http",
        &announcement.http,
        "--listen",
        &announcement.addresses[0],
        "--against",
        &address(&mesh, 0, "/ip4/127"),
    ]);
    assert_eq!((said.wrong(), said.code), (vec![], Some(0)));
    for (verdict, code) in [
        ("notice", "node-alone"),
        ("well", "port-held-by-this-node"),
        ("well", "target-is-this-node"),
        ("well", "folder-kept"),
    ] {
        assert!(said.has(verdict, code), "{code}: {said:?}");
    }
}

#[test]
fn a_clock_that_differs_from_a_nodes_is_told() {
    let mut mesh = mesh();
    mesh.start(node("first", &[], None)).unwrap();
    let http = format!("http://{}", mesh.nodes()[0].announcement().unwrap().http);
    let said = doctor(&["--against", &http]);
    assert!(said.has("well", "clock-agrees") && said.has("well", "target-http-answers"), "{said:?}");

    // The same node's answer, with the date of a board without a battery.
    let status = serde_json::to_string(&mesh.nodes()[0].status().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let late = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        let date = "Thu, 01 Jan 1970 00:10:00 GMT";
        let head =
            format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", status.len());
        stream.write_all((head + &status).as_bytes()).unwrap();
    });
    let said = doctor(&["--against", &late]);
    server.join().unwrap();
    assert!(said.has("notice", "clock-differs"), "{said:?}");
}

#[test]
fn a_key_that_others_can_read_is_absent_or_damaged_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("fleet.key");
    assert_eq!(doctor(&["--fleet-key-file", text(&key)]).wrong(), ["key-absent"]);
    fs::write(&key, "nonsense").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(doctor(&["--fleet-key-file", text(&key)]).wrong(), ["key-damaged"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = doctor(&["--fleet-key-file", text(&key)]);
    assert_eq!((said.wrong(), said.code), (vec!["key-readable-by-others"], Some(1)));
    assert!(said.remedies("key-readable-by-others").contains("chmod 600"));
}

/// A user that has no rights anywhere.
const NOBODY: u32 = 65_534;

#[test]
fn a_key_that_this_user_cannot_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // A program and a folder that nobody, the user, can reach.
    let program = dir.path().join("rocoin");
    if fs::hard_link(BINARY, &program).is_err() {
        fs::copy(BINARY, &program).unwrap();
    }
    let key = dir.path().join("fleet.key");
    fs::write(&key, "secret").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(&program);
    command.uid(NOBODY);
    if let Err(e) = Command::new(&program).uid(NOBODY).arg("--version").output() {
        println!("skipped: this user cannot run a program as another one: {e}");
        return;
    }
    let said = examine(command, &["--no-mdns", "--fleet-key-file", text(&key), "--state-dir", "/nowhere/rocoin"]);
    assert!(said.wrong().contains(&"key-unreadable"), "{said:?}");
    assert!(said.wrong().contains(&"folder-unwritable"), "nor can it write there: {said:?}");
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_full_disk_is_told() {
    let dir = tempfile::tempdir().unwrap();
    // In a mount namespace of its own, so that nothing of it is left.
    let script = format!(
        "mount -t tmpfs -o size=256k tmpfs {0} || exit 77; mkdir {0}/state; \
         dd if=/dev/zero of={0}/fill bs=4k 2>/dev/null; exec {BINARY} \"$@\"",
        text(dir.path())
    );
    let probe = Command::new("unshare").args(["-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        println!("skipped: no disk can be made small here: {probe:?}");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    let said = examine(command, &["--no-mdns", "--state-dir", text(&dir.path().join("state"))]);
    assert_eq!((said.wrong(), said.code), (vec!["disk-full"], Some(1)));
    assert!(!Path::new(&dir.path().join("state")).exists(), "the small disk was the doctor's alone");
}
