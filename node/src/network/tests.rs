//! Two networks, or three, on loopback, each on a free port.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{AsyncWriteExt as _, StreamExt as _};
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId};
use rocoin::blob::Blob;
use rocoin::deployment;
use rocoin::id::{Digest, NodeId, RequestId};
use rocoin::inference;
use rocoin::node::Lane;
use rocoin::wire::Message;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, timeout};

use super::behaviour::Behaviour;
use super::door::Door;
use super::link::{Outbox, READY, protocol};
use super::{Deliver, Direction, Faults, NetworkConfig, NetworkEvent, NetworkHandle, start, transport};
use crate::fleet_key::{FleetKey, Keyring};
use crate::identity::Identity;

/// Nothing here takes this long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Peer {
    id: NodeId,
    network: NetworkHandle,
    control: mpsc::Receiver<NetworkEvent>,
    data: mpsc::Receiver<NetworkEvent>,
}

fn config(seeds: Vec<Multiaddr>, fleet_key: Option<FleetKey>) -> NetworkConfig {
    NetworkConfig {
        identity: Identity::generate(),
        fleet_keys: fleet_key.map(Into::into),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        seeds,
        remembered: Vec::new(),
        mdns: false,
        connections_max: 16,
        allow: None,
        fault_injection: true,
    }
}

impl Peer {
    async fn start(config: NetworkConfig) -> Self {
        let id = config.identity.node();
        let (control_in, control) = mpsc::channel(64);
        let (data_in, data) = mpsc::channel(64);
        let network = start(config, Deliver { control: control_in, data: data_in }).await.unwrap();
        Self { id, network, control, data }
    }

    fn address(&self) -> Multiaddr {
        self.network.addresses.borrow()[0].clone()
    }

    async fn link_up(&mut self) -> (NodeId, Outbox) {
        match timeout(PATIENCE, self.control.recv()).await.expect("a link comes up") {
            Some(NetworkEvent::LinkUp { peer, outbox }) => (peer, outbox),
            other => panic!("{other:?}"),
        }
    }

    /// Of whom and what the next warning is.
    async fn warning(&mut self) -> (Vec<NodeId>, String) {
        match timeout(PATIENCE, self.control.recv()).await.expect("a warning comes") {
            Some(NetworkEvent::Warning { about, text }) => (about, text),
            other => panic!("{other:?}"),
        }
    }

    async fn until_dropped(&self, frames: u64) {
        let dropped = || self.network.counters.lane(Lane::Inference).dropped;
        let reached = async {
            while dropped() < frames {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.expect("the frame is dropped");
    }

    async fn data(&mut self) -> (NodeId, Message, Blob) {
        match timeout(PATIENCE, self.data.recv()).await.expect("a message comes") {
            Some(NetworkEvent::Message { from, message, blob }) => (from, message, blob),
            other => panic!("{other:?}"),
        }
    }
}

async fn pair() -> (Peer, Outbox, Peer, Outbox) {
    let mut a = Peer::start(config(Vec::new(), None)).await;
    let mut b = Peer::start(config(vec![a.address()], None)).await;
    let (to_b, to_a) = (a.link_up().await, b.link_up().await);
    assert_eq!((to_b.0, to_a.0), (b.id, a.id));
    (a, to_b.1, b, to_a.1)
}

fn cancel(counter: u64) -> Message {
    let request = RequestId { coordinator: NodeId([1; 32]), generation: rocoin::id::Generation(1), counter };
    Message::Inference(inference::Message::Cancel { request })
}

fn chunk() -> Message {
    Message::Deployment(deployment::Message::Chunk { artifact: Digest([2; 32]), offset: 0, total: 3 })
}

#[tokio::test]
async fn messages_pass_both_ways_in_order() {
    let (mut a, to_b, mut b, to_a) = pair().await;
    for n in 0..50 {
        to_b.send(cancel(n), Blob::default());
    }
    for n in 0..50 {
        assert_eq!(b.data().await, (a.id, cancel(n), Blob::default()));
    }
    let bytes = Blob::from(vec![1, 2, 3]);
    to_a.send(chunk(), bytes.clone());
    assert_eq!(a.data().await, (b.id, chunk(), bytes));
    assert_eq!(a.network.counters.lane(Lane::Inference).sent, 50);
    assert_eq!(a.network.counters.lane(Lane::Bulk).received, 1);
}

#[tokio::test]
async fn a_peer_that_goes_is_a_link_down_and_its_return_a_link_up() {
    let (mut a, _to_b, b, _to_a) = pair().await;
    let gone = b.id;
    let address = a.address();
    drop((b, _to_a));
    let event = timeout(PATIENCE, a.control.recv()).await.unwrap();
    assert!(matches!(event, Some(NetworkEvent::LinkDown { peer }) if peer == gone), "{event:?}");
    let mut c = Peer::start(config(vec![address], None)).await;
    assert_eq!(a.link_up().await.0, c.id);
    assert_eq!(c.link_up().await.0, a.id);
}

#[tokio::test]
async fn two_that_dial_each_other_at_once_become_one_link() {
    let mut a = Peer::start(config(Vec::new(), None)).await;
    let mut b = Peer::start(config(Vec::new(), None)).await;
    a.network.dial(b.id, vec![b.address()]);
    b.network.dial(a.id, vec![a.address()]);
    let (_, to_b) = a.link_up().await;
    let _ = b.link_up().await;
    // Whatever is lost while the two connections become one, one of many messages passes.
    let sender = tokio::spawn(async move {
        for n in 0.. {
            to_b.send(cancel(n), Blob::default());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(b.data().await.0, a.id);
    sender.abort();
    assert!(
        a.control.try_recv().is_err() && b.control.try_recv().is_err(),
        "neither was told of a second link or a loss"
    );
}

#[tokio::test]
async fn the_third_finds_the_second_through_the_first() {
    let mut a = Peer::start(config(Vec::new(), None)).await;
    let mut b = Peer::start(config(vec![a.address()], None)).await;
    let _ = (a.link_up().await, b.link_up().await);
    let mut c = Peer::start(config(vec![a.address()], None)).await;
    let met = [c.link_up().await.0, c.link_up().await.0];
    assert!(met.contains(&a.id) && met.contains(&b.id), "{met:?}");
}

#[tokio::test]
async fn without_the_fleet_key_there_is_no_link() {
    let key = || Some(FleetKey::generate().unwrap());
    let fleet = key();
    let mut a = Peer::start(config(Vec::new(), fleet)).await;
    let mut wrong = Peer::start(config(vec![a.address()], key())).await;
    let mut open = Peer::start(config(vec![a.address()], None)).await;
    let mut right = Peer::start(config(vec![a.address()], fleet)).await;
    assert_eq!(a.link_up().await.0, right.id);
    assert_eq!(right.link_up().await.0, a.id);
    for stranger in [&mut wrong, &mut open] {
        assert!(stranger.control.try_recv().is_err());
    }
    assert!(a.control.try_recv().is_err(), "only the one with the key was let in");
}

#[tokio::test]
async fn a_node_that_is_not_on_the_list_is_turned_away() {
    let listed = config(Vec::new(), None);
    let mut host = config(Vec::new(), None);
    host.allow = Some([listed.identity.node()].into());
    let mut host = Peer::start(host).await;
    let mut stranger = Peer::start(config(vec![host.address()], None)).await;
    let mut guest = Peer::start(NetworkConfig { seeds: vec![host.address()], ..listed }).await;
    assert_eq!(host.link_up().await.0, guest.id);
    assert_eq!(guest.link_up().await.0, host.id);
    assert!(stranger.control.try_recv().is_err());
}

#[tokio::test]
async fn a_blocked_peer_gets_nothing_sees_no_error_and_is_heard_again_when_healed() {
    let (mut a, to_b, mut b, to_a) = pair().await;
    let block = |direction| Faults { block: BTreeMap::from([(b.id, direction)]), ..Faults::default() };
    let switch = a.network.faults.clone().unwrap();

    // Outbound: what a sends is lost, what b sends arrives.
    switch.set(block(Direction::Outbound));
    to_b.send(cancel(1), Blob::default());
    a.until_dropped(1).await;
    to_a.send(cancel(2), Blob::default());
    assert_eq!(a.data().await.1, cancel(2));

    // Inbound: the other way round.
    switch.set(block(Direction::Inbound));
    to_a.send(cancel(3), Blob::default());
    a.until_dropped(2).await;
    to_b.send(cancel(4), Blob::default());
    assert_eq!(b.data().await.1, cancel(4), "and not the one that was blocked before");

    switch.set(Faults::default());
    to_a.send(cancel(5), Blob::default());
    assert_eq!(a.data().await.1, cancel(5));
    assert!(a.control.try_recv().is_err() && b.control.try_recv().is_err(), "no link went down");
}

/// A stranger with the right key and own ideas: connects, and gives the victim's id and a way to open streams.
async fn stranger(victim: &Peer) -> (PeerId, Swarm<Behaviour>) {
    let config = config(Vec::new(), None);
    let transport = transport::build(&config.identity, Door::new(None, mpsc::channel(1).0)).unwrap();
    let settings = libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(PATIENCE);
    let mut swarm = Swarm::new(transport, Behaviour::new(&config).unwrap(), config.identity.peer(), settings);
    swarm.dial(victim.address()).unwrap();
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            return (peer_id, swarm);
        }
    }
}

async fn until_closed(mut swarm: Swarm<Behaviour>) {
    while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
}

#[tokio::test]
async fn a_peer_that_sends_junk_is_disconnected_and_counted() {
    let oversized = u32::MAX.to_le_bytes().to_vec();
    let malformed = [&4_u32.to_le_bytes()[..], b"junk"].concat();
    for junk in [oversized, malformed] {
        let mut victim = Peer::start(config(Vec::new(), None)).await;
        let (id, swarm) = stranger(&victim).await;
        let mut control = swarm.behaviour().streams.new_control();
        let mut lanes = control.accept(protocol(Lane::Control)).unwrap();
        let _others = [Lane::Inference, Lane::Bulk].map(|lane| control.accept(protocol(lane)).unwrap());
        let closed = tokio::spawn(until_closed(swarm));
        let (_, mut theirs) = lanes.next().await.unwrap();
        theirs.write_all(&[READY]).await.unwrap();
        theirs.flush().await.unwrap();
        let _ = victim.link_up().await;
        let mut ours = control.open_stream(id, protocol(Lane::Control)).await.unwrap();
        ours.write_all(&junk).await.unwrap();
        ours.flush().await.unwrap();
        timeout(PATIENCE, closed).await.expect("the stranger is disconnected").unwrap();
        assert_eq!(victim.network.counters.offences(), 1);
        assert!(victim.warning().await.1.contains("cut off for 60 s"));
        let event = timeout(PATIENCE, victim.control.recv()).await.unwrap();
        assert!(matches!(event, Some(NetworkEvent::LinkDown { .. })), "{event:?}");
    }
}

#[tokio::test]
async fn a_peer_that_speaks_another_version_is_turned_away_before_it_is_a_link() {
    let mut victim = Peer::start(config(Vec::new(), None)).await;
    let (_, swarm) = stranger(&victim).await;
    timeout(PATIENCE, until_closed(swarm)).await.expect("the stranger is disconnected");
    assert!(victim.warning().await.1.contains("this version of rocoin's protocol"));
    assert!(victim.control.try_recv().is_err(), "it never was a link");
    assert_eq!(victim.network.counters.offences(), 0, "another version is no offence");
}

/// A peer that was cut off is not let in again at once, whatever connection it comes by.
#[tokio::test]
async fn a_peer_that_was_cut_off_is_named_and_kept_out() {
    let (mut a, _to_b, b, _to_a) = pair().await;
    a.network.cut_off(b.id, "it sent 10 plans that make no sense".to_owned());
    let (about, text) = a.warning().await;
    assert_eq!(about, [b.id]);
    assert!(text.contains("cut off for 60 s") && text.contains("10 plans that make no sense"), "{text}");
    let event = timeout(PATIENCE, a.control.recv()).await.unwrap();
    assert!(matches!(event, Some(NetworkEvent::LinkDown { peer }) if peer == b.id), "{event:?}");
    assert_eq!(a.network.counters.offences(), 1);
    // Another is let in meanwhile, and it is the only one.
    let mut c = Peer::start(config(vec![a.address()], None)).await;
    assert_eq!(a.link_up().await.0, c.id);
    let _ = c.link_up().await;
}

/// Every message that is sent while the connections move to the new key arrives.
#[tokio::test]
async fn the_fleet_key_is_changed_under_way_and_no_message_is_lost() {
    let [old, new] = [(); 2].map(|()| FleetKey::generate().unwrap());
    let mut a = Peer::start(config(Vec::new(), Some(old))).await;
    let mut b = Peer::start(config(vec![a.address()], Some(old))).await;
    let (_, to_b) = a.link_up().await;
    let (_, to_a) = b.link_up().await;
    let both = Keyring { previous: Some(old), ..new.into() };
    let count = |peer: &Peer, what: &str| peer.network.counters.told().find(|(name, _)| name == what).unwrap().1;
    let on_old = |peer: &Peer| count(peer, "network_links_on_previous_key") == 1;
    let mut talk = Talk { to_a, to_b, sent: 0, heard: [0; 2] };

    a.network.key_changer().change(both).await;
    // The other side has the old key alone still, so that nothing can be moved yet.
    talk.until(&mut a, &mut b, |a, _, _| on_old(a)).await;
    b.network.key_changer().change(both).await;
    talk.until(&mut a, &mut b, |_, b, _| on_old(b)).await;
    talk.until(&mut a, &mut b, |a, b, _| !on_old(a) && !on_old(b)).await;
    talk.until(&mut a, &mut b, |a, b, _| [a, b].map(|peer| count(peer, "network_connections")) == [1, 1]).await;
    for peer in [&a, &b] {
        peer.network.key_changer().change(Keyring { retired: Some(old), ..new.into() }).await;
    }
    let more = talk.sent + 500;
    talk.until(&mut a, &mut b, |_, _, sent| sent >= more).await;
    assert!(a.control.try_recv().is_err() && b.control.try_recv().is_err(), "neither was told of a loss");
    let dropped = |peer: &Peer| peer.network.counters.lane(Lane::Inference).dropped;
    assert_eq!((dropped(&a), dropped(&b)), (0, 0));
}

/// Two peers that send each other numbered messages, a few of which are on their way at any time.
struct Talk {
    to_a: Outbox,
    to_b: Outbox,
    sent: u64,
    heard: [u64; 2],
}

impl Talk {
    /// Goes on until it holds, and until every message has arrived.
    async fn until(&mut self, a: &mut Peer, b: &mut Peer, holds: impl Fn(&Peer, &Peer, u64) -> bool) {
        /// On their way each way at once.
        const WINDOW: u64 = 32;
        /// Sent in a millisecond: half of what a peer may send.
        const MOST: u64 = 10;
        let mut pace = tokio::time::interval(Duration::from_millis(1));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let talk = async {
            loop {
                let holds = holds(a, b, self.sent);
                if holds && self.heard == [self.sent; 2] {
                    return;
                }
                let (side, event) = tokio::select! {
                    event = a.data.recv() => (0, event),
                    event = b.data.recv() => (1, event),
                    _ = pace.tick(), if !holds => {
                        let room = self.heard.iter().min().map_or(0, |heard| heard + WINDOW - self.sent);
                        for _ in 0..room.min(MOST) {
                            self.to_a.send(cancel(self.sent), Blob::default());
                            self.to_b.send(cancel(self.sent), Blob::default());
                            self.sent += 1;
                        }
                        continue;
                    }
                };
                assert!(matches!(event, Some(NetworkEvent::Message { .. })), "{event:?}");
                self.heard[side] += 1;
            }
        };
        timeout(PATIENCE, talk).await.expect("it comes to hold, and all that was sent arrives");
    }
}

#[tokio::test]
async fn a_node_that_missed_the_change_of_the_key_is_out_and_named() {
    let [old, new] = [(); 2].map(|()| FleetKey::generate().unwrap());
    let mut a = Peer::start(config(Vec::new(), Some(old))).await;
    let mut missed = Peer::start(config(vec![a.address()], Some(old))).await;
    let _ = (a.link_up().await, missed.link_up().await);
    // As it hears it from the other sooner or later.
    a.network.dial(missed.id, vec![missed.address()]);
    a.network.key_changer().change(Keyring { retired: Some(old), ..new.into() }).await;
    let (about, text) = a.warning().await;
    assert_eq!(about, [missed.id]);
    assert!(text.contains("not given the new one"), "{text}");
    let event = timeout(PATIENCE, a.control.recv()).await.unwrap();
    assert!(matches!(event, Some(NetworkEvent::LinkDown { peer }) if peer == missed.id), "{event:?}");
    let event = timeout(PATIENCE, missed.control.recv()).await.unwrap();
    assert!(matches!(event, Some(NetworkEvent::LinkDown { .. })), "{event:?}");
    // It knocks, and is recognised; and it is told by the other's knocking.
    let (about, text) = a.warning().await;
    assert!(about == [missed.id] && text.contains("has missed the change"), "{text}");
    let (about, text) = missed.warning().await;
    assert!(about == [a.id] && text.contains("Was the fleet's key changed"), "{text}");
    // It is brought back by the key alone.
    missed.network.key_changer().change(new.into()).await;
    assert_eq!(missed.link_up().await.0, a.id);
    assert_eq!(a.link_up().await.0, missed.id);
}

#[tokio::test]
async fn a_taken_port_is_refused_though_libp2p_would_share_it() {
    let a = Peer::start(config(Vec::new(), None)).await;
    let (control, _) = mpsc::channel(1);
    let (data, _) = mpsc::channel(1);
    let taken = NetworkConfig { listen: vec![a.address()], ..config(Vec::new(), None) };
    let error = start(taken, Deliver { control, data }).await.unwrap_err().to_string();
    assert!(error.contains("is taken"), "{error}");
}
