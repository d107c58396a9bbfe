//! What a node starts with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Config, Durable};
use crate::bundle::Manifest;
use crate::id::{Digest, Generation, NodeId};
use crate::membership::Record;

/// What a node starts with: who it is, and what it kept.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its identity.
    pub me: NodeId,
    /// Which start it is; persisted before this.
    pub generation: Generation,
    /// Of all its randomness; must differ from start to start.
    pub seed: [u8; 32],
    /// Settings.
    pub config: Config,
    /// Name, capability, priority and addresses; the node itself fills in the rest.
    pub record: Record,
    /// What it wrote last.
    pub durable: Durable,
    /// The artifacts in the store, with their sizes in bytes.
    pub artifacts: BTreeMap<Digest, u64>,
    /// The manifests among them.
    pub manifests: BTreeMap<Digest, Arc<Manifest>>,
}
