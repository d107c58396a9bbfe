//! Which node is asked next: the one that was named; while it cannot be reached, others that it told of. Asks nobody.

use std::net::{IpAddr, SocketAddr};

use rocoin::membership::State;
use rocoin::node::NodeSnapshot;

/// Looks at the named node that fail in a row before another is asked: one may fail by chance.
const PATIENCE: u32 = 2;
/// While another is asked, each so many looks are one at the named node.
const RETURN_EVERY: u32 = 10;
/// Others kept.
const OTHERS_MAX: usize = 64;

/// The node that was named, and others.
#[derive(Debug)]
pub(super) struct Places {
    named: String,
    may_roam: bool,
    others: Vec<String>,
    /// Which of the others is asked; `None` for the named node.
    at: Option<usize>,
    /// Looks at the named node that failed in a row.
    failed: u32,
    /// Looks since the named node was last asked.
    away: u32,
}

impl Places {
    /// Others are asked only if they may be.
    pub(super) fn new(named: &str, may_roam: bool) -> Self {
        let others = Vec::new();
        Self { named: named.to_owned(), may_roam, others, at: None, failed: 0, away: 0 }
    }

    /// Whom to ask now, and whether it is the node that was named.
    pub(super) fn next(&mut self) -> (&str, bool) {
        self.away += 1;
        match self.at.and_then(|at| self.others.get(at)) {
            Some(other) if self.away < RETURN_EVERY => (other, false),
            _ => {
                self.away = 0;
                (&self.named, true)
            }
        }
    }

    /// Who was asked last answered, with this status if it made sense.
    pub(super) fn answered(&mut self, is_named: bool, status: Option<&NodeSnapshot>) {
        if is_named {
            (self.at, self.failed) = (None, 0);
            // Only the named node says who else may be asked.
            self.others = status.map(|status| others(status, &self.named)).unwrap_or_default();
        }
    }

    /// Who was asked last did not answer.
    pub(super) fn failed(&mut self, is_named: bool) {
        if is_named {
            self.failed += 1;
            if self.at.is_some() || self.failed < PATIENCE {
                return;
            }
        }
        let after = self.at.map_or(0, |at| at + 1);
        self.at = (self.may_roam && after < self.others.len()).then_some(after);
    }
}

/// Where other members' HTTP interfaces are, the ones that are alive first.
fn others(status: &NodeSnapshot, named: &str) -> Vec<String> {
    let host = named.rsplit_once("://").map_or(named, |(_, rest)| rest).trim_end_matches('/');
    let is_here = host.starts_with("localhost") || host.parse::<SocketAddr>().is_ok_and(|at| at.ip().is_loopback());
    let mut members: Vec<_> = status.members.iter().filter(|member| member.node != status.node).collect();
    members.sort_by_key(|member| !(member.state == State::Alive && member.routable));
    let addresses = members.into_iter().filter_map(|member| member.http.clone());
    let reachable = addresses.filter(|address| {
        let ip = address.parse::<SocketAddr>().map(|at| at.ip());
        // "Every interface" is no address, and another device's loopback is not this one's.
        address != host && ip.is_ok_and(|ip: IpAddr| !ip.is_unspecified() && (is_here || !ip.is_loopback()))
    });
    reachable.take(OTHERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use rocoin::id::NodeId;

    use super::*;
    use crate::cli::fixture::named as member;

    fn status(http: &[&str]) -> NodeSnapshot {
        let mut members: Vec<_> = (1..=9).zip(http).map(|(id, _)| member(id, "pi")).collect();
        members.iter_mut().zip(http).for_each(|(member, http)| member.http = Some((*http).to_owned()));
        NodeSnapshot { node: NodeId([1; 32]), members, ..crate::actor::tests::snapshot() }
    }

    /// Asks once; answers whom.
    fn ask(places: &mut Places, answers: bool) -> String {
        let (place, is_named) = places.next();
        let place = place.to_owned();
        if answers {
            places.answered(is_named, Some(&status(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"])));
        } else {
            places.failed(is_named);
        }
        place
    }

    #[test]
    fn others_are_asked_one_after_the_other_once_the_named_node_failed_twice() {
        let mut places = Places::new("10.0.0.1:1", true);
        let asked: Vec<String> =
            [true, false, false, false, true, false, false].map(|answers| ask(&mut places, answers)).to_vec();
        let ends: Vec<&str> = asked.iter().map(|place| &place[7..8]).collect();
        assert_eq!(ends, ["1", "1", "1", "2", "3", "3", "1"]);
    }

    #[test]
    fn the_named_node_is_asked_now_and_then_and_followed_as_soon_as_it_is_back() {
        let mut places = Places::new("10.0.0.1:1", true);
        [true, false, false].into_iter().for_each(|answers| _ = ask(&mut places, answers));
        let asked: Vec<String> = (0..20).map(|_| ask(&mut places, true)).collect();
        let back = asked.iter().position(|place| place == "10.0.0.1:1").unwrap();
        assert!(back > 0 && asked[..back].iter().all(|place| place == "10.0.0.2:1"), "{asked:?}");
        assert!(asked[back..].iter().all(|place| place == "10.0.0.1:1"), "{asked:?}");
    }

    #[test]
    fn nobody_else_is_asked_if_that_is_not_wanted_or_nobody_is_known() {
        let mut stays = Places::new("10.0.0.1:1", false);
        ask(&mut stays, true);
        let mut knows_nobody = Places::new("10.0.0.1:1", true);
        for _ in 0..20 {
            assert_eq!(ask(&mut stays, false), "10.0.0.1:1");
            assert_eq!(ask(&mut knows_nobody, false), "10.0.0.1:1");
        }
    }

    #[test]
    fn an_address_that_leads_to_this_machine_alone_is_not_asked_for_another() {
        let all = status(&["0.0.0.0:1", "0.0.0.0:8", "127.0.0.1:8", "[fd00::2]:8", "nonsense"]);
        assert_eq!(others(&all, "pi.local:8470"), ["[fd00::2]:8"]);
        assert_eq!(others(&all, "http://127.0.0.1:9/"), ["127.0.0.1:8", "[fd00::2]:8"]);
        assert_eq!(others(&all, "127.0.0.1:8"), ["[fd00::2]:8"]);
    }
}
