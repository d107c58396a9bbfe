//! The machine: takes inputs, keeps the view, hands out what is to be done.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

use super::config::Config;
use super::counters::Counters;
use super::member::{Me, Member};
use super::message::Stamp;
use super::port::{Input, Output};
use super::record::Record;
use crate::id::{Generation, NodeId};
use crate::time::Instant;

/// The membership machine: see the module's docs.
#[derive(Debug)]
pub struct Membership {
    me: NodeId,
    stamp: Stamp,
    record: Record,
    config: Config,
    rng: ChaCha8Rng,
    members: BTreeMap<NodeId, Member>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Membership {
    /// A node that knows nobody yet. `generation` is the persisted number of this start; the seed must differ from start to start.
    pub fn new(
        me: NodeId,
        generation: Generation,
        record: Record,
        seed: [u8; 32],
        config: Config,
        _now: Instant,
    ) -> Self {
        use super::message::Start;
        use crate::id::Incarnation;
        use rand_core::RngCore as _;
        let mut rng = ChaCha8Rng::from_seed(seed);
        let start = Start { generation, nonce: rng.next_u64() };
        let stamp = Stamp { start, incarnation: Incarnation(0), version: 1 };
        let (members, outputs, counters) = (BTreeMap::new(), VecDeque::new(), Counters::default());
        Self { me, stamp, record: record.clamped(), config, rng, members, outputs, counters }
    }

    /// Takes one input.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When to call [`Self::handle_timeout`] next, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        None
    }

    /// The next thing to do; call until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All members but this node, suspect and down ones included, in order of ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// One member.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// This node, as it tells the others.
    pub fn me(&self) -> Me<'_> {
        Me { id: self.me, stamp: self.stamp, record: &self.record }
    }

    /// Whether a request may be sent to this member now.
    pub fn is_routable(&self, id: NodeId) -> bool {
        self.member(id).is_some_and(Member::is_routable)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
