//! Two nodes in two network namespaces that meet by multicast alone.
//!
//! It needs root and `ip` on Linux; elsewhere it says so and does nothing.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rocoin::membership::State;
use rocoin::node::NodeSnapshot;
use rocoin_netsim::harness::{Announcement, wait_until};
use tempfile::TempDir;

use crate::support::{PATIENCE, binary};

#[test]
fn two_nodes_in_two_namespaces_meet_by_mdns_alone() {
    let lab = match Lab::new() {
        Ok(lab) => lab,
        Err(reason) => {
            println!("skipped: two namespaces cannot be had here: {reason}");
            return;
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("fleet.key");
    run(Command::new(binary()).args(["fleet", "init", "--key-file"]).arg(&key)).unwrap();
    let nodes = [0, 1].map(|side| Node::start(&lab, side, &dir, &key));
    for node in &nodes {
        wait_until("the other is alive", PATIENCE, || {
            let status = node.status()?;
            let alive = status.members.iter().filter(|m| m.state == State::Alive && m.routable).count();
            if alive == 2 { Ok(()) } else { Err(format!("{alive} of 2 members; its log:\n{}", node.log())) }
        })
        .unwrap();
    }
}

/// Two namespaces, joined by one cable. They go when this is dropped.
struct Lab {
    names: [String; 2],
}

impl Lab {
    fn new() -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("this is not Linux".to_owned());
        }
        let pid = std::process::id();
        let lab = Self { names: ["a", "b"].map(|side| format!("rc{pid}{side}")) };
        let [a, b] = &lab.names;
        ip(&["netns", "add", a])?;
        ip(&["netns", "add", b])?;
        ip(&["link", "add", a, "netns", a, "type", "veth", "peer", "name", b, "netns", b])?;
        for (side, name) in lab.names.iter().enumerate() {
            ip(&["-n", name, "link", "set", "lo", "up"])?;
            ip(&["-n", name, "addr", "add", &format!("{}/24", lab.address(side)), "dev", name])?;
            ip(&["-n", name, "link", "set", name, "up"])?;
            ip(&["-n", name, "route", "add", "224.0.0.0/4", "dev", name])?;
        }
        Ok(lab)
    }

    fn address(&self, side: usize) -> String {
        format!("10.77.0.{}", side + 1)
    }

    fn inside(&self, side: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[side]]).arg(binary());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

/// A node in one of the namespaces; killed when it is dropped.
struct Node<'a> {
    lab: &'a Lab,
    side: usize,
    dir: std::path::PathBuf,
    http: String,
    process: Child,
}

impl<'a> Node<'a> {
    fn start(lab: &'a Lab, side: usize, dir: &TempDir, key: &Path) -> Self {
        let dir = dir.path().join(format!("node{side}"));
        fs::create_dir(&dir).unwrap();
        let announce = dir.join("announce.json");
        let log = fs::File::create(dir.join("log")).unwrap();
        let process = lab
            .inside(side)
            .args(["node", "--http", "127.0.0.1:0", "--flops-per-s", "1e9", "--stop-with-stdin"])
            .args(["--listen", &format!("/ip4/{}/tcp/0", lab.address(side))])
            .arg("--state-dir")
            .arg(dir.join("state"))
            .arg("--fleet-key-file")
            .arg(key)
            .arg("--announce-file")
            .arg(&announce)
            .env_remove("ROCOIN_PEERS")
            .env_remove("ROCOIN_NO_MDNS")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut node = Self { lab, side, dir, http: String::new(), process };
        node.http = wait_until("the node listens", PATIENCE, || {
            let text = fs::read(&announce).map_err(|e| format!("{e}; its log:\n{}", node.log()))?;
            let announcement: Announcement = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
            Ok(announcement.http)
        })
        .unwrap();
        node
    }

    fn status(&self) -> Result<NodeSnapshot, String> {
        let text = run(self.lab.inside(self.side).args(["status", "--json", "--node", &self.http]))?;
        serde_json::from_str(&text).map_err(|e| e.to_string())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn ip(arguments: &[&str]) -> Result<String, String> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
