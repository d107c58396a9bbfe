//! What the swarm speaks: identify, the address topic, mDNS in both families, and the lanes' streams.

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{PeerId, gossipsub, identify, mdns};

use super::NetworkError;
use super::addresses::topic;
use super::config::{
    CONNECTIONS_PER_PEER_MAX, GOSSIP_HEARTBEAT, MDNS_QUERY, MDNS_TTL, NetworkConfig, PENDING_MAX, PENDING_PER_HOST_MAX,
    PROTOCOL,
};
use super::crowd;

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    /// First, so that it refuses before anybody else takes notice.
    limits: connection_limits::Behaviour,
    crowd: crowd::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    pub(super) gossip: gossipsub::Behaviour,
    mdns_v4: Toggle<mdns::tokio::Behaviour>,
    mdns_v6: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    pub(super) fn new(config: &NetworkConfig) -> Result<Self, NetworkError> {
        let me = config.identity.peer();
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING_MAX))
            .with_max_pending_outgoing(Some(PENDING_MAX))
            .with_max_established(Some(config.connections_max))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
        let identify = identify::Config::new(PROTOCOL.to_owned(), config.identity.keypair().public())
            .with_agent_version(concat!("rocoin/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_push_listen_addr_updates(true)
            .with_cache_size(0);
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits),
            crowd: crowd::Behaviour::new(PENDING_PER_HOST_MAX),
            streams: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(identify),
            gossip: gossip(config)?,
            mdns_v4: mdns(config.mdns, me, false),
            mdns_v6: mdns(config.mdns, me, true),
        })
    }
}

fn gossip(config: &NetworkConfig) -> Result<gossipsub::Behaviour, NetworkError> {
    let setup = |e: String| NetworkError::Setup(e);
    let settings = gossipsub::ConfigBuilder::default()
        .heartbeat_interval(GOSSIP_HEARTBEAT)
        // The default low mark of 5 leaves every fleet under 6 in want of peers for ever.
        .mesh_n(4)
        .mesh_n_low(2)
        .mesh_n_high(8)
        .mesh_outbound_min(1)
        .max_transmit_size(16 * 1024)
        .validation_mode(gossipsub::ValidationMode::Strict)
        .validate_messages()
        .build()
        .map_err(|e| setup(e.to_string()))?;
    let author = gossipsub::MessageAuthenticity::Signed(config.identity.keypair().clone());
    let mut gossip = gossipsub::Behaviour::new(author, settings).map_err(|e| setup(e.to_owned()))?;
    gossip.subscribe(&topic()).map_err(|e| setup(e.to_string()))?;
    Ok(gossip)
}

/// Off where it is not wanted or cannot be had: peers are then found by the other ways.
fn mdns(wanted: bool, me: PeerId, enable_ipv6: bool) -> Toggle<mdns::tokio::Behaviour> {
    let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY, enable_ipv6 };
    let behaviour = wanted.then(|| mdns::tokio::Behaviour::new(config, me)).and_then(|started| {
        started.inspect_err(|e| tracing::warn!("no mDNS (IPv6: {enable_ipv6}): {e}; give seeds with --peer")).ok()
    });
    behaviour.into()
}
