//! The settings of a node: flags override the environment (`ROCOIN_…`), which overrides the config file.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use libp2p::Multiaddr;
use rocoin::id::NodeId;
use rocoin::inference::Mode;
use rocoin::planner::{Objective, PlanOptions};
use serde::Deserialize;

use crate::files::{FileError, read_bounded};

/// Bytes of a config file at most.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Where a node's HTTP interface is unless told otherwise.
pub const HTTP_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8470);
/// Connections at most unless told otherwise: a full mesh of 100 devices, with room for those that cross.
const CONNECTIONS_MAX_DEFAULT: u32 = 512;

/// Settings that are wrong. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The config file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The config file is not TOML, or has an unknown key or an impossible value; the text names the line.
    #[error("{}: {error}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// What and where.
        error: Box<toml::de::Error>,
    },
    /// A setting that the others contradict or do not allow.
    #[error("{0}")]
    Wrong(String),
}

/// One layer of settings; what is absent is left to the next.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What people call this device [default: its host name]
    #[arg(long, env = "ROCOIN_NAME")]
    pub name: Option<String>,
    /// Where identity, state and artifacts are kept [default: $XDG_STATE_HOME/rocoin or ~/.local/state/rocoin]
    #[arg(long, env = "ROCOIN_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Where to listen, e.g. /ip4/0.0.0.0/tcp/4470 [default: every interface, a free port that is kept]
    #[arg(long, env = "ROCOIN_LISTEN", value_name = "MULTIADDR", value_delimiter = ',')]
    pub listen: Option<Vec<Multiaddr>>,
    /// Where the HTTP interface listens [default: 127.0.0.1:8470]
    #[arg(long, env = "ROCOIN_HTTP", value_name = "HOST:PORT")]
    pub http: Option<SocketAddr>,
    /// File with the token that HTTP requests must bring; needed where --http is not a loopback address
    #[arg(long, env = "ROCOIN_HTTP_TOKEN_FILE", value_name = "FILE")]
    pub http_token_file: Option<PathBuf>,
    /// A node to join, e.g. /ip4/192.168.1.7/tcp/4470; may be given more than once
    #[arg(long = "peer", env = "ROCOIN_PEERS", value_name = "MULTIADDR", value_delimiter = ',')]
    pub peers: Option<Vec<Multiaddr>>,
    /// File with the fleet's key (see `rocoin fleet init`)
    #[arg(long, env = "ROCOIN_FLEET_KEY_FILE", value_name = "FILE")]
    pub fleet_key_file: Option<PathBuf>,
    /// Run without a fleet key: whoever reaches this node is let in
    #[arg(long, env = "ROCOIN_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub open: Option<bool>,
    /// Let in only these nodes, by id
    #[arg(long, env = "ROCOIN_ALLOW", value_name = "NODE", value_delimiter = ',')]
    pub allow: Option<Vec<NodeId>>,
    /// Neither find nor be found by multicast
    #[arg(long, env = "ROCOIN_NO_MDNS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_mdns: Option<bool>,
    /// The greater leads rather [default: 0]
    #[arg(long, env = "ROCOIN_PRIORITY", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// How replicas are asked where a request does not say: all, hedged or verify [default: all]
    #[arg(long, env = "ROCOIN_MODE")]
    pub mode: Option<Mode>,
    /// Threads that run students [default: one less than the cores, at least 1]
    #[arg(long, env = "ROCOIN_WORKERS")]
    pub workers: Option<usize>,
    /// Connections at most; one more is refused [default: 512]
    #[arg(long, env = "ROCOIN_CONNECTIONS_MAX")]
    pub connections_max: Option<u32>,
    /// This device's compute, FLOP/s [default: measured at the first start]
    #[arg(long, env = "ROCOIN_FLOPS_PER_S")]
    pub flops_per_s: Option<f64>,
    /// RAM for students, bytes [default: half of what is available]
    #[arg(long, env = "ROCOIN_MEMORY_BYTES")]
    pub memory_bytes: Option<u64>,
    /// This device's link, bit/s [default: 100 Mbit/s]
    #[arg(long, env = "ROCOIN_LINK_BITS_PER_S")]
    pub link_bits_per_s: Option<f64>,
    /// One-way delay of this device's link, s [default: 0]
    #[arg(long, env = "ROCOIN_LINK_DELAY_S")]
    pub link_delay_s: Option<f64>,
    /// Probability that this device fails a request [default: 0.05]
    #[arg(long, env = "ROCOIN_FAILURE_PROBABILITY")]
    pub failure_probability: Option<f64>,
    /// Bytes of artifacts on disk at most, beside the students that the plan gives this device [default: no limit]
    #[arg(long, env = "ROCOIN_STORAGE_BYTES_MAX")]
    pub storage_bytes_max: Option<u64>,
    /// Where this node leads: plan nothing with fewer members than this [default: 1]
    #[arg(long, env = "ROCOIN_MIN_MEMBERS")]
    pub min_members: Option<usize>,
    /// Where this node leads: the most that all devices of a group may fail with [default: 0.05]
    #[arg(long, env = "ROCOIN_GROUP_FAILURE_MAX")]
    pub group_failure_max: Option<f64>,
    /// Where this node leads: the probability of the latency that is minimised [default: 0.99]
    #[arg(long, env = "ROCOIN_RHO")]
    pub rho: Option<f64>,
    /// Where this node leads: what is minimised, rho or nominal [default: rho]
    #[arg(long, env = "ROCOIN_OBJECTIVE")]
    pub objective: Option<Objective>,
    /// Where this node leads: points of expected accuracy that may be given up for speed [default: 1]
    #[arg(long, env = "ROCOIN_ACCURACY_DROP_MAX")]
    pub accuracy_drop_max: Option<f64>,
    /// Run students no faster than a device of this rate, FLOP/s, and say so to the mesh
    #[arg(long, env = "ROCOIN_EMULATE_FLOPS_PER_S")]
    pub emulate_flops_per_s: Option<f64>,
    /// Let the loopback HTTP interface block and slow peers, and make students lie, at run time (for tests)
    #[arg(long, env = "ROCOIN_FAULT_INJECTION", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub fault_injection: Option<bool>,
    /// Write id, addresses and process id there as JSON once this node listens
    #[arg(long, env = "ROCOIN_ANNOUNCE_FILE", value_name = "FILE")]
    pub announce_file: Option<PathBuf>,
    /// Append what happens, with the time, to this file as lines of JSON (for measurements)
    #[arg(long, env = "ROCOIN_EVENT_FILE", value_name = "FILE")]
    pub event_file: Option<PathBuf>,
    /// Find out who is alive by plain time-outs, without local health and without asking others: worse, and there to be measured
    #[arg(long, env = "ROCOIN_PLAIN_TIMEOUTS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub plain_timeouts: Option<bool>,
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// On every interface, on the port kept from the last start.
    Everywhere,
    /// On these addresses.
    On(Vec<Multiaddr>),
}

/// All settings of a node, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What people call this device.
    pub name: String,
    /// Where identity, state and artifacts are kept.
    pub state_dir: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// Where the HTTP interface listens; port 0 takes a free one.
    pub http: SocketAddr,
    /// File with the HTTP token; there is one where `http` is not a loopback address.
    pub http_token_file: Option<PathBuf>,
    /// Nodes to join.
    pub peers: Vec<Multiaddr>,
    /// File with the fleet's key; `None` lets everybody in.
    pub fleet_key_file: Option<PathBuf>,
    /// Only these nodes are let in.
    pub allow: Option<BTreeSet<NodeId>>,
    /// Whether to find and be found by multicast.
    pub mdns: bool,
    /// The greater leads rather.
    pub priority: i32,
    /// How replicas are asked where a request does not say.
    pub mode: Mode,
    /// Threads that run students.
    pub workers: usize,
    /// Connections at most.
    pub connections_max: u32,
    /// FLOP/s; `None` measures.
    pub flops_per_s: Option<f64>,
    /// Bytes; `None` takes half of what is available.
    pub memory_bytes: Option<u64>,
    /// bit/s.
    pub link_bits_per_s: f64,
    /// s.
    pub link_delay_s: f64,
    /// Per request.
    pub failure_probability: f64,
    /// Bytes; `None` sets no limit.
    pub storage_bytes_max: Option<u64>,
    /// Nothing is planned with fewer members.
    pub min_members: usize,
    /// What is asked of a plan.
    pub plan: PlanOptions,
    /// FLOP/s; `None` runs as fast as it can.
    pub emulate_flops_per_s: Option<f64>,
    /// Whether the fault switches exist.
    pub fault_injection: bool,
    /// Where to write who and where this node is.
    pub announce_file: Option<PathBuf>,
    /// Where to write what happens.
    pub event_file: Option<PathBuf>,
    /// Whether the failure detector is to do without what makes it good.
    pub plain_timeouts: bool,
}

impl Settings {
    /// Reads a config file.
    ///
    /// # Errors
    /// [`ConfigError::File`] or [`ConfigError::Toml`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = String::from_utf8(read_bounded(path, FILE_BYTES_MAX)?)
            .map_err(|_| ConfigError::Wrong(format!("{}: it is not text", path.display())))?;
        Self::parse(&text).map_err(|error| ConfigError::Toml { path: path.to_owned(), error: Box::new(error) })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// These settings, and `lower` ones where these are silent.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            name: self.name.or(lower.name),
            state_dir: self.state_dir.or(lower.state_dir),
            listen: self.listen.or(lower.listen),
            http: self.http.or(lower.http),
            http_token_file: self.http_token_file.or(lower.http_token_file),
            peers: self.peers.or(lower.peers),
            fleet_key_file: self.fleet_key_file.or(lower.fleet_key_file),
            open: self.open.or(lower.open),
            allow: self.allow.or(lower.allow),
            no_mdns: self.no_mdns.or(lower.no_mdns),
            priority: self.priority.or(lower.priority),
            mode: self.mode.or(lower.mode),
            workers: self.workers.or(lower.workers),
            connections_max: self.connections_max.or(lower.connections_max),
            flops_per_s: self.flops_per_s.or(lower.flops_per_s),
            memory_bytes: self.memory_bytes.or(lower.memory_bytes),
            link_bits_per_s: self.link_bits_per_s.or(lower.link_bits_per_s),
            link_delay_s: self.link_delay_s.or(lower.link_delay_s),
            failure_probability: self.failure_probability.or(lower.failure_probability),
            storage_bytes_max: self.storage_bytes_max.or(lower.storage_bytes_max),
            min_members: self.min_members.or(lower.min_members),
            group_failure_max: self.group_failure_max.or(lower.group_failure_max),
            rho: self.rho.or(lower.rho),
            objective: self.objective.or(lower.objective),
            accuracy_drop_max: self.accuracy_drop_max.or(lower.accuracy_drop_max),
            emulate_flops_per_s: self.emulate_flops_per_s.or(lower.emulate_flops_per_s),
            fault_injection: self.fault_injection.or(lower.fault_injection),
            announce_file: self.announce_file.or(lower.announce_file),
            event_file: self.event_file.or(lower.event_file),
            plain_timeouts: self.plain_timeouts.or(lower.plain_timeouts),
        }
    }

    /// Fills in what nobody said, and checks all of it.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`].
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let wrong = |text: &str| Err(ConfigError::Wrong(text.to_owned()));
        let open = self.open.unwrap_or(false);
        match (&self.fleet_key_file, open) {
            (None, false) => {
                return wrong(
                    "no fleet key: make one with `rocoin fleet init` and give it with --fleet-key-file, \
                     or let everybody in with --open",
                );
            }
            (Some(_), true) => return wrong("--open and --fleet-key-file contradict each other; give one of them"),
            (Some(_), false) | (None, true) => {}
        }
        let http = self.http.unwrap_or(HTTP_DEFAULT);
        if !http.ip().is_loopback() && self.http_token_file.is_none() {
            return wrong("--http is not a loopback address, so it wants a token: give --http-token-file");
        }
        let fault_injection = self.fault_injection.unwrap_or(false);
        if fault_injection && !http.ip().is_loopback() {
            return wrong(
                "--fault-injection is for this machine alone: give a loopback address to --http, or leave it out",
            );
        }
        let plan = PlanOptions::default();
        let plan = PlanOptions {
            group_failure_max: self.group_failure_max.unwrap_or(plan.group_failure_max),
            rho: self.rho.unwrap_or(plan.rho),
            objective: self.objective.unwrap_or(plan.objective),
            accuracy_drop_max: self.accuracy_drop_max.unwrap_or(plan.accuracy_drop_max),
            ..plan
        };
        let config = Config {
            name: self.name.unwrap_or_else(host_name),
            state_dir: self.state_dir.map_or_else(default_state_dir, Ok)?,
            listen: self.listen.filter(|l| !l.is_empty()).map_or(Listen::Everywhere, Listen::On),
            http,
            http_token_file: self.http_token_file,
            peers: self.peers.unwrap_or_default(),
            fleet_key_file: self.fleet_key_file,
            allow: self.allow.map(BTreeSet::from_iter),
            mdns: !self.no_mdns.unwrap_or(false),
            priority: self.priority.unwrap_or(0),
            mode: self.mode.unwrap_or_default(),
            workers: self.workers.unwrap_or_else(default_workers),
            connections_max: self.connections_max.unwrap_or(CONNECTIONS_MAX_DEFAULT),
            flops_per_s: self.flops_per_s,
            memory_bytes: self.memory_bytes,
            // Fast Ethernet: a link's rate cannot be known from one end.
            link_bits_per_s: self.link_bits_per_s.unwrap_or(100e6),
            link_delay_s: self.link_delay_s.unwrap_or(0.0),
            failure_probability: self.failure_probability.unwrap_or(0.05),
            storage_bytes_max: self.storage_bytes_max,
            min_members: self.min_members.unwrap_or(1),
            plan,
            emulate_flops_per_s: self.emulate_flops_per_s,
            fault_injection,
            announce_file: self.announce_file,
            event_file: self.event_file,
            plain_timeouts: self.plain_timeouts.unwrap_or(false),
        };
        config.check()?;
        Ok(config)
    }
}

impl Config {
    fn check(&self) -> Result<(), ConfigError> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let probability = |value: f64| value > 0.0 && value < 1.0;
        let checks = [
            ("workers must be at least 1", self.workers >= 1),
            ("connections_max must be at least 1", self.connections_max >= 1),
            ("flops_per_s must be a positive number", self.flops_per_s.is_none_or(positive)),
            ("emulate_flops_per_s must be a positive number", self.emulate_flops_per_s.is_none_or(positive)),
            ("link_bits_per_s must be a positive number", positive(self.link_bits_per_s)),
            ("link_delay_s must not be negative", self.link_delay_s.is_finite() && self.link_delay_s >= 0.0),
            ("failure_probability must be between 0 and 1", (0.0..1.0).contains(&self.failure_probability)),
            ("min_members must be at least 1", self.min_members >= 1),
            ("group_failure_max must be above 0 and below 1", probability(self.plan.group_failure_max)),
            ("rho must be above 0 and below 1", probability(self.plan.rho)),
            ("accuracy_drop_max must be from 0 to 100", (0.0..=100.0).contains(&self.plan.accuracy_drop_max)),
            ("name must be 1 to 64 bytes", (1..=64).contains(&self.name.len())),
        ];
        match checks.iter().find(|(_, holds)| !holds) {
            Some((text, _)) => Err(ConfigError::Wrong((*text).to_owned())),
            None => Ok(()),
        }
    }
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| (1..=64).contains(&name.len())).unwrap_or_else(|| "rocoin".to_owned())
}

pub(crate) fn default_state_dir() -> Result<PathBuf, ConfigError> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    base.map(|base| base.join("rocoin"))
        .ok_or_else(|| ConfigError::Wrong("neither XDG_STATE_HOME nor HOME is set; give --state-dir".to_owned()))
}

/// One core is left to the mesh: answering probes must not wait for students.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &str) -> Settings {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn a_higher_layer_wins_and_silence_is_filled_from_below() {
        let flags = settings("name = 'flag'\nmode = 'verify'");
        let file = settings("name = 'file'\nworkers = 3\nopen = true\nmode = 'hedged'");
        let config = flags.over(file).resolve().unwrap();
        assert_eq!((config.name.as_str(), config.workers, config.mode), ("flag", 3, Mode::Verify));
    }

    #[test]
    fn a_flag_can_take_back_what_the_file_switched_on() {
        let flags = settings("no_mdns = false");
        let file = settings("no_mdns = true\nopen = true");
        assert!(flags.over(file).resolve().unwrap().mdns);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rocoin.toml");
        std::fs::write(&path, "name = 'a'\nworker = 3\n").unwrap();
        let error = Settings::load(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("worker") && error.contains("rocoin.toml"), "{error}");
    }

    #[test]
    fn a_node_is_private_unless_told_otherwise() {
        let error = Settings::default().resolve().unwrap_err().to_string();
        assert!(error.contains("rocoin fleet init") && error.contains("--open"), "{error}");
        assert!(settings("open = true\nfleet_key_file = 'k'").resolve().is_err());
        assert!(settings("fleet_key_file = 'k'").resolve().is_ok());
    }

    #[test]
    fn http_beyond_loopback_wants_a_token() {
        assert!(settings("open = true\nhttp = '0.0.0.0:80'").resolve().is_err());
        assert!(settings("open = true\nhttp = '0.0.0.0:80'\nhttp_token_file = 't'").resolve().is_ok());
    }

    #[test]
    fn faults_can_be_injected_from_this_machine_alone() {
        let faulty = "open = true\nfault_injection = true\n";
        let error = settings(&format!("{faulty}http = '0.0.0.0:80'\nhttp_token_file = 't'")).resolve().unwrap_err();
        assert!(error.to_string().contains("--fault-injection"), "{error}");
        assert!(settings(faulty).resolve().unwrap().fault_injection);
    }

    #[test]
    fn what_is_asked_of_a_plan_is_as_in_a_fleet_file_unless_it_is_set() {
        assert_eq!(settings("open = true").resolve().unwrap().plan, PlanOptions::default());
        let plan = settings("open = true\nobjective = 'nominal'\nrho = 0.9").resolve().unwrap().plan;
        assert_eq!(plan, PlanOptions { objective: Objective::Nominal, rho: 0.9, ..PlanOptions::default() });
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        for (toml, name) in [
            ("workers = 0", "workers"),
            ("flops_per_s = -1.0", "flops_per_s"),
            ("link_bits_per_s = 0.0", "link_bits_per_s"),
            ("failure_probability = 1.5", "failure_probability"),
            ("emulate_flops_per_s = nan", "emulate_flops_per_s"),
            ("min_members = 0", "min_members"),
            ("group_failure_max = 0.0", "group_failure_max"),
            ("rho = 1.0", "rho"),
            ("accuracy_drop_max = -1.0", "accuracy_drop_max"),
        ] {
            let error = settings(&format!("open = true\n{toml}")).resolve().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
