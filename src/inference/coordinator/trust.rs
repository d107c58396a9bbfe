//! Who answered otherwise than the others: for mode `verify`, and for whom the other modes leave out.
//!
//! It is this coordinator's own memory. Nothing of it is told to others, and no view of the mesh follows from it: a wrong accusation costs
//! a member some requests of this node, never its life.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::time::{Duration, Instant};

/// Who was outvoted is left out by modes `all` and `hedged` for so long, where the part has another replica. Ours: long enough to matter,
/// short enough that a device that was mended needs nobody to say so.
pub(super) const LEFT_OUT: Duration = Duration::from_secs(60);

/// How a replica stood to the others, since this node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Answers in which a majority said something else.
    pub outvoted: u64,
    /// Answers that differed from others without a majority for either.
    pub disputed: u64,
    /// Whether it is left out for now.
    pub distrusted: bool,
}

#[derive(Debug, Default)]
struct Mark {
    outvoted: u64,
    disputed: u64,
    distrusted_until: Option<Instant>,
    told: Option<Instant>,
}

/// What each replica is known for; a replica that never differed has no entry.
#[derive(Debug, Default)]
pub(super) struct Trust(BTreeMap<NodeId, Mark>);

impl Trust {
    /// Its answer differed; says whether people should be told, which is once in [`LEFT_OUT`].
    pub(super) fn differed(&mut self, now: Instant, replica: NodeId, outvoted: bool) -> bool {
        let mark = self.0.entry(replica).or_default();
        if outvoted {
            mark.outvoted += 1;
            mark.distrusted_until = Some(now + LEFT_OUT);
        } else {
            mark.disputed += 1;
        }
        let is_news = mark.told.is_none_or(|told| now.since(told) >= LEFT_OUT);
        if is_news {
            mark.told = Some(now);
        }
        is_news
    }

    /// A majority confirmed its answer.
    pub(super) fn confirmed(&mut self, replica: NodeId) {
        if let Some(mark) = self.0.get_mut(&replica) {
            mark.distrusted_until = None;
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.values().filter_map(|mark| mark.distrusted_until).min()
    }

    /// Those whose time is over are trusted again.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let over = |mark: &&mut Mark| mark.distrusted_until.is_some_and(|until| until <= now);
        self.0.values_mut().filter(over).for_each(|mark| mark.distrusted_until = None);
    }

    /// Whom to leave out.
    pub(super) fn distrusted(&self) -> BTreeSet<NodeId> {
        self.0.iter().filter(|(_, mark)| mark.distrusted_until.is_some()).map(|(replica, _)| *replica).collect()
    }

    /// Forgets a member that is no longer known.
    pub(super) fn forget(&mut self, replica: NodeId) {
        self.0.remove(&replica);
    }

    pub(super) fn standing(&self, replica: NodeId) -> Standing {
        let standing = |mark: &Mark| Standing {
            outvoted: mark.outvoted,
            disputed: mark.disputed,
            distrusted: mark.distrusted_until.is_some(),
        };
        self.0.get(&replica).map(standing).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId([1; 32]);

    fn at(s: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(s)
    }

    #[test]
    fn who_is_outvoted_is_left_out_for_a_minute_after_the_last_time_or_until_confirmed() {
        let mut trust = Trust::default();
        assert!(trust.differed(at(0), A, true));
        assert!(!trust.differed(at(30), A, true), "told already");
        assert_eq!(trust.poll_timeout(), Some(at(90)));
        trust.handle_timeout(at(89));
        assert_eq!(trust.distrusted(), [A].into());
        trust.handle_timeout(at(90));
        assert_eq!((trust.distrusted(), trust.poll_timeout()), ([].into(), None));
        assert!(trust.differed(at(91), A, true));
        trust.confirmed(A);
        assert_eq!(trust.standing(A), Standing { outvoted: 3, disputed: 0, distrusted: false });
        trust.forget(A);
        assert_eq!(trust.standing(A), Standing::default());
    }

    #[test]
    fn one_of_two_is_counted_and_told_but_not_left_out() {
        let mut trust = Trust::default();
        assert!(trust.differed(at(0), A, false));
        assert_eq!(trust.standing(A), Standing { outvoted: 0, disputed: 1, distrusted: false });
    }
}
