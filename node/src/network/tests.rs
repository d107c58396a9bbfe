//! Two networks, or three, on loopback, each on a free port.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::Multiaddr;
use rocoin::blob::Blob;
use rocoin::deployment;
use rocoin::id::{Digest, NodeId, RequestId};
use rocoin::inference;
use rocoin::node::Lane;
use rocoin::wire::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::link::Outbox;
use super::{Deliver, Direction, Faults, NetworkConfig, NetworkEvent, NetworkHandle, start};
use crate::fleet_key::FleetKey;
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
        fleet_key,
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

#[tokio::test]
async fn a_taken_port_is_refused_though_libp2p_would_share_it() {
    let a = Peer::start(config(Vec::new(), None)).await;
    let (control, _) = mpsc::channel(1);
    let (data, _) = mpsc::channel(1);
    let taken = NetworkConfig { listen: vec![a.address()], ..config(Vec::new(), None) };
    let error = start(taken, Deliver { control, data }).await.unwrap_err().to_string();
    assert!(error.contains("is taken"), "{error}");
}
