//! How connections come and go, and how messages travel over them.

use imbl::OrdMap;
use rocoin::blob::Blob;
use rocoin::id::NodeId;
use rocoin::inference;
use rocoin::node::Input;
use rocoin::time::{Duration, Instant};
use rocoin::wire::{Message, header_len};

use super::World;
use super::event::{Event, Parcel};
use super::host::Link;
use super::network::{Bytes, ConnectionId, Fate, Pays};
use super::standing::{CutId, pair};
use crate::fact::{Fact, HostId};

/// In fleets larger than this a host calls out again only while it has no link at all.
const CROWD: usize = 64;

impl World {
    /// A host calls out by multicast; whoever hears it and has no link to it connects.
    pub(super) fn announce(&mut self, host: HostId, life: u32) {
        if self.host(host).life != life || !self.host(host).is_running() {
            return;
        }
        let lonely = self.host(host).links.is_empty();
        for other in self.host_ids() {
            let hears = other != host && self.host(other).is_running() && !self.network.is_cut(host, other);
            if hears && !self.connections.contains(pair(host, other)) {
                let latency = self.network.latency(host, other);
                self.after(latency, Event::Knock { from: other, to: host });
            }
        }
        let every = self.network.spec.discovery_s;
        if every > 0.0 && (lonely || self.hosts.len() <= CROWD) {
            let wait = Duration::from_secs_f64(every * self.random.between(0.9, 1.1));
            self.after(wait, Event::Announce { host, life });
        }
    }

    /// A node wants a link to a peer.
    pub(super) fn dial(&mut self, from: HostId, peer: NodeId, addresses: &[String]) {
        if self.host(from).links.contains_key(&peer) {
            return;
        }
        for to in addresses.iter().filter_map(|a| super::host::host_at(a)) {
            let known = super::network::index(to) < self.hosts.len();
            if known && to != from && self.host(to).disk.node == peer && self.network.is_open(from, to) {
                let latency = self.network.latency(from, to);
                self.after(latency, Event::Knock { from, to });
                return;
            }
        }
    }

    /// The handshake's first packet arrives; both ends learn of the connection one after the other.
    pub(super) fn knock(&mut self, from: HostId, to: HostId) {
        let answers = |host: HostId| self.host(host).is_running() && !self.host(host).paused;
        let possible = answers(from) && answers(to) && self.network.is_open(from, to);
        if !possible || self.connections.contains(pair(from, to)) {
            return;
        }
        if self.host(from).disk.node == self.host(to).disk.node {
            return; // Nobody connects to itself.
        }
        let id = self.network.new_connection();
        self.connections.insert(pair(from, to), id);
        let (there, back) = (self.network.latency(to, from), self.network.latency(from, to));
        self.after(there, Event::LinkUp { host: from, peer: to, connection: id });
        self.after(there + back, Event::LinkUp { host: to, peer: from, connection: id });
    }

    pub(super) fn link_up(&mut self, host: HostId, peer: HostId, connection: ConnectionId) {
        if !self.stands(pair(host, peer), connection) || !self.host(host).is_running() {
            return;
        }
        let node = self.host(peer).disk.node;
        let link = Link { host: peer, connection };
        match self.host_mut(host).links.insert(node, link) {
            Some(older) if older.connection == connection => return,
            // It was away and is back before this end noticed: what it takes for the connection is long gone.
            Some(older) if older.host == peer => self.input(host, Input::LinkDown { peer: node }),
            // Another host has the same identity: one connection an identity.
            Some(older) => self.close(pair(host, older.host), Duration::ZERO),
            None => {}
        }
        self.input(host, Input::LinkUp { peer: node });
    }

    /// Connects all of these to each other, without a word to the nodes.
    pub(super) fn link_all(&mut self, hosts: &[HostId]) {
        self.connections.introduce(hosts.iter().copied());
        let connection = ConnectionId::INTRODUCED;
        let all: OrdMap<_, _> =
            hosts.iter().map(|host| (self.host(*host).disk.node, Link { host: *host, connection })).collect();
        for host in hosts {
            if self.host(*host).links.len() + 1 == hosts.len() {
                continue;
            }
            let mut links = all.clone();
            links.remove(&self.host(*host).disk.node);
            for (node, link) in &self.host(*host).links {
                links.insert(*node, *link);
            }
            self.host_mut(*host).links = links;
        }
    }

    pub(super) fn link_down(&mut self, host: HostId, peer: HostId, connection: ConnectionId) {
        let links = &self.host(host).links;
        let gone = Link { host: peer, connection };
        // Its identity is most likely the one it had.
        let node = self.host(peer).disk.node;
        let gone = if links.get(&node) == Some(&gone) {
            Some(node)
        } else {
            links.iter().find(|(_, link)| **link == gone).map(|(node, _)| *node)
        };
        if let Some(node) = gone
            && self.host(host).is_running()
        {
            self.host_mut(host).links.remove(&node);
            self.input(host, Input::LinkDown { peer: node });
        }
    }

    fn stands(&self, pair: (HostId, HostId), connection: ConnectionId) -> bool {
        self.connections.get(pair) == Some(connection)
    }

    /// Ends a connection; each end that can be reached learns of it after `notice` and the way there.
    pub(super) fn close(&mut self, pair: (HostId, HostId), notice: Duration) {
        let Some((connection, waited)) = self.connections.remove(pair) else { return };
        self.stats.dropped += waited as u64;
        let (a, b) = pair;
        for (host, peer) in [(a, b), (b, a)] {
            let wait = notice + self.network.latency(peer, host);
            self.after(wait, Event::LinkDown { host, peer, connection });
        }
    }

    /// A host's process is gone. Its kernel says so to the peers, unless the host lost its power or its net: then they
    /// learn it as from a cut.
    pub(super) fn close_all_of(&mut self, host: HostId, silent: bool) {
        let peers: Vec<_> = self.host_ids().filter(|peer| self.connections.contains(pair(host, *peer))).collect();
        for peer in peers {
            if silent || self.network.is_cut(host, peer) {
                let wait = self.break_after();
                let Some((connection, _)) = self.connections.remove(pair(host, peer)) else { continue };
                self.after(wait, Event::LinkDown { host: peer, peer: host, connection });
            } else {
                self.close(pair(host, peer), Duration::ZERO);
            }
        }
        self.connections.forget(host);
        self.host_mut(host).links.clear();
    }

    fn break_after(&mut self) -> Duration {
        Duration::from_secs_f64(self.network.spec.break_after_s * self.random.between(1.0, 1.2))
    }

    /// Every connection that a cut holds up, be it one way, breaks if that cut lasts. What waited for a way that is open now is sent again.
    pub(super) fn cuts_changed(&mut self) {
        for pair in self.connections.pairs() {
            if self.network.is_open(pair.0, pair.1) {
                self.connections.mend(pair);
            } else if let Some(cut) = self.connections.cut(pair) {
                let wait = self.break_after();
                self.after(wait, Event::Break { pair, cut });
            }
            for way in [pair, (pair.1, pair.0)] {
                if !self.network.is_cut(way.0, way.1) {
                    self.send_again(way);
                }
            }
        }
    }

    fn send_again(&mut self, way: (HostId, HostId)) {
        let mut waiting = self.connections.take_waiting(way).peekable();
        if waiting.peek().is_none() {
            return;
        }
        let again = self.now + self.network.retransmission();
        for parcel in waiting {
            let at = self.network.send_again(again, way, parcel.message.lane());
            self.travel(at, parcel);
        }
    }

    /// A message reaches its receiver's link then.
    fn travel(&mut self, at: Instant, parcel: Parcel) {
        let parcel = Box::new(parcel);
        let event = if self.network.spec.both_ways { Event::Arrive(parcel) } else { Event::Deliver(parcel) };
        self.queue.push(at, event);
    }

    pub(super) fn break_if_cut(&mut self, pair: (HostId, HostId), cut: CutId) {
        if self.connections.is_cut_still(pair, cut) {
            self.close(pair, Duration::ZERO);
        }
    }

    /// A node sends; without a link, or with a full queue, the message is dropped.
    pub(super) fn send(&mut self, from: HostId, to: NodeId, message: Message, blob: Blob) {
        let Some(link) = self.host(from).links.get(&to).copied() else {
            self.stats.dropped += 1;
            return;
        };
        let bytes = Bytes { header: header_len(&message), blob: blob.len() };
        let lane = message.lane();
        self.stats.count(from, lane, bytes.header + bytes.blob);
        let node = self.host(from).disk.node;
        let Link { host, connection } = link;
        // Where payloads alone pay, an input comes over the link of the device that computes, as the planner has it.
        let asks = matches!(message, Message::Inference(inference::Message::Ask { .. }));
        let payer = if asks && self.network.spec.pays == Pays::Payloads { host } else { from };
        let rate = self.host(payer).spec.capability.link_bits_per_s;
        self.sent += 1;
        let (number, size) = (self.sent, bytes.header + bytes.blob);
        let parcel = Parcel { to: host, from_host: from, from: node, connection, number, message, blob, bytes: size };
        let fate = self.network.send(self.now, (from, host), lane, bytes, (payer, rate));
        self.network.take_facts().into_iter().for_each(|fact| self.tell(fact));
        match fate {
            Fate::Arrives(times) => {
                for at in &times[1..] {
                    self.travel(*at, parcel.clone());
                }
                self.travel(times[0], parcel);
            }
            Fate::Waits => self.hold(parcel),
            Fate::Dropped => self.stats.dropped += 1,
            Fate::Vanishes => {
                self.stats.dropped += 1;
                self.tell(Fact::Vanished { from, to: host });
            }
        }
    }

    /// A message waits for the end of a cut.
    fn hold(&mut self, parcel: Parcel) {
        let held = self.connections.wait(parcel);
        self.stats.dropped += u64::from(!held);
    }

    /// A message reaches the link of its receiver, which may have others to carry first.
    pub(super) fn arrive(&mut self, parcel: Box<Parcel>) {
        let to = (parcel.to, self.host(parcel.to).spec.capability.link_bits_per_s);
        let at = self.network.come(self.now, to, parcel.bytes);
        self.queue.push(at, Event::Deliver(parcel));
    }

    /// A message arrives, if its connection still stands there.
    pub(super) fn deliver(&mut self, parcel: Parcel) {
        let Parcel { to, from_host, from, connection, .. } = parcel;
        if self.network.is_cut(from_host, to) {
            // Cut while it was on its way: it waits with the others.
            self.hold(parcel);
            return;
        }
        let link = self.host(to).links.get(&from);
        if link.is_none_or(|link| link.connection != connection) || !self.host(to).is_running() {
            self.stats.dropped += 1;
            return;
        }
        let Parcel { message, blob, bytes, .. } = parcel;
        self.stats.count(to, message.lane(), bytes);
        self.input(to, Input::Message { from, message, blob });
    }
}
