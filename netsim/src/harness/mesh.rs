//! Several nodes, one fleet key, one temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;
use tempfile::TempDir;

use super::process::io;
use super::{Client, HarnessError, NodeOptions, NodeProcess, wait_until};

/// Nodes on this machine. Dropping it kills them and removes their folders.
#[derive(Debug)]
pub struct Mesh {
    nodes: Vec<NodeProcess>,
    binary: PathBuf,
    dir: TempDir,
}

impl Mesh {
    /// A mesh without nodes: a temporary folder and a fresh fleet key in it, made by `binary`.
    ///
    /// # Errors
    /// If there is no room for a folder, or the program does not run.
    pub fn new(binary: &Path) -> Result<Self, HarnessError> {
        Self::in_folder("rocoin-mesh-", binary)
    }

    /// The same, in a temporary folder whose name begins so.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn in_folder(prefix: &str, binary: &Path) -> Result<Self, HarnessError> {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir().map_err(io("create", Path::new("a folder")))?;
        let mesh = Self { nodes: Vec::new(), binary: binary.to_owned(), dir };
        let key = mesh.fleet_key();
        mesh.run(&["fleet", "init", "--key-file", &key.to_string_lossy()])?;
        Ok(mesh)
    }

    /// Starts a node and waits until it listens; its index.
    ///
    /// # Errors
    /// [`HarnessError::Ended`] with the node's log.
    pub fn start(&mut self, options: NodeOptions) -> Result<usize, HarnessError> {
        self.start_all(vec![options]).map(|indices| indices.start)
    }

    /// Starts several nodes at once and waits until all listen; their indices. The first is the seed of the rest.
    ///
    /// # Errors
    /// [`HarnessError::Ended`] with a node's log.
    pub fn start_all(&mut self, options: Vec<NodeOptions>) -> Result<core::ops::Range<usize>, HarnessError> {
        let first = self.nodes.len();
        for options in options {
            let dir = self.dir.path().join(&options.name);
            let seeds = if options.seeded { self.seeds() } else { Vec::new() };
            self.nodes.push(NodeProcess::new(&self.binary, dir, &self.fleet_key(), options));
            let node = self.nodes.len() - 1;
            self.nodes[node].spawn(&seeds)?;
            if node == 0 {
                self.nodes[node].await_announcement()?;
            }
        }
        for node in self.nodes.iter_mut().skip(first.max(1)) {
            node.await_announcement()?;
        }
        Ok(first..self.nodes.len())
    }

    /// kill -9 to all of these at once; the processes are gone when this returns.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] if one is not running; the others are killed.
    pub fn kill_all(&mut self, nodes: &[usize]) -> Result<(), HarnessError> {
        let signalled: Vec<_> = nodes.iter().map(|node| self.nodes[*node].signal(Signal::SIGKILL)).collect();
        nodes.iter().try_for_each(|node| self.nodes[*node].kill())?;
        signalled.into_iter().collect()
    }

    /// Starts a node again that was killed or stopped.
    ///
    /// # Errors
    /// [`HarnessError::Ended`] with the node's log.
    pub fn restart(&mut self, node: usize) -> Result<(), HarnessError> {
        let seeds = self.seeds();
        self.nodes[node].start(&seeds)
    }

    /// The nodes, in the order in which they were first started.
    pub fn nodes(&self) -> &[NodeProcess] {
        &self.nodes
    }

    /// One node.
    pub fn node(&mut self, node: usize) -> &mut NodeProcess {
        &mut self.nodes[node]
    }

    /// The index of a node by its identity.
    pub fn index_of(&self, id: NodeId) -> Option<usize> {
        self.nodes.iter().position(|node| node.id().is_ok_and(|i| i == id))
    }

    /// Nodes that run and are not frozen.
    pub fn well(&self) -> impl Iterator<Item = (usize, &NodeProcess)> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.is_well())
    }

    /// Clients of all well nodes.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] if one has not announced itself yet.
    pub fn clients(&self) -> Result<Vec<Client>, HarnessError> {
        self.well().map(|(_, node)| node.client()).collect()
    }

    /// What all well nodes know, by index; one that does not answer is left out.
    pub fn statuses(&self) -> Vec<(usize, NodeSnapshot)> {
        self.well().filter_map(|(i, node)| Some((i, node.status().ok()?))).collect()
    }

    /// Gives the bundle in a folder to the mesh by `rocoin deploy`, which waits until it is served.
    ///
    /// # Errors
    /// [`HarnessError::Command`] with what it printed.
    pub fn deploy(&self, bundle: &Path) -> Result<String, HarnessError> {
        let (_, node) = self.well().next().ok_or_else(|| HarnessError::NotRunning("any".to_owned()))?;
        let http = node.announcement()?.http.clone();
        self.printed(node.command(), &["deploy", &bundle.to_string_lossy(), "--node", &http])
    }

    /// Blocks everything between the sides, both ways, silently.
    ///
    /// # Errors
    /// [`HarnessError::Client`] if a node cannot be told.
    pub fn partition(&self, sides: &[&[usize]]) -> Result<(), HarnessError> {
        for (s, side) in sides.iter().enumerate() {
            let others = sides.iter().enumerate().filter(|(o, _)| *o != s).flat_map(|(_, other)| other.iter());
            let ids: Vec<NodeId> = others.map(|n| self.nodes[*n].id()).collect::<Result<_, _>>()?;
            let blocked: Vec<_> = ids.into_iter().map(|id| (id, "both")).collect();
            for node in side.iter().filter(|n| self.nodes[**n].is_well()) {
                self.nodes[*node].block(&blocked)?;
            }
        }
        Ok(())
    }

    /// Ends every block.
    ///
    /// # Errors
    /// [`HarnessError::Client`] if a node cannot be told.
    pub fn heal(&self) -> Result<(), HarnessError> {
        self.well().try_for_each(|(_, node)| node.block(&[]))
    }

    /// Waits until what every well node knows satisfies `holds`, which says what is still lacking.
    ///
    /// # Errors
    /// [`HarnessError::Timeout`] with what is lacking.
    pub fn wait(
        &self,
        what: &str,
        timeout: Duration,
        holds: impl Fn(&NodeSnapshot) -> Result<(), String>,
    ) -> Result<(), HarnessError> {
        wait_until(what, timeout, || {
            for (_, node) in self.well() {
                let named = |e: String| format!("{}: {e}", node.name());
                let status = node.status().map_err(|e| named(e.to_string()))?;
                holds(&status).map_err(named)?;
            }
            Ok(())
        })
    }

    /// The program's key file.
    pub fn fleet_key(&self) -> PathBuf {
        self.dir.path().join("fleet.key")
    }

    /// The folder in which each node has one.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a command of the program and gives what it printed.
    ///
    /// # Errors
    /// [`HarnessError::Command`] if it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String, HarnessError> {
        self.printed(Command::new(&self.binary), arguments)
    }

    fn printed(&self, mut command: Command, arguments: &[&str]) -> Result<String, HarnessError> {
        let output = command.args(arguments).output().map_err(io("run", &self.binary))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        let command = format!("rocoin {}", arguments.join(" "));
        Err(HarnessError::Command { command, output: printed + &String::from_utf8_lossy(&output.stderr) })
    }

    fn seeds(&self) -> Vec<String> {
        let listening = self.nodes.iter().filter(|node| node.is_well());
        listening.filter_map(|node| node.announcement().ok()?.addresses.first().cloned()).take(3).collect()
    }
}
