//! The task that owns the swarm.

mod cutting;
mod rekeying;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, identify, mdns};
use rocoin::id::NodeId;
use rocoin::node::Lane;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::addresses::{announcement, dialable, ip_of, parse_announcement, peer_in, topic, without_peer};
use super::behaviour::{Behaviour, BehaviourEvent};
use super::book::Book;
use super::config::{IDLE_TIMEOUT, NetworkConfig, PROTOCOL};
use super::connections::Connections;
use super::door::{Door, marked};
use super::faults::Gate;
use super::link::{LANES, Link, Report, Shared, protocol};
use super::seeds::Seeds;
use super::{Command, Deliver, NetworkCounters, NetworkError, NetworkEvent, NetworkHandle, listen, transport};
use crate::identity::{node_of, peer_of};
use crate::store::RememberedPeer;

/// Commands and reports that wait for the task.
const MAILBOX: usize = 1024;
/// Own addresses are published at most once in this time.
const ANNOUNCE_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// After a new subscriber, so that those who come together are served together.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(100);
/// Without any peer after this long, a person is told what to look at.
const LONELY_AFTER: Duration = Duration::from_secs(30);
/// A lost seed's address is tried again after this long; its peer is looked for sooner.
const SEED_AGAIN: Duration = Duration::from_secs(2);
/// The listeners have this long to tell their addresses.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Interfaces of one listener are told one after the other, no further apart than this.
const LISTEN_QUIET: Duration = Duration::from_millis(50);

/// Starts the network: returns once it listens.
pub(crate) async fn start(config: NetworkConfig, deliver: Deliver) -> Result<NetworkHandle, NetworkError> {
    let (mut actor, handle) = build(config, deliver)?;
    actor.wait_until_listening().await?;
    tokio::spawn(actor.run());
    Ok(handle)
}

/// Boxed, since the swarm is some 20 KB, which every future that waits for it would have to carry.
fn build(config: NetworkConfig, deliver: Deliver) -> Result<(Box<Actor>, NetworkHandle), NetworkError> {
    let (reports, report_queue) = mpsc::channel(MAILBOX);
    let door = Door::new(config.fleet_keys, reports.clone());
    let swarm = listening_swarm(&config, door.clone())?;
    let streams = swarm.behaviour().streams.new_control();
    let (commands, command_queue) = mpsc::channel(MAILBOX);
    let (addresses, addresses_seen) = watch::channel(Vec::new());
    let (known, known_seen) = watch::channel(Vec::new());
    let (gate, faults) = Gate::new(config.fault_injection);
    let counters = NetworkCounters::default();
    let now = Instant::now();
    let mut book = Book::new(config.identity.peer());
    book.recall(&config.remembered, now);
    let actor = Actor {
        swarm,
        incoming: accept_lanes(&streams)?,
        streams,
        shared: Shared { deliver, reports, gate, counters: counters.clone() },
        book,
        seeds: Seeds::new(&config.seeds, now),
        connections: Connections::new(config.identity.peer(), config.fleet_keys.map(|keys| keys.current)),
        door,
        links: BTreeMap::new(),
        links_made: 0,
        allow: config.allow,
        banned: BTreeMap::new(),
        knocks: BTreeMap::new(),
        // The keys may be two at the start already.
        move_at: config.fleet_keys.and(Some(now)),
        move_rounds: 0,
        commands: command_queue,
        reports: report_queue,
        addresses,
        known,
        announce: None,
        announced: None,
        lonely: Some(now + LONELY_AFTER),
    };
    Ok((Box::new(actor), NetworkHandle { commands, addresses: addresses_seen, known: known_seen, counters, faults }))
}

fn listening_swarm(config: &NetworkConfig, door: Door) -> Result<Swarm<Behaviour>, NetworkError> {
    for address in &config.listen {
        listen::check_free(address)?;
    }
    let transport = transport::build(&config.identity, door)?;
    let settings = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let mut swarm = Swarm::new(transport, Behaviour::new(config)?, config.identity.peer(), settings);
    for address in &config.listen {
        let failed = |why: String| NetworkError::Listen { address: address.clone(), why };
        swarm.listen_on(address.clone()).map_err(|e| failed(e.to_string()))?;
    }
    Ok(swarm)
}

/// Takes peers' streams at once, since libp2p drops those that wait.
fn accept_lanes(streams: &libp2p_stream::Control) -> Result<mpsc::Receiver<(Lane, PeerId, Stream)>, NetworkError> {
    let (accepted, queue) = mpsc::channel(MAILBOX);
    for lane in LANES {
        let taken = |e: libp2p_stream::AlreadyRegistered| NetworkError::Setup(e.to_string());
        let mut incoming = streams.clone().accept(protocol(lane)).map_err(taken)?;
        let accepted = accepted.clone();
        tokio::spawn(async move {
            while let Some((peer, stream)) = incoming.next().await {
                if accepted.send((lane, peer, stream)).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(queue)
}

struct Actor {
    swarm: Swarm<Behaviour>,
    streams: libp2p_stream::Control,
    incoming: mpsc::Receiver<(Lane, PeerId, Stream)>,
    shared: Shared,
    book: Book,
    seeds: Seeds,
    door: Door,
    connections: Connections,
    links: BTreeMap<PeerId, Link>,
    links_made: u64,
    allow: Option<BTreeSet<NodeId>>,
    banned: BTreeMap<PeerId, Instant>,
    /// When a person was told last of who knocks from there.
    knocks: BTreeMap<IpAddr, Instant>,
    /// When to try next to move connections to the fleet's current key; `None` while there is one key only.
    move_at: Option<Instant>,
    move_rounds: usize,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    addresses: watch::Sender<Vec<Multiaddr>>,
    known: watch::Sender<Vec<RememberedPeer>>,
    /// When to publish own addresses.
    announce: Option<Instant>,
    announced: Option<Instant>,
    /// When to tell a person that nobody was found; `None` once somebody was, or it was told.
    lonely: Option<Instant>,
}

impl Actor {
    async fn run(mut self: Box<Self>) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event).await,
                Some((lane, peer, stream)) = self.incoming.recv() => {
                    if let Some(link) = self.links.get_mut(&peer) {
                        link.accept(lane, stream);
                    }
                }
                Some(report) = self.reports.recv() => self.on_report(report).await,
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                () = sleep_until(wake) => self.on_wake(),
            }
        }
    }

    /// Until no further address is told. A listener of a family that no interface has stays silent.
    async fn wait_until_listening(&mut self) -> Result<(), NetworkError> {
        let mut patience = LISTEN_TIMEOUT;
        while let Ok(event) = timeout(patience, self.swarm.select_next_some()).await {
            if matches!(event, SwarmEvent::NewListenAddr { .. }) {
                patience = LISTEN_QUIET;
            }
            if let SwarmEvent::ListenerClosed { addresses, reason: Err(e), .. } = &event {
                let address = addresses.first().cloned().unwrap_or_else(Multiaddr::empty);
                return Err(NetworkError::Listen { address, why: e.to_string() });
            }
            self.on_swarm(event).await;
        }
        Ok(())
    }

    fn next_wake(&self) -> Instant {
        let times = [
            self.book.next_due(),
            self.seeds.next_due(),
            self.connections.next_doom(),
            self.announce,
            self.lonely,
            self.move_at,
        ];
        times.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE_TIMEOUT)
    }

    fn on_wake(&mut self) {
        let now = Instant::now();
        for connection in self.connections.take_doomed(now) {
            self.swarm.close_connection(connection);
        }
        if self.announce.is_some_and(|due| due <= now) {
            self.publish(now);
        }
        if self.lonely.is_some_and(|due| due <= now) {
            self.lonely = None;
            tracing::info!(
                "no other node found yet: if this network blocks multicast, name one with --peer; \
                 if there is one, compare the fleet keys"
            );
        }
        if self.move_at.is_some_and(|due| due <= now) {
            self.move_connections(now);
        }
        self.dial_due(now);
    }

    fn dial_due(&mut self, now: Instant) {
        self.banned.retain(|_, until| *until > now);
        for (peer, addresses, attempt) in self.book.take_due(now) {
            if let Some(until) = self.banned.get(&peer) {
                self.book.postpone(&peer, *until);
                continue;
            }
            let key = self.door.key_for(attempt);
            let options = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses.into_iter().map(|address| marked(address, key)).collect())
                .allocate_new_port()
                .build();
            let open = node_of(&peer).is_some_and(|node| self.shared.gate.lets_connect(node));
            if !open || self.swarm.dial(options).is_err() {
                self.book.failed(&peer, now, random());
            }
        }
        for (place, address, attempt) in self.seeds.due(now) {
            let key = self.door.key_for(attempt);
            let options = match peer_in(&address) {
                Some(peer) => DialOpts::peer_id(peer)
                    .condition(PeerCondition::Always)
                    .addresses(vec![marked(without_peer(address), key)])
                    .allocate_new_port()
                    .build(),
                None => DialOpts::unknown_peer_id().address(marked(address, key)).allocate_new_port().build(),
            };
            let connection = options.connection_id();
            self.seeds.dialling(place, connection);
            if let Err(e) = self.swarm.dial(options) {
                self.seeds.failed(connection, &e, now, random());
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Dial { peer, addresses } => {
                if let Some(peer) = peer_of(peer) {
                    let now = Instant::now();
                    self.book.learn(peer, &dialable(addresses), now);
                    self.book.hurry(&peer, now);
                }
            }
            Command::CutOff { peer, what } => {
                if let Some(peer) = peer_of(peer) {
                    self.cut_off(peer, &what);
                }
            }
            Command::Keys(keys) => self.change_keys(keys),
        }
    }

    async fn on_report(&mut self, report: Report) {
        match report {
            Report::Open { link, peer } => self.on_lane_open(link, peer).await,
            Report::OtherVersion { peer } => {
                self.turn_away_version(peer, "it does not speak this version of rocoin's protocol")
            }
            Report::Offence { peer, what } => self.cut_off(peer, &what),
            Report::Knock { from, retired } => self.on_knock(&from, retired),
        }
    }

    async fn on_lane_open(&mut self, id: u64, peer: PeerId) {
        let Some(link) = self.links.get(&peer).filter(|link| link.id() == id && !link.is_up()) else { return };
        let node = link.node();
        let outbox = link.set_up();
        self.lonely = None;
        tracing::debug!(peer = %node.short(), "link up");
        let _ = self.shared.deliver.control.send(NetworkEvent::LinkUp { peer: node, outbox }).await;
        self.update_known();
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p has more events than a node has use for, and may get new ones"
    )]
    async fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.on_closed(peer_id, connection_id).await;
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.door.forget(&send_back_addr);
                self.shared.counters.turned_away();
                tracing::debug!(from = %send_back_addr, "turned away at the door: {error}");
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => self.on_addresses_changed(),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!("a listener has trouble: {error}"),
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener has closed");
                self.on_addresses_changed();
            }
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let now = Instant::now();
        let key = self.door.key_of(endpoint);
        let is_keyed = self.door.keys().is_none_or(|keys| keys.accepted().any(|accepted| Some(accepted) == key));
        let node = node_of(&peer).filter(|node| is_keyed && self.admits(peer, *node));
        let Some(node) = node else {
            self.swarm.close_connection(connection);
            return;
        };
        if endpoint.is_dialer() {
            self.book.learn(peer, &[without_peer(endpoint.get_remote_address().clone())], now);
            self.seeds.met(connection, peer);
        }
        self.book.connected(peer, now);
        if endpoint.is_listener() {
            self.book.came_from(&peer, ip_of(endpoint.get_remote_address()));
        }
        let first = !self.connections.has(&peer);
        let moved = self.connections.opened(peer, connection, endpoint.is_dialer(), key, now);
        if first {
            self.links_made += 1;
            let link = Link::start(self.links_made, peer, node, &self.streams, &self.shared);
            self.links.insert(peer, link);
        }
        self.leave_connections(peer, &moved);
        self.shared.counters.set_connections(self.connections.count());
    }

    fn admits(&self, peer: PeerId, node: NodeId) -> bool {
        let listed = self.allow.as_ref().is_none_or(|allow| allow.contains(&node));
        if !listed {
            tracing::warn!(peer = %node, "turned away a node that is not on the list of those allowed");
        }
        listed && !self.banned.contains_key(&peer) && self.shared.gate.lets_connect(node)
    }

    async fn on_closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let is_last = self.connections.closed(&peer, connection);
        self.shared.counters.set_connections(self.connections.count());
        if !is_last {
            return;
        }
        let now = Instant::now();
        self.book.lost(&peer, now, random());
        self.seeds.lost(&peer, now + SEED_AGAIN);
        if let Some(link) = self.links.remove(&peer)
            && link.is_up()
        {
            let node = link.node();
            tracing::debug!(peer = %node.short(), "link down");
            let _ = self.shared.deliver.control.send(NetworkEvent::LinkDown { peer: node }).await;
        }
        self.update_known();
    }

    fn on_dial_failed(&mut self, connection: ConnectionId, peer: Option<PeerId>, error: &DialError) {
        let now = Instant::now();
        self.seeds.failed(connection, error, now, random());
        let Some(peer) = peer else { return };
        tracing::trace!(%peer, "dial failed: {error}");
        if let DialError::WrongPeerId { obtained, address } = error {
            let address = without_peer(address.clone());
            self.book.remove_address(&peer, &address);
            self.book.learn(*obtained, &[address], now);
        }
        self.book.failed(&peer, now, random());
    }

    fn on_addresses_changed(&mut self) {
        let addresses = dialable(self.swarm.listeners().cloned());
        let changed = self.addresses.send_if_modified(|old| {
            let changed = *old != addresses;
            *old = addresses;
            changed
        });
        if changed {
            self.announce_soon();
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p has more events than a node has use for, and may get new ones"
    )]
    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                if info.protocol_version == PROTOCOL {
                    self.learn(peer_id, info.listen_addrs);
                } else {
                    let why = format!(
                        "it speaks {} ({}), and this node {PROTOCOL}",
                        info.protocol_version, info.agent_version
                    );
                    self.turn_away_version(peer_id, &why);
                }
            }
            BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                let addresses = parse_announcement(&message.data);
                let acceptance =
                    if addresses.is_some() { MessageAcceptance::Accept } else { MessageAcceptance::Reject };
                self.swarm.behaviour_mut().gossip.report_message_validation_result(
                    &message_id,
                    &propagation_source,
                    acceptance,
                );
                let open = node_of(&propagation_source).is_some_and(|node| self.shared.gate.lets_in(node));
                if let (Some(addresses), Some(author), true) = (addresses, message.source, open) {
                    self.learn(author, addresses);
                }
            }
            BehaviourEvent::Gossip(gossipsub::Event::Subscribed { .. }) => self.announce_soon(),
            BehaviourEvent::MdnsV4(mdns::Event::Discovered(found))
            | BehaviourEvent::MdnsV6(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.learn(peer, [address]);
                }
            }
            _ => {}
        }
    }

    fn learn(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        if node_of(&peer).is_some() {
            self.book.learn(peer, &dialable(addresses), Instant::now());
        }
    }

    fn announce_soon(&mut self) {
        let now = Instant::now();
        let jitter = Duration::from_millis(random() % 100);
        let earliest = self.announced.map_or(now, |last| last + ANNOUNCE_AT_MOST_EVERY);
        let due = (now + ANNOUNCE_AFTER + jitter).max(earliest);
        self.announce = Some(self.announce.map_or(due, |already| already.min(due)));
    }

    /// To nobody, if nobody has subscribed: each new subscriber is a new occasion.
    fn publish(&mut self, now: Instant) {
        self.announce = None;
        self.announced = Some(now);
        let data = announcement(&self.addresses.borrow());
        if let Err(e) = self.swarm.behaviour_mut().gossip.publish(topic(), data) {
            tracing::trace!("addresses not published: {e}");
        }
    }

    fn update_known(&self) {
        let peers = self.book.remembered();
        self.known.send_if_modified(|old| {
            let changed = *old != peers;
            *old = peers;
            changed
        });
    }
}

/// For jitter only. Without entropy there is none.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}
