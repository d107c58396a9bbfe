//! One node: a process of the program, its folder and its log.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, HarnessError, NodeOptions, wait_until};

/// From a process's start until it listens; the first start on a loaded machine measures the device, too.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// From SIGTERM until the process has ended: its drain time and some.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of a log an error shows.
const LOG_BYTES_SHOWN: usize = 4000;

/// What a node writes once it listens (`--announce-file`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Announcement {
    /// Its identity.
    pub node: NodeId,
    /// Where peers reach it, as multiaddr text.
    pub addresses: Vec<String>,
    /// Where its HTTP interface is.
    pub http: String,
}

/// One node of a mesh. Dropping it kills the process.
#[derive(Debug)]
pub struct NodeProcess {
    binary: PathBuf,
    dir: PathBuf,
    fleet_key: PathBuf,
    options: NodeOptions,
    child: Option<Child>,
    announcement: Option<Announcement>,
    frozen: bool,
}

impl NodeProcess {
    pub(super) fn new(binary: &Path, dir: PathBuf, fleet_key: &Path, options: NodeOptions) -> Self {
        let (binary, fleet_key) = (binary.to_owned(), fleet_key.to_owned());
        Self { binary, dir, fleet_key, options, child: None, announcement: None, frozen: false }
    }

    /// Starts the process and waits until it listens.
    ///
    /// # Errors
    /// If it ends instead; the error shows its log.
    pub fn start(&mut self, peers: &[String]) -> Result<(), HarnessError> {
        self.spawn(peers)?;
        self.await_announcement()
    }

    /// Starts the process; [`Self::await_announcement`] waits until it listens.
    pub(super) fn spawn(&mut self, peers: &[String]) -> Result<(), HarnessError> {
        fs::create_dir_all(&self.dir).map_err(io("create", &self.dir))?;
        let announce = self.announce_file();
        let _ = fs::remove_file(&announce);
        let log = File::options().create(true).append(true).open(self.log_file()).map_err(io("open", &self.dir))?;
        let errors = log.try_clone().map_err(io("open", &self.dir))?;
        let mut command = self.command();
        command
            .arg("node")
            .arg("--state-dir")
            .arg(self.state_dir())
            .arg("--fleet-key-file")
            .arg(self.options.key_file.as_ref().unwrap_or(&self.fleet_key))
            .arg("--announce-file")
            .arg(&announce)
            .args(["--http", "127.0.0.1:0", "--stop-with-stdin"])
            .args(self.options.to_flags())
            .env("ROCOIN_LOG", std::env::var("ROCOIN_LOG").unwrap_or_else(|_| "info".to_owned()))
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .process_group(0); // Ctrl-C at a terminal is for us alone
        for inherited in ["ROCOIN_PEERS", "ROCOIN_NO_MDNS", "ROCOIN_CONFIG"] {
            command.env_remove(inherited);
        }
        for peer in peers {
            command.args(["--peer", peer]);
        }
        self.child = Some(command.spawn().map_err(io("run", &self.binary))?);
        (self.announcement, self.frozen) = (None, false);
        Ok(())
    }

    pub(super) fn await_announcement(&mut self) -> Result<(), HarnessError> {
        let path = self.announce_file();
        let child = self.child.as_mut().ok_or_else(|| HarnessError::NotRunning(self.options.name.clone()))?;
        let mut ended = None;
        let announcement = wait_until("the node listens", START_TIMEOUT, || {
            if let Ok(text) = fs::read(&path) {
                return serde_json::from_slice(&text).map(Some).map_err(|e| e.to_string());
            }
            match child.try_wait() {
                Ok(Some(status)) => {
                    ended = Some(status);
                    Ok(None)
                }
                Ok(None) | Err(_) => Err("no announcement".to_owned()),
            }
        })?;
        self.announcement = announcement;
        match ended {
            Some(status) => {
                self.child = None;
                let (name, log) = (self.options.name.clone(), self.log_tail());
                Err(HarnessError::Ended { name, status: status.to_string(), log })
            }
            None => Ok(()),
        }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Whether the process runs, frozen or not.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it runs and is not frozen.
    pub fn is_well(&self) -> bool {
        self.is_running() && !self.frozen
    }

    /// What it announced at its last start.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] if it was never started.
    pub fn announcement(&self) -> Result<&Announcement, HarnessError> {
        self.announcement.as_ref().ok_or_else(|| HarnessError::NotRunning(self.options.name.clone()))
    }

    /// The program, to be run where this node runs.
    pub fn command(&self) -> Command {
        match &self.options.place {
            Some(place) => place.command(&self.binary),
            None => Command::new(&self.binary),
        }
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its identity.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] if it was never started.
    pub fn id(&self) -> Result<NodeId, HarnessError> {
        Ok(self.announcement()?.node)
    }

    /// A client of its HTTP interface.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] if it was never started.
    pub fn client(&self) -> Result<Client, HarnessError> {
        Ok(Client::new(&self.announcement()?.http, None).within(self.options.place.clone()))
    }

    /// What it knows.
    ///
    /// # Errors
    /// [`HarnessError::Client`] if it does not answer.
    pub fn status(&self) -> Result<NodeSnapshot, HarnessError> {
        Ok(self.client()?.status()?)
    }

    /// kill -9; the process is gone when this returns.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`].
    pub fn kill(&mut self) -> Result<(), HarnessError> {
        let mut child = self.child.take().ok_or_else(|| HarnessError::NotRunning(self.options.name.clone()))?;
        self.frozen = false;
        child.kill().and_then(|()| child.wait()).map_err(io("kill", &self.binary))?;
        Ok(())
    }

    /// SIGTERM; waits until it has left. The exit code is the process's.
    ///
    /// # Errors
    /// [`HarnessError::Timeout`] if it does not end.
    pub fn stop(&mut self) -> Result<Option<i32>, HarnessError> {
        self.signal(Signal::SIGTERM)?;
        let Some(child) = self.child.as_mut() else { return Ok(None) };
        let status = wait_until("the node leaves", STOP_TIMEOUT, || match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("still running".to_owned()),
            Err(e) => Err(e.to_string()),
        })?;
        self.child = None;
        Ok(status.code())
    }

    /// SIGSTOP: it answers nothing, but its connections stand.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] or [`HarnessError::Signal`].
    pub fn freeze(&mut self) -> Result<(), HarnessError> {
        self.signal(Signal::SIGSTOP)?;
        self.frozen = true;
        Ok(())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// [`HarnessError::NotRunning`] or [`HarnessError::Signal`].
    pub fn thaw(&mut self) -> Result<(), HarnessError> {
        self.signal(Signal::SIGCONT)?;
        self.frozen = false;
        Ok(())
    }

    /// Blocks these peers, each `both`, `inbound` or `outbound` as this node sees it; all others are well. Needs
    /// `--fault-injection`.
    ///
    /// # Errors
    /// [`HarnessError::Client`].
    pub fn block(&self, peers: &[(NodeId, &str)]) -> Result<(), HarnessError> {
        let block: serde_json::Map<String, Value> =
            peers.iter().map(|(peer, direction)| (peer.to_string(), json!(direction))).collect();
        Ok(self.client()?.set_faults(&json!({ "block": block }))?)
    }

    /// From now on the node's students answer wrongly, or truly again; every other fault is over. Needs `--fault-injection`.
    ///
    /// # Errors
    /// [`HarnessError::Client`] if the node cannot be told.
    pub fn lie(&self, lie: bool) -> Result<(), HarnessError> {
        Ok(self.client()?.set_faults(&json!({ "lie": lie }))?)
    }

    /// Resident memory of the process, bytes; `None` where the kernel does not say.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Open descriptors of the process; `None` where the kernel does not say.
    pub fn descriptors(&self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.pid()?)).ok()?.count())
    }

    /// The folder that holds its state folder and its log.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its state folder.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Removes its state: the next start is a new node's.
    ///
    /// # Errors
    /// [`HarnessError::Io`].
    pub fn wipe(&mut self) -> Result<(), HarnessError> {
        let state = self.state_dir();
        // What is in it, since the folder itself may be where something is mounted.
        for entry in fs::read_dir(&state).map_err(io("read", &state))? {
            let entry = entry.map_err(io("read", &state))?.path();
            let removed = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            removed.map_err(io("remove", &entry))?;
        }
        Ok(())
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES_SHOWN)..]).into_owned()
    }

    /// Its whole log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn announce_file(&self) -> PathBuf {
        self.dir.join("announce.json")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), HarnessError> {
        let name = || self.options.name.clone();
        let child = self.child.as_ref().ok_or_else(|| HarnessError::NotRunning(name()))?;
        let pid = i32::try_from(child.id()).map_err(|_| HarnessError::NotRunning(name()))?;
        kill(Pid::from_raw(pid), signal).map_err(|source| HarnessError::Signal { name: name(), source })
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> HarnessError + 'a {
    move |source| HarnessError::Io { action, path: path.to_owned(), source }
}
