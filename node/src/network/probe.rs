//! A visit to one node: a handshake, and the control lane's first answer, as a stranger who joins nothing.
//!
//! The visitor has an identity for this once. It takes the lanes that the node opens and never says that it reads them, so the node
//! has no link to it, tells the mesh nothing of it, and forgets it when it goes.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{AsyncReadExt as _, StreamExt as _};
use libp2p::core::transport::TransportError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{DialError, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify};
use rocoin::node::Lane;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::config::{HANDSHAKE_TIMEOUT, IDLE_TIMEOUT, PROTOCOL};
use super::door::{Door, marked};
use super::link::{LANES, READY, protocol};
use super::transport;
use crate::fleet_key::{FleetKey, Keyring};
use crate::identity::Identity;

/// After the handshake, for the node's name and its lane.
const TALK_TIMEOUT: Duration = Duration::from_secs(1);
/// The shortest of so many round trips counts.
const ROUND_TRIPS: usize = 3;

/// What a visit found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Visit {
    pub(crate) peer: PeerId,
    /// As the node says: its protocol and its program.
    pub(crate) speaks: Option<(String, String)>,
    /// From asking for the control lane to its answer.
    pub(crate) lane: Option<Duration>,
    /// Whether the node ended the connection.
    pub(crate) turned_away: bool,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
}

/// Visits whoever listens there. Takes 4 s at most.
///
/// # Errors
/// Why there was no handshake, in words.
pub(crate) async fn visit(address: SocketAddr, fleet_keys: Option<Keyring>) -> Result<Visit, String> {
    let mut swarm = swarm(fleet_keys)?;
    let mut control = swarm.behaviour().streams.new_control();
    let lanes = LANES.map(|lane| control.accept(protocol(lane)));
    let met = timeout(HANDSHAKE_TIMEOUT, meet(&mut swarm, &multiaddr(address), fleet_keys)).await;
    let peer = met.map_err(|_| "no answer".to_owned())??;
    let visit = Visit { peer, speaks: None, lane: None, turned_away: false };
    let visit = talk(swarm, control, visit).await;
    drop(lanes);
    Ok(visit)
}

/// Boxed, since every future that waits for it would have to carry its many kilobytes.
fn swarm(fleet_keys: Option<Keyring>) -> Result<Box<Swarm<Behaviour>>, String> {
    let identity = Identity::generate();
    // It listens nowhere, so that the door has nothing to report.
    let door = Door::new(fleet_keys, mpsc::channel(1).0);
    let transport = transport::build(&identity, door).map_err(|e| e.to_string())?;
    let identify = identify::Config::new(PROTOCOL.to_owned(), identity.keypair().public())
        .with_agent_version(concat!("rocoin-doctor/", env!("CARGO_PKG_VERSION")).to_owned());
    let behaviour =
        Behaviour { streams: libp2p_stream::Behaviour::new(), identify: identify::Behaviour::new(identify) };
    let settings = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    Ok(Box::new(Swarm::new(transport, behaviour, identity.peer(), settings)))
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// Tries the keys that are accepted, the current one first: whoever is there may not have been given that yet.
async fn meet(
    swarm: &mut Swarm<Behaviour>,
    address: &Multiaddr,
    fleet_keys: Option<Keyring>,
) -> Result<PeerId, String> {
    let keys: Vec<Option<FleetKey>> = match fleet_keys {
        Some(keys) => keys.accepted().map(Some).collect(),
        None => vec![None],
    };
    let mut met = Err("no key to try".to_owned());
    for key in keys {
        swarm.dial(marked(address.clone(), key)).map_err(|e| reason(&e))?;
        met = established(swarm).await;
        if met.is_ok() {
            break;
        }
    }
    met
}

async fn established(swarm: &mut Swarm<Behaviour>) -> Result<PeerId, String> {
    loop {
        let event = swarm.select_next_some().await;
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = event {
            return Ok(peer_id);
        }
        if let SwarmEvent::OutgoingConnectionError { error, .. } = event {
            return Err(reason(&error));
        }
    }
}

async fn talk(mut swarm: Box<Swarm<Behaviour>>, control: libp2p_stream::Control, mut visit: Visit) -> Visit {
    let end = Instant::now() + TALK_TIMEOUT;
    let mut lane = tokio::spawn(round_trips(control, visit.peer));
    let mut asked = true;
    while asked || visit.speaks.is_none() {
        tokio::select! {
            event = swarm.select_next_some() => {
                if let SwarmEvent::ConnectionClosed { .. } = event {
                    visit.turned_away = true;
                    break;
                }
                if let SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { info, .. })) = event {
                    visit.speaks = Some((info.protocol_version, info.agent_version));
                }
            }
            answer = &mut lane, if asked => {
                visit.lane = answer.ok().flatten();
                asked = false;
            }
            () = sleep_until(end) => break,
        }
    }
    lane.abort();
    visit
}

/// The shortest time in which the control lane was opened and confirmed; `None` if it was not.
async fn round_trips(mut control: libp2p_stream::Control, peer: PeerId) -> Option<Duration> {
    let mut shortest: Option<Duration> = None;
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        let mut stream = control.open_stream(peer, protocol(Lane::Control)).await.ok()?;
        let mut answer = [0; 1];
        stream.read_exact(&mut answer).await.ok()?;
        if answer != [READY] {
            return None;
        }
        let took = start.elapsed();
        shortest = Some(shortest.map_or(took, |least| least.min(took)));
    }
    shortest
}

/// The innermost reasons alone: the rest are libp2p's layers and the address once more.
fn reason(error: &DialError) -> String {
    let DialError::Transport(errors) = error else { return error.to_string() };
    let reasons = errors.iter().map(|(_, error)| match error {
        TransportError::MultiaddrNotSupported(_) => "no address that can be dialled".to_owned(),
        TransportError::Other(error) => {
            let text = error.to_string();
            text.rsplit(": ").next().map_or_else(|| text.clone(), str::to_owned)
        }
    });
    reasons.collect::<Vec<_>>().join(", ")
}
