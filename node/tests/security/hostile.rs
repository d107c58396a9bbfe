//! A member with the fleet's key and ideas of its own: its own swarm, with libp2p's own private network, and no part of the node.

use std::path::Path;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::pnet::{PnetConfig, PreSharedKey};
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Transport as _, noise, tcp, yamux};
use rocoin::blob::Blob;
use rocoin::fleet::Capability;
use rocoin::id::{Generation, Incarnation, NodeId};
use rocoin::membership::message::{Claim, Kind, Stamp, Update};
use rocoin::membership::{self, Record};
use rocoin::wire::{Message, encode};
use rocoin_node::identity::node_of;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::fleet::PATIENCE;

/// What a reader of a lane sends first.
const READY: u8 = 1;
pub(crate) const CONTROL: StreamProtocol = StreamProtocol::new("/rocoin/control/1");
const OTHERS: [StreamProtocol; 2] = [StreamProtocol::new("/rocoin/inference/1"), StreamProtocol::new("/rocoin/bulk/1")];

/// It is connected to one node, its victim.
pub(crate) struct Hostile {
    pub(crate) id: NodeId,
    victim: PeerId,
    streams: libp2p_stream::Control,
    closed: watch::Receiver<bool>,
    runtime: Runtime,
}

impl Hostile {
    /// Connects to the node at that address. `None`: it was not let in.
    #[expect(clippy::wildcard_enum_match_arm, reason = "libp2p has more events than are of use here")]
    pub(crate) fn connect(key_file: &Path, victim: &str) -> Option<Self> {
        let runtime = Runtime::new().unwrap();
        let entered = runtime.enter();
        let keypair = Keypair::generate_ed25519();
        let id = node_of(&keypair.public().to_peer_id()).unwrap();
        let mut swarm = swarm(&keypair, key_file);
        swarm.dial(victim.parse::<Multiaddr>().unwrap()).unwrap();
        let connected = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { peer_id, .. } => return Some((peer_id, swarm)),
                    SwarmEvent::OutgoingConnectionError { .. } => return None,
                    _ => {}
                }
            }
        };
        let (victim, mut swarm) = runtime.block_on(timeout(PATIENCE, connected)).unwrap()?;
        let mut streams = swarm.behaviour().new_control();
        let lanes = OTHERS.into_iter().chain([CONTROL]).map(|lane| streams.accept(lane).unwrap());
        let mut lanes = futures::stream::select_all(lanes);
        runtime.spawn(async move {
            let mut held = Vec::new();
            while let Some((_, mut stream)) = lanes.next().await {
                let _ = stream.write_all(&[READY]).await;
                let _ = stream.flush().await;
                // Nothing of what comes is read; the victim's queue runs over, which is its affair.
                held.push(stream);
            }
        });
        let (over, closed) = watch::channel(false);
        runtime.spawn(async move {
            while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
            over.send_replace(true);
        });
        drop(entered);
        Some(Self { id, victim, streams, closed, runtime })
    }

    /// Sends these frames, as they are, until the victim has had enough or there are no more.
    pub(crate) fn send(&self, frames: impl Iterator<Item = Vec<u8>>) {
        let mut streams = self.streams.clone();
        let send = async {
            let mut stream = streams.open_stream(self.victim, CONTROL).await.ok()?;
            stream.read_exact(&mut [READY]).await.ok()?;
            for frame in frames {
                stream.write_all(&frame).await.ok()?;
                stream.flush().await.ok()?;
            }
            // It stays open: its end is no offence.
            Some(stream)
        };
        let cut_off = async {
            let _stream = send.await;
            let _ = self.closed.clone().wait_for(|closed| *closed).await;
        };
        let _ = self.runtime.block_on(async { timeout(PATIENCE, cut_off).await });
    }

    /// Whether the victim has closed the connection.
    pub(crate) fn is_cut_off(&self) -> bool {
        *self.closed.borrow()
    }

    /// A sound membership message of this member, which makes it known by a name.
    pub(crate) fn introduction(&self, name: &str) -> Vec<u8> {
        let start = membership::Start { generation: Generation(1), nonce: 7 };
        let stamp = Stamp { start, incarnation: Incarnation(0), version: 1 };
        let capability = Capability {
            flops_per_s: 1.0,
            memory_bytes: 1,
            link_bits_per_s: 1e6,
            link_delay_s: 0.0,
            failure_probability: 0.5,
        };
        let record = Some(Record::new(name.to_owned(), capability).into());
        let updates = vec![Update { member: self.id, claim: Claim::Alive { stamp, record } }];
        framed(&Message::Membership(membership::Message { stamp, view: 0, kind: Kind::Gossip, updates }))
    }
}

/// A message as it goes over a lane.
pub(crate) fn framed(message: &Message) -> Vec<u8> {
    let frame = encode(message, &Blob::default()).unwrap();
    [&u32::try_from(frame.len()).unwrap().to_le_bytes()[..], &frame].concat()
}

fn swarm(keypair: &Keypair, key_file: &Path) -> Swarm<libp2p_stream::Behaviour> {
    let key: PreSharedKey = std::fs::read_to_string(key_file).unwrap().parse().unwrap();
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .and_then(move |socket, _| PnetConfig::new(key).handshake(socket))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).unwrap())
        .multiplex(yamux::Config::default())
        .boxed();
    let settings = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(3600));
    Swarm::new(transport, libp2p_stream::Behaviour::new(), keypair.public().to_peer_id(), settings)
}
