//! The claims heard of: the greatest of each claimant.

use std::collections::BTreeMap;

use super::message::Claim;
use crate::id::{NodeId, Term};

/// Claimants remembered. Beyond it the smallest claim is forgotten: it could hardly be followed.
const CLAIMANTS_MAX: usize = 256;

/// The greatest claim of each claimant. A claim may come before its claimant is in the view, so all are kept.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<NodeId, Claim>);

impl Claims {
    pub(super) fn insert(&mut self, claim: Claim) {
        let known = self.0.entry(claim.leader).or_insert(claim);
        if (claim.generation, claim.term) > (known.generation, known.term) {
            *known = claim;
        }
        if self.0.len() > CLAIMANTS_MAX
            && let Some(smallest) = self.0.values().min().map(|c| c.leader)
        {
            self.0.remove(&smallest);
        }
    }

    pub(super) fn remove(&mut self, leader: NodeId) {
        self.0.remove(&leader);
    }

    /// The greatest claim up to `term` whose claim may be followed.
    pub(super) fn greatest(&self, term: Term, may_lead: impl Fn(&Claim) -> bool) -> Option<Claim> {
        self.0.values().filter(|c| c.term <= term && may_lead(c)).max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Generation;

    #[test]
    fn there_are_never_more_than_the_bound_and_the_greatest_stays() {
        let mut claims = Claims::default();
        for term in 0..=CLAIMANTS_MAX as u64 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&term.to_be_bytes());
            claims.insert(Claim { term: Term(term), leader: NodeId(id), generation: Generation(1) });
        }
        assert_eq!(claims.0.len(), CLAIMANTS_MAX);
        let smallest = claims.0.values().map(|claim| claim.term).min();
        assert_eq!(smallest, Some(Term(1)), "the smallest went");
    }
}
