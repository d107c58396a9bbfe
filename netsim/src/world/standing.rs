//! Which connections stand between hosts, and what waits in them for the end of a cut.
//!
//! Two introduced hosts are connected unless that connection has ended: nothing is kept for such a pair, so that ten thousand hosts
//! that are all connected to each other cost no more than their number.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Parcel;
use super::network::ConnectionId;
use crate::fact::HostId;

/// Messages that wait for the end of a cut, each way; one more is dropped, as the shell's queue does it.
const WAITING_MAX: usize = 256;

/// Two hosts, the smaller number first.
pub(super) type Pair = (HostId, HostId);

pub(super) fn pair(a: HostId, b: HostId) -> Pair {
    (a.min(b), a.max(b))
}

/// Names one cut of one connection, from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CutId(u64);

/// The connections that stand.
#[derive(Debug, Default)]
pub(super) struct Standing {
    made: BTreeMap<Pair, ConnectionId>,
    introduced: BTreeSet<HostId>,
    /// Of introduced hosts.
    over: BTreeSet<Pair>,
    /// What waits for the end of a cut, from the one to the other, by its number.
    waiting: BTreeMap<(HostId, HostId), BTreeMap<u64, Parcel>>,
    /// The cut that holds up a connection.
    cuts: BTreeMap<Pair, CutId>,
    next_cut: u64,
}

impl Standing {
    /// The connection of two hosts, if one stands.
    pub(super) fn get(&self, pair: Pair) -> Option<ConnectionId> {
        let made = self.made.get(&pair).copied();
        made.or_else(|| self.is_introduced(pair).then_some(ConnectionId::INTRODUCED))
    }

    pub(super) fn contains(&self, pair: Pair) -> bool {
        self.get(pair).is_some()
    }

    fn is_introduced(&self, pair: Pair) -> bool {
        let both = self.introduced.contains(&pair.0) && self.introduced.contains(&pair.1);
        both && pair.0 != pair.1 && !self.over.contains(&pair)
    }

    pub(super) fn insert(&mut self, pair: Pair, connection: ConnectionId) {
        self.made.insert(pair, connection);
    }

    /// All of these are connected to each other; those that were already, as they were.
    pub(super) fn introduce(&mut self, hosts: impl Iterator<Item = HostId>) {
        let hosts: BTreeSet<_> = hosts.collect();
        self.over.retain(|(a, b)| !(hosts.contains(a) && hosts.contains(b)));
        self.introduced.extend(hosts);
    }

    /// Ends the connection of two hosts: which it was, and how much waited in it.
    pub(super) fn remove(&mut self, pair: Pair) -> Option<(ConnectionId, usize)> {
        let connection = self.get(pair)?;
        self.made.remove(&pair);
        self.cuts.remove(&pair);
        if self.introduced.contains(&pair.0) && self.introduced.contains(&pair.1) {
            self.over.insert(pair);
        }
        let ways = [pair, (pair.1, pair.0)];
        let waited = ways.iter().filter_map(|way| self.waiting.remove(way)).map(|waiting| waiting.len()).sum();
        Some((connection, waited))
    }

    /// A host is gone: nothing is kept of what it was introduced to. Its connections have been removed.
    pub(super) fn forget(&mut self, host: HostId) {
        if self.introduced.remove(&host) {
            self.over.retain(|(a, b)| *a != host && *b != host);
        }
    }

    /// Every pair that is connected.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let introduced = self.introduced.iter().flat_map(|a| self.introduced.range(*a..).map(|b| (*a, *b)));
        let introduced = introduced.filter(|pair| !self.made.contains_key(pair) && self.is_introduced(*pair));
        self.made.keys().copied().chain(introduced).collect()
    }

    /// Lets a message wait in its connection; false if that is over, or too many wait. One that was sent twice waits once.
    pub(super) fn wait(&mut self, parcel: Parcel) -> bool {
        let way = (parcel.from_host, parcel.to);
        if self.get(pair(way.0, way.1)) != Some(parcel.connection) {
            return false;
        }
        let waiting = self.waiting.entry(way).or_default();
        let has_room = waiting.len() < WAITING_MAX;
        if has_room {
            waiting.insert(parcel.number, parcel);
        }
        has_room
    }

    /// What waited from the one to the other, in the order in which it was sent, now that this way is open.
    pub(super) fn take_waiting(&mut self, way: (HostId, HostId)) -> impl Iterator<Item = Parcel> + use<> {
        self.waiting.remove(&way).unwrap_or_default().into_values()
    }

    /// A cut holds up a connection from now on; `None` if one did already.
    pub(super) fn cut(&mut self, pair: Pair) -> Option<CutId> {
        if self.cuts.contains_key(&pair) {
            return None;
        }
        self.next_cut += 1;
        let cut = CutId(self.next_cut);
        self.cuts.insert(pair, cut);
        Some(cut)
    }

    /// No cut holds up a connection any more.
    pub(super) fn mend(&mut self, pair: Pair) {
        self.cuts.remove(&pair);
    }

    /// Whether that very cut goes on.
    pub(super) fn is_cut_still(&self, pair: Pair, cut: CutId) -> bool {
        self.cuts.get(&pair) == Some(&cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);
    const C: HostId = HostId(2);

    #[test]
    fn introduced_hosts_are_connected_until_that_is_over_and_again_when_introduced_anew() {
        let mut standing = Standing::default();
        standing.introduce([A, B, C].into_iter());
        assert_eq!(standing.pairs().len(), 3);
        assert_eq!(standing.remove((A, B)).map(|(id, _)| id), Some(ConnectionId::INTRODUCED));
        assert!(!standing.contains((A, B)) && standing.contains((A, C)));
        assert!(standing.remove((A, B)).is_none());
        standing.introduce([A, B].into_iter());
        assert!(standing.contains((A, B)));
    }

    #[test]
    fn a_connection_that_was_made_stays_the_one_it_is() {
        let mut standing = Standing::default();
        standing.insert((A, B), ConnectionId(7));
        standing.introduce([A, B].into_iter());
        assert_eq!(standing.get((A, B)), Some(ConnectionId(7)));
        assert_eq!(standing.pairs(), [(A, B)]);
        standing.remove((A, B));
        assert!(!standing.contains((A, B)), "what was introduced does not come to light below it");
    }

    #[test]
    fn a_cut_is_another_one_after_it_was_mended() {
        let mut standing = Standing::default();
        standing.introduce([A, B].into_iter());
        let first = standing.cut((A, B)).unwrap();
        assert_eq!(standing.cut((A, B)), None, "it goes on");
        assert!(standing.is_cut_still((A, B), first));
        standing.mend((A, B));
        assert!(!standing.is_cut_still((A, B), first));
        let second = standing.cut((A, B)).unwrap();
        assert!(second != first && !standing.is_cut_still((A, B), first) && standing.is_cut_still((A, B), second));
        standing.remove((A, B));
        assert!(!standing.is_cut_still((A, B), second), "with the connection its cut is over");
    }

    #[test]
    fn who_is_gone_is_connected_to_nobody_until_it_connects_anew() {
        let mut standing = Standing::default();
        standing.introduce([A, B, C].into_iter());
        standing.remove((A, B));
        standing.remove((A, C));
        standing.forget(A);
        assert_eq!(standing.pairs(), [(B, C)]);
        standing.insert((A, B), ConnectionId(3));
        assert_eq!(standing.get((A, B)), Some(ConnectionId(3)));
    }
}
