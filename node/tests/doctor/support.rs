//! Running the doctor, and reading what it says.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rocoin_netsim::harness::{Mesh, NodeOptions, Place, wait_until};
use serde_json::Value;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_rocoin");
/// Nothing here takes this long, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the doctor said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) report: Value,
}

impl Said {
    /// Whether a finding of this name is among those of this verdict.
    pub(crate) fn has(&self, verdict: &str, code: &str) -> bool {
        self.findings().any(|f| f["verdict"] == verdict && f["code"] == code)
    }

    /// The commands and advice of all findings of this name.
    pub(crate) fn remedies(&self, code: &str) -> String {
        self.findings().filter(|f| f["code"] == code).map(|f| f["remedies"].to_string()).collect()
    }

    pub(crate) fn wrong(&self) -> Vec<&str> {
        self.findings().filter(|f| f["verdict"] == "wrong").filter_map(|f| f["code"].as_str()).collect()
    }

    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.report["findings"].as_array().unwrap().iter()
    }
}

/// Runs the doctor as the command given does, on a state folder of no node unless the arguments name another.
pub(crate) fn examine(mut command: Command, arguments: &[&str]) -> Said {
    for inherited in
        ["ROCOIN_PEERS", "ROCOIN_FLEET_KEY_FILE", "ROCOIN_CONFIG", "ROCOIN_OPEN", "ROCOIN_HTTP", "ROCOIN_LISTEN"]
    {
        command.env_remove(inherited);
    }
    let empty = tempfile::tempdir().unwrap();
    command.args(["doctor", "--json"]).args(arguments);
    if !arguments.contains(&"--state-dir") {
        command.arg("--state-dir").arg(empty.path().join("state"));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{errors}"));
    assert_eq!(report["schema"], "rocoin.doctor/1");
    assert_eq!(report["well"] == true, output.status.success(), "{report:#}");
    Said { code: output.status.code(), report }
}

/// Runs it here, without multicast: these tests are about something else.
pub(crate) fn doctor(arguments: &[&str]) -> Said {
    examine(Command::new(BINARY), &[&["--no-mdns"][..], arguments].concat())
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A mesh to put nodes into.
pub(crate) fn mesh() -> Mesh {
    Mesh::new(Path::new(BINARY)).unwrap()
}

/// A node on loopback, or at a place of its own with multicast.
pub(crate) fn node(name: &str, flags: &[&str], place: Option<Arc<dyn Place>>) -> NodeOptions {
    let flags = ["--flops-per-s", "1e9"].iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
    NodeOptions { flags, mdns: place.is_some(), seeded: false, place, ..NodeOptions::named(name) }
}

/// Where it listens, as `HOST:PORT`: the first of its addresses that begins so.
pub(crate) fn address(mesh: &Mesh, node: usize, begins: &str) -> String {
    let addresses = &mesh.nodes()[node].announcement().unwrap().addresses;
    let address = addresses.iter().find(|a| a.starts_with(begins)).unwrap_or_else(|| panic!("{addresses:?}"));
    let mut parts = address.split('/').skip(2);
    let (host, port) = (parts.next().unwrap(), parts.nth(1).unwrap());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Examines until it says so: where the network needs a moment to settle.
pub(crate) fn until(what: &str, mut look: impl FnMut() -> Said, holds: impl Fn(&Said) -> bool) -> Said {
    wait_until(what, PATIENCE, || {
        let said = look();
        if holds(&said) { Ok(said) } else { Err(format!("{:#}", said.report["findings"])) }
    })
    .unwrap()
}
