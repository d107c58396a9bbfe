//! Who is reached, in one sentence. What was lost together is perhaps cut off and serving on its own; what was lost alone has more
//! likely died. One node cannot tell the two apart, and this does not pretend to.

use std::collections::BTreeMap;

use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin::node::NodeSnapshot;

use super::draw::units::clock;
use crate::cli::members::{Names, by_name};

/// Members lost within this time of each other are one island, as in the browser's dashboard.
const TOGETHER_MS: u64 = 3000;
/// Names written out.
const NAMED_MAX: usize = 3;

/// The sentence; none if nobody is lost.
pub(super) fn in_words(status: &NodeSnapshot, lost_at_ms: &BTreeMap<NodeId, u64>) -> Option<String> {
    let at = |id: &NodeId| lost_at_ms.get(id).copied().unwrap_or(0);
    let mut lost: Vec<NodeId> = status.members.iter().filter(|m| m.state == State::Down).map(|m| m.node).collect();
    lost.sort_by_key(|id| (at(id), *id));
    let islands: Vec<&[NodeId]> = lost.chunk_by(|a, b| at(b) - at(a) <= TOGETHER_MS).collect();
    // The latest first: of it somebody wants to know.
    let told: Vec<String> = islands.iter().rev().map(|island| one(status, island, at(&island[0]))).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn one(status: &NodeSnapshot, island: &[NodeId], since_ms: u64) -> String {
    let mut names: Vec<String> = island.iter().map(|id| Names(&status.members).of(*id)).collect();
    names.sort_by(|a, b| by_name(a, b));
    names.truncate(NAMED_MAX);
    let names = names.join(", ");
    let more = island.len().saturating_sub(NAMED_MAX);
    let names = if more > 0 { format!("{names} and {more} more") } else { names };
    match (island.len(), since_ms) {
        // From before this node told its events: when is not known, nor whether it was at once.
        (_, 0) => format!("lost: {names}"),
        (1, _) => format!("lost {}: {names}", clock(since_ms)),
        _ => format!("lost together {}, perhaps cut off: {names}", clock(since_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::named as member;

    fn words(lost: &[(u8, u64)]) -> Option<String> {
        let mut members: Vec<_> = (1..=9).map(|id| member(id, &format!("d{id}"))).collect();
        members
            .iter_mut()
            .filter(|m| lost.iter().any(|(id, _)| m.node.0[0] == *id))
            .for_each(|m| m.state = State::Down);
        let at = lost.iter().filter(|(_, at)| *at > 0).map(|(id, at)| (NodeId([*id; 32]), *at)).collect();
        in_words(&NodeSnapshot { members, ..crate::actor::tests::snapshot() }, &at)
    }

    #[test]
    fn what_was_lost_together_is_perhaps_cut_off() {
        assert_eq!(words(&[]), None);
        assert_eq!(
            words(&[(2, 9_000), (3, 11_500), (5, 60_000)]).as_deref(),
            Some("lost 00:01:00: d5; lost together 00:00:09, perhaps cut off: d2, d3")
        );
    }

    #[test]
    fn a_large_island_is_counted_and_an_unknown_time_is_left_out() {
        assert_eq!(words(&[(4, 0)]).as_deref(), Some("lost: d4"));
        let many: Vec<(u8, u64)> = (1..=6).map(|id| (id, 5_000)).collect();
        assert!(words(&many).unwrap().ends_with("00:00:05, perhaps cut off: d1, d2, d3 and 3 more"));
    }
}
