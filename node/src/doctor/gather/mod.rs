//! Looks, and judges nothing. What could not be seen is a fact, too.

mod aim;
mod device;
mod files;
mod firewall;
mod http;
mod interfaces;
mod multicast;
mod ports;
mod targets;

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use aim::Aim;

use super::Examination;
use super::facts::{Clock, Facts, Http, IdentityFile, Interface, Running};
use crate::fleet_key::Keyring;

/// With what a handshake may be tried.
#[derive(Debug, Clone, Copy)]
enum Key {
    /// This one, or the one before it while the fleet's is changed.
    Fleet(Keyring),
    /// None, by the user's wish.
    Open,
    /// There is none that can be used.
    Lacking,
}

/// All facts, looked for side by side.
pub(super) async fn gather(examination: Examination) -> Facts {
    let (key, key_file) = files::key(examination.fleet_key_file.as_deref(), examination.open);
    let folder = examination.state_dir.clone();
    let mut state = tokio::task::spawn_blocking(move || files::state(&folder)).await.unwrap_or_default();
    let interfaces = interfaces::interfaces();
    let own: Vec<IpAddr> = interfaces.iter().flat_map(|i| i.addresses.iter().map(|a| a.ip)).collect();
    let asked: Vec<Interface> = if examination.mdns { interfaces.clone() } else { Vec::new() };
    let me = if let IdentityFile::Usable { peer, .. } = &state.identity { Some(peer.clone()) } else { None };
    let folder = examination.state_dir.clone();
    let (multicast, ports, targets, firewalls, hardware, running, write) = tokio::join!(
        multicast::ask_all(asked, own.clone()),
        ports::try_all(&examination.listen, &state, me.as_deref(), key),
        targets::try_all(&examination.aims, &own, key, examination.http_token.as_deref()),
        firewall::installed(),
        async { tokio::task::spawn_blocking(move || device::hardware(&folder)).await.unwrap_or_default() },
        running(&examination, state.locked == Some(true)),
        files::write_test(&examination.state_dir),
    );
    state.write = write;
    let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let clock = Clock { unix_s };
    Facts { interfaces, multicast, ports, firewalls, targets, clock, hardware, key: key_file, state, running }
}

async fn running(examination: &Examination, runs: bool) -> Running {
    if !runs {
        return Running::default();
    }
    let (http, members) = http::look(examination.http.clone(), examination.http_token.clone()).await;
    Running { http: Some(http), url: examination.http.clone(), members }
}

/// Counts the others of those that a node sees.
fn count(members: &[super::facts::Member]) -> (usize, usize) {
    (members.iter().filter(|m| m.routable).count(), members.len())
}

impl Http {
    /// As far as a failed call tells.
    fn unreachable(why: impl ToString) -> Self {
        Self::Unreachable { why: why.to_string() }
    }
}
