//! How claims and plans reach everybody: down a tree when they are new, and by comparing with one member after the other,
//! for whoever was missed. Neither costs a node more in a larger fleet.

use super::view::View;
use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// Whom each tells of what is new: 17 members hear it from its author, 4,369 over three hops. Ours.
const BRANCHES: usize = 16;
/// Between two comparisons with another member. Ours: whoever was missed waits about so long.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// Members that the leader compares with each time; the others take one. Ours.
const LEADERS_SHARE: usize = 2;
/// A plan that was asked for and has not come is asked for again after this. Ours: several plans' ways over a slow link.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Whom to compare with next, and what was asked for.
#[derive(Debug)]
pub(super) struct Spread {
    compared: NodeId,
    compare_at: Instant,
    asked_at: Option<Instant>,
}

impl Spread {
    pub(super) fn new(me: NodeId, now: Instant) -> Self {
        Self { compared: me, compare_at: now + COMPARE_EVERY, asked_at: None }
    }

    /// When to compare next.
    pub(super) fn due(&self) -> Instant {
        self.compare_at
    }

    /// With whom to compare now: the next in order of ids, from this node's own on, so that none is asked by all at once.
    pub(super) fn next(&mut self, view: &View, me: NodeId, leads: bool, now: Instant) -> Vec<NodeId> {
        self.compare_at = now + COMPARE_EVERY;
        let share = if leads { LEADERS_SHARE } else { 1 };
        let next: Vec<_> = view.reachable_after(me, self.compared).take(share).collect();
        self.compared = next.last().copied().unwrap_or(me);
        next
    }

    /// Whether to ask for a plan now: many tell of it at once.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        let may = self.asked_at.is_none_or(|asked| now >= asked + ASK_AGAIN);
        if may {
            self.asked_at = Some(now);
        }
        may
    }
}

/// Whom this node tells of what `author` made: its branches in a tree over all who are up, which begins at the author and goes
/// on in order of ids. Views that differ cost a few members, which hear of it by comparing.
pub(super) fn branches(view: &View, me: NodeId, author: NodeId) -> Vec<NodeId> {
    let ring: Vec<_> = view.up().collect();
    let place = |id: NodeId| ring.partition_point(|other| *other < id);
    let (first, count) = (place(author), ring.len());
    let depth = (place(me) + count - first) % count.max(1);
    let branches = (depth * BRANCHES + 1..=depth * BRANCHES + BRANCHES).take_while(|at| *at < count);
    branches.map(|at| ring[(first + at) % count]).filter(|id| *id != me && view.is_reachable(*id)).collect()
}

/// Whom this node tells of a claim that it begins to follow: where all are few enough to hear it from each, everybody.
pub(super) fn followers(view: &View, me: NodeId, author: NodeId) -> Vec<NodeId> {
    let all = view.reachable_after(me, me).filter(|id| *id != author);
    if view.len() <= BRANCHES { all.collect() } else { branches(view, me, author) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::leadership::tests::fixture::id;
    use crate::leadership::tests::single::member;

    fn view(count: u8) -> View {
        let mut view = View::new(crate::bugs::Bugs::default(), Instant::ZERO);
        view.update(id(1), (1..=count).map(member).collect(), Instant::ZERO);
        view
    }

    #[test]
    fn a_tree_reaches_everybody_once_whoever_begins_it() {
        for count in [1, 2, 17, 18, 100, 250] {
            let view = view(count);
            for author in [1, count / 2 + 1, count] {
                let mut reached = BTreeSet::from([id(author)]);
                let mut next = vec![id(author)];
                while let Some(me) = next.pop() {
                    let branches = branches(&view, me, id(author));
                    assert!(branches.len() <= BRANCHES);
                    for branch in branches {
                        assert!(reached.insert(branch), "{branch:?} hears it twice");
                        next.push(branch);
                    }
                }
                assert_eq!(reached.len(), usize::from(count));
            }
        }
    }

    #[test]
    fn everybody_is_compared_with_in_turn_from_the_next_on() {
        let view = view(5);
        let mut spread = Spread::new(id(4), Instant::ZERO);
        let turn: Vec<_> = (0..5).flat_map(|_| spread.next(&view, id(4), false, Instant::ZERO)).collect();
        assert_eq!(turn, [5, 1, 2, 3, 5].map(id));
    }
}
