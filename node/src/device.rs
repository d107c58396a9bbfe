//! A whole device: state folder, workers, network, node, started in the order in which they need each other.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use rocoin::fleet::Capability;
use rocoin::id::NodeId;
use rocoin::membership::Record;
use rocoin::node::{Node, Start};
use rocoin_models::session::SessionError;
use tokio::sync::{mpsc, watch};

use crate::actor::{self, CONTROL_MAILBOX, DATA_MAILBOX, Hands, Mailboxes, NodeHandle, RESULTS_MAILBOX};
use crate::calibration;
use crate::clock::Clock;
use crate::config::{Config, Listen};
use crate::events;
use crate::files::{FileError, read_secret};
use crate::fleet_key::{KeyFile, Keyring};
use crate::key_watch;
use crate::network::{self, Deliver, FaultSwitch, NetworkConfig, NetworkCounters, NetworkError, NetworkHandle};
use crate::store::{Boot, StateDir, Store, StoreActor, StoreError};
use crate::workers::{self, LieSwitch, WorkersConfig};

/// Peers met are written at most this often.
const REMEMBER_EVERY: Duration = Duration::from_secs(5);

/// Why a device cannot start. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The state folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key, a token, an artifact.
    #[error(transparent)]
    File(#[from] FileError),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The HTTP address.
    #[error("cannot listen on {address} for HTTP: {reason}; choose another with --http")]
    Http {
        /// Which one.
        address: SocketAddr,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The known network does not run on this machine.
    #[error("cannot measure this device: {0}; give --flops-per-s")]
    Calibration(#[from] SessionError),
    /// The system gives no threads, or no entropy.
    #[error("the system refuses: {0}")]
    System(String),
}

/// A running device. It stops when this and every clone of its [`NodeHandle`] are dropped.
#[derive(Debug)]
pub struct DeviceHandle {
    /// Who it is.
    pub id: NodeId,
    /// What it said of itself.
    pub capability: Capability,
    /// The node.
    pub node: NodeHandle,
    /// Its artifacts.
    pub store: Arc<Store>,
    /// The fault switch, if it was started with one.
    pub faults: Option<FaultSwitch>,
    /// The switch that makes its students lie, if it was started with one.
    pub lies: Option<LieSwitch>,
    /// What goes over its links.
    pub counters: NetworkCounters,
    /// Where others may reach it.
    pub addresses: watch::Receiver<Vec<Multiaddr>>,
    /// Where its HTTP interface is.
    pub http: SocketAddr,
    /// What the HTTP interface asks for.
    pub http_token: Option<String>,
    /// Bound to `http`, for whoever serves it.
    pub http_listener: TcpListener,
}

/// A device that is to run.
#[derive(Debug)]
pub struct Device;

impl Device {
    /// Starts everything; returns once the device listens. Runs in a tokio runtime.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn start(config: Config) -> Result<DeviceHandle, DeviceError> {
        let key_file = config.fleet_key_file.as_deref().map(KeyFile::load).transpose()?;
        let fleet_keys = key_file.map(|file| file.keyring(SystemTime::now()));
        let http_token = config.http_token_file.as_deref().map(read_secret).transpose()?;
        let http_token = http_token.map(|text| text.trim().to_owned());
        let (state, boot) = StateDir::open(&config.state_dir)?;
        if let Some(lost) = &boot.lost {
            tracing::warn!("{lost}; this node is {} from now on", boot.identity.node());
        }
        let store = Arc::new(state.artifacts()?);
        let capability = capability(&config, &state)?;
        let http_listener = bind_http(config.http)?;
        let http = http_listener.local_addr().map_err(|reason| DeviceError::Http { address: config.http, reason })?;

        let system = |e: std::io::Error| DeviceError::System(e.to_string());
        let (results, results_queue) = mpsc::channel(RESULTS_MAILBOX);
        let disk = StoreActor::start(&state, Arc::clone(&store), results.clone()).map_err(system)?;
        let lies = config.fault_injection.then(LieSwitch::default);
        let workers = WorkersConfig {
            threads: config.workers,
            emulate_flops_per_s: config.emulate_flops_per_s,
            lies: lies.clone(),
        };
        let workers = workers::start(workers, Arc::clone(&store), results).map_err(system)?;
        let (control, control_queue) = mpsc::channel(CONTROL_MAILBOX);
        let (data, data_queue) = mpsc::channel(DATA_MAILBOX);
        let network = start_network(&config, &boot, fleet_keys, &state, Deliver { control, data }).await?;

        let clock = Clock::start();
        let addresses = network.addresses.borrow().clone();
        let node = Node::new(start(&config, &boot, capability, &addresses, http, &store)?, clock.now());
        let mailboxes = Mailboxes { control: control_queue, results: results_queue, data: data_queue };
        let (addresses, known) = (network.addresses.clone(), network.known.clone());
        if let (Some(path), Some(keys)) = (config.fleet_key_file, fleet_keys) {
            key_watch::start(path, keys, network.key_changer());
        }
        let (faults, counters) = (network.faults.clone(), network.counters.clone());
        let hands = Hands { network, store: disk, workers };
        let node = actor::start(node, clock, hands, mailboxes);
        if let Some(path) = &config.event_file {
            events::record(path, node.events()).await?;
        }
        tokio::spawn(remember(state, known));
        let id = boot.identity.node();
        Ok(DeviceHandle {
            id,
            capability,
            node,
            store,
            faults,
            lies,
            counters,
            addresses,
            http,
            http_token,
            http_listener,
        })
    }
}

fn capability(config: &Config, state: &StateDir) -> Result<Capability, DeviceError> {
    let flops_per_s = match (config.flops_per_s, config.emulate_flops_per_s) {
        (Some(given), _) => given,
        (None, Some(emulated)) => emulated,
        (None, None) => calibration::flops_per_s(state.path())?,
    };
    Ok(Capability {
        flops_per_s,
        memory_bytes: config.memory_bytes.unwrap_or_else(memory_for_students),
        link_bits_per_s: config.link_bits_per_s,
        link_delay_s: config.link_delay_s,
        failure_probability: config.failure_probability,
    })
}

/// Half of what the kernel says is available.
fn memory_for_students() -> u64 {
    /// Where the kernel does not say. A wild guess: the smallest board's RAM, halved.
    const FALLBACK: u64 = 256 << 20;
    memory_available_bytes().map_or(FALLBACK, |bytes| bytes / 2)
}

/// What the kernel says is available; `None` where it does not say.
pub(crate) fn memory_available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}

fn bind_http(address: SocketAddr) -> Result<TcpListener, DeviceError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|reason| DeviceError::Http { address, reason })
}

async fn start_network(
    config: &Config,
    boot: &Boot,
    fleet_keys: Option<Keyring>,
    state: &StateDir,
    deliver: Deliver,
) -> Result<NetworkHandle, DeviceError> {
    let settings = |listen: Vec<Multiaddr>| NetworkConfig {
        identity: boot.identity.clone(),
        fleet_keys,
        listen,
        seeds: config.peers.clone(),
        remembered: state.remembered(),
        mdns: config.mdns,
        connections_max: config.connections_max,
        allow: config.allow.clone(),
        fault_injection: config.fault_injection,
    };
    if let Listen::On(addresses) = &config.listen {
        return Ok(network::start(settings(addresses.clone()), deliver).await?);
    }
    let network = match state.port() {
        Some(port) => match network::start(settings(everywhere(port)), deliver.clone()).await {
            Ok(network) => network,
            Err(e) => {
                tracing::warn!("the port of the last start cannot be had ({e}); taking another");
                network::start(settings(everywhere(free_port()?)), deliver).await?
            }
        },
        None => network::start(settings(everywhere(free_port()?)), deliver).await?,
    };
    let port = network.addresses.borrow().iter().find_map(network::port_of);
    if let Some(port) = port
        && state.port() != Some(port)
    {
        state.keep_port(port)?;
    }
    Ok(network)
}

/// One port for both families.
fn free_port() -> Result<u16, DeviceError> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|e| DeviceError::System(e.to_string()))
}

fn everywhere(port: u16) -> Vec<Multiaddr> {
    let on = |ip: Protocol<'static>| Multiaddr::empty().with(ip).with(Protocol::Tcp(port));
    let mut addresses = vec![on(Ipv4Addr::UNSPECIFIED.into())];
    if TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        addresses.push(on(Ipv6Addr::UNSPECIFIED.into()));
    }
    addresses
}

fn start(
    config: &Config,
    boot: &Boot,
    capability: Capability,
    addresses: &[Multiaddr],
    http: SocketAddr,
    store: &Store,
) -> Result<Start, DeviceError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| DeviceError::System(e.to_string()))?;
    let mut settings = rocoin::node::Config::default();
    settings.replica.workers = config.workers;
    settings.coordinator.mode = config.mode;
    settings.deployment.memory_bytes_max = capability.memory_bytes;
    settings.deployment.storage_bytes_max = config.storage_bytes_max.unwrap_or(settings.deployment.storage_bytes_max);
    if config.plain_timeouts {
        settings.membership = settings.membership.with_plain_timeouts();
    }
    settings.leadership.min_members = config.min_members;
    settings.leadership.plan = config.plan.clone();
    let record = Record {
        priority: config.priority,
        addresses: addresses.iter().map(Multiaddr::to_string).collect(),
        http: Some(http.to_string()),
        ..Record::new(config.name.clone(), capability)
    };
    Ok(Start {
        me: boot.identity.node(),
        generation: boot.generation,
        seed,
        config: settings,
        record,
        durable: boot.durable.clone(),
        artifacts: store.held(),
        manifests: store.manifests(),
    })
}

/// Keeps the peers met, and the state folder's lock, until the network ends.
async fn remember(mut state: StateDir, mut known: watch::Receiver<Vec<crate::store::RememberedPeer>>) {
    while known.changed().await.is_ok() {
        let peers = known.borrow_and_update().clone();
        // Elsewhere, since a disk may take its time and the mesh goes on meanwhile.
        let written = tokio::task::spawn_blocking(move || (state.remember(&peers), state)).await;
        let Ok((result, back)) = written else { return };
        state = back;
        if let Err(e) = result {
            tracing::warn!("the peers met are not kept: {e}");
        }
        let mut changes = known.clone();
        let ended = async { while changes.changed().await.is_ok() {} };
        if tokio::time::timeout(REMEMBER_EVERY, ended).await.is_ok() {
            return;
        }
    }
}
