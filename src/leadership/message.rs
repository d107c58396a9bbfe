//! What nodes tell each other about who leads.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::PlanChange;
use super::plan::EpochPlan;
use crate::id::{Epoch, Generation, NodeId, Term};

/// A message of the leadership protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// "This member leads": from the leader itself, or passed on. Whoever follows a greater claim answers with that.
    Claim(Claim),
    /// "This is the plan": from the leader itself, or passed on. Whoever holds a greater one answers with that.
    Plan(#[serde(with = "crate::shared")] Arc<EpochPlan>),
    /// "This is whom I follow, and which plan I hold": told to one member after the other, and over each new link. Whoever holds
    /// a smaller plan answers with [`Self::Want`], whoever knows something greater with that.
    Standing {
        /// The claim followed.
        claim: Option<Claim>,
        /// The plan adopted.
        epoch: Option<Epoch>,
    },
    /// "Send me your plan; I have that of this epoch."
    Want {
        /// The greatest plan known; `None` also asks for all of it.
        have: Option<Epoch>,
    },
    /// "This is the plan", told as what it changes of the one before. Whoever has another answers with [`Self::Want`].
    Change(#[serde(with = "crate::shared")] Arc<PlanChange>),
}

/// One start of one member leads, in one term. Ordered by (term, leader): the greater is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// The highest term that the claimant had seen, plus one.
    pub term: Term,
    /// The claimant.
    pub leader: NodeId,
    /// Its start: a leader that restarts has forgotten that it led, so its claim is void.
    pub generation: Generation,
}
