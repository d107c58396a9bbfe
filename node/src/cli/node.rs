//! `rocoin node`: runs a device until it is told to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Settings};
use crate::device::{Device, DeviceHandle};
use crate::files::write_atomic;
use crate::http::{self, Api, Limits, Statistics};
use crate::telemetry::{self, LogFormat};

/// What is not finished after this long is given up. Longer than any request's usual deadline.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// For the farewell to reach the peers, so that they do not take it for a crash.
const FAREWELL: Duration = Duration::from_millis(100);

/// Runs a device: it finds the others, holds and runs students, answers requests, and leads if it is chosen
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// TOML file with settings, named as the flags are, with underscores
    #[arg(long, env = "ROCOIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look
    #[arg(long, env = "ROCOIN_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// Leave when standard input closes: for programs that start nodes and may be killed themselves
    #[arg(long)]
    stop_with_stdin: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Runs until SIGTERM or Ctrl-C, then leaves the mesh.
///
/// # Errors
/// Whatever keeps the device from starting.
pub fn run(args: NodeArgs) -> anyhow::Result<()> {
    telemetry::init(args.log_format);
    let file = args.config.as_deref().map(Settings::load).transpose()?.unwrap_or_default();
    let config = args.settings.over(file).resolve()?;
    let (mesh, http) = (runtime("rocoin-mesh")?, runtime("rocoin-http")?);
    mesh.block_on(run_device(config, args.stop_with_stdin, http.handle()))
}

/// One thread for the mesh and one for HTTP; students and the disk have their own. A probe never waits while a client's image is read, and
/// what belongs to one message is done by one thread, without waking another between: on two cores that makes an answer quicker than two
/// threads that share all tasks.
fn runtime(thread: &str) -> anyhow::Result<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(thread).enable_all().build();
    runtime.context("cannot start the runtime")
}

async fn run_device(config: Config, stop_with_stdin: bool, http: &Handle) -> anyhow::Result<()> {
    let announce_file = config.announce_file.clone();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let device = Device::start(config).await?;
    let addresses: Vec<String> = device.addresses.borrow().iter().map(ToString::to_string).collect();
    tracing::info!(node = %device.id, ?addresses, http = %device.http, capability = ?device.capability, "this node is up");
    if let Some(path) = &announce_file {
        announce(path, &device, &addresses)?;
    }
    let node = device.node.clone();
    let api = Api {
        node: device.node.clone(),
        store: device.store.clone(),
        network: device.counters.clone(),
        faults: device.faults.clone(),
        lies: device.lies.clone(),
        token: device.http_token.clone(),
        limits: Limits::default(),
        statistics: Statistics::default(),
    };
    let listener = device.http_listener;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut server = http.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // A dropped sender stops it as well.
        http::serve(listener, api, async { drop(stopped.await) }).await;
        Ok::<_, std::io::Error>(())
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stdin_closed(), if stop_with_stdin => {}
        why = node.ended() => bail!("{why}; the log above says more"),
        ended = &mut server => {
            ended.context("the HTTP interface has ended")?.context("the HTTP interface has ended")?;
        }
    }
    tracing::info!("leaving the mesh");
    match tokio::time::timeout(DRAIN_TIMEOUT, node.drain()).await {
        Ok(result) => result?,
        Err(_) => tracing::warn!("gave up requests that were still open"),
    }
    tokio::time::sleep(FAREWELL).await;
    let _ = stop.send(());
    // Idle keep-alive connections must not hold up the end.
    if !server.is_finished() {
        let _ = tokio::time::timeout(Duration::from_secs(1), server).await;
    }
    if let Some(path) = announce_file {
        let _ = std::fs::remove_file(path);
    }
    tracing::info!("left");
    Ok(())
}

/// Resolves when nothing more can come from standard input. A thread of its own, since such reads cannot be cancelled.
async fn stdin_closed() {
    let (closed, seen) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(closed);
    });
    let _ = seen.await;
}

/// For whoever started this node on port 0.
fn announce(path: &Path, device: &DeviceHandle, addresses: &[String]) -> anyhow::Result<()> {
    let announcement = json!({
        "schema": "rocoin.announce/1",
        "node": device.id,
        "pid": std::process::id(),
        "addresses": addresses,
        "http": device.http,
    });
    Ok(write_atomic(path, announcement.to_string().as_bytes())?)
}
