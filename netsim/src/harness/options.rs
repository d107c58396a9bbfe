//! What one node of a mesh is started with.

use std::path::PathBuf;
use std::sync::Arc;

use super::Place;

/// What one node of a mesh is started with, beside what the harness gives each (state folder, key, ports).
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Unique in the mesh; its folder's name too.
    pub name: String,
    /// Emulated compute, FLOP/s: every run of a student is stretched to it. `None`: as fast as the machine is.
    pub emulate_flops_per_s: Option<f64>,
    /// RAM for students, bytes.
    pub memory_bytes: Option<u64>,
    /// Its own key file; `None`: the mesh's.
    pub key_file: Option<PathBuf>,
    /// Further flags, as on the command line.
    pub flags: Vec<String>,
    /// Whether it is told the addresses of the nodes that run when it starts.
    pub seeded: bool,
    /// Whether it finds and is found by multicast.
    pub mdns: bool,
    /// Where it runs; it then listens on every interface that is there. `None`: on this machine, on loopback alone.
    pub place: Option<Arc<dyn Place>>,
}

impl NodeOptions {
    /// A node like this machine, that is told of the others.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            emulate_flops_per_s: None,
            memory_bytes: None,
            key_file: None,
            flags: Vec::new(),
            seeded: true,
            mdns: false,
            place: None,
        }
    }

    pub(super) fn to_flags(&self) -> Vec<String> {
        let mut flags = vec!["--name".to_owned(), self.name.clone()];
        if let Some(rate) = self.emulate_flops_per_s {
            flags.extend(["--emulate-flops-per-s".to_owned(), rate.to_string()]);
        }
        if let Some(bytes) = self.memory_bytes {
            flags.extend(["--memory-bytes".to_owned(), bytes.to_string()]);
        }
        if !self.mdns {
            flags.push("--no-mdns".to_owned());
        }
        if self.place.is_none() && !self.flags.iter().any(|flag| flag == "--listen") {
            flags.extend(["--listen", "/ip4/127.0.0.1/tcp/0"].map(str::to_owned));
        }
        flags.extend(self.flags.iter().cloned());
        flags
    }
}
