//! The method and the protocol of rocoin, pure: who holds which part of a teacher's knowledge, who is alive, who leads, and how a
//! request is answered while devices fail.
//!
//! Nothing here does I/O, reads a clock, draws entropy or runs a thread. A *shell* does: `rocoin-node` on devices, a loop in
//! tests. The shell drives one type, [`node::Node`].
//!
//! # The protocol on one page
//!
//! **Identity.** A device is a key pair; its public key is its [`NodeId`](id::NodeId), stable across restarts. Each start has a greater
//! [`Generation`](id::Generation). Artifacts (students, manifests) are named by their [`Digest`](id::Digest).
//!
//! **Who is alive** ([`membership`]). In each round a node pings one member, directly and then through others. Who does not answer is
//! *suspect*, and asked no more; who does not refute it in time is *down*. Nobody is given up on the word of others alone.
//! What changes rides on pings: states, and each node's [`Record`](membership::Record), written by its owner.
//!
//! **Who leads** ([`leadership`]). The best member of a view at rest claims the highest [`Term`](id::Term) it has seen, plus one. Everybody
//! follows the greatest claim whose leader it sees. There is no vote: each side of a partition goes on.
//!
//! **What is served** ([`deployment`]). The greatest deployment heard of. Manifest and students are fetched by digest from any holder,
//! checked before they are looked at, and kept.
//!
//! **Who holds what** ([`planner`]). The leader plans over its view: for each knowledge part a student and a group of members. The
//! plan's name is its [`Epoch`](id::Epoch), ordered by (term, leader, sequence). A node adopts only a greater one than its own, and has it on disk
//! before it acts on it. A node whose students of the plan are loaded says so in its record.
//!
//! **An answer** ([`inference`]). Any node takes a request and is its coordinator. It sends the input once to each reachable member
//! that has a student of the bundle ready, whatever that member's epoch, or to the best of them first, as the [`Mode`](inference::Mode)
//! says. The first answer of each part counts, unless answers are to be compared:
//! `logits = bias + Σ partial logits`, in part order. At the deadline, or when no more can come, the answer is given without
//! the parts that lack, and names them.
//!
//! **After a failure.** A lost link or an unanswered request takes a member out of routing at once and has it probed. When it is down, or
//! comes back, the leader plans anew and moves as little as it can. What is loaded goes on answering until its
//! successor is ready.
//!
//! **The wire** ([`wire`]). One frame a message: a version, a header in bincode, and the bytes of a tensor or a chunk as they are. Delivery
//! is best effort; every machine repeats what it needs.
//!
//! # Where to start reading
//!
//! | module | what |
//! |---|---|
//! | [`node`] | the composition, and the only interface a shell needs |
//! | [`membership`], [`leadership`], [`deployment`], [`inference`] | the machines: each `handle`, `handle_timeout`, `poll_timeout`, `poll_output` |
//! | [`planner`], [`fleet`], [`bundle`] | the method: devices and students in, a plan out |
//! | [`wire`], [`blob`], [`id`], [`time`] | what all of them speak in |
//!
//! `docs/` in the repository has the rules, the invariants and why they hold.
//!
//! # How a shell drives a node
//!
//! ```
//! use rocoin::fleet::Capability;
//! use rocoin::id::{Generation, NodeId};
//! use rocoin::membership::Record;
//! use rocoin::node::{Config, Durable, Input, Node, Output, Start};
//! use rocoin::time::Instant;
//!
//! let me = NodeId([1; 32]);
//! let capability = Capability {
//!     flops_per_s: 4e9,
//!     memory_bytes: 500_000_000,
//!     link_bits_per_s: 1e8,
//!     link_delay_s: 0.0,
//!     failure_probability: 0.05,
//! };
//! let record = Record::new("alone".to_owned(), capability);
//! let mut now = Instant::ZERO;
//! let mut node = Node::new(
//!     Start {
//!         me,
//!         generation: Generation(1),
//!         seed: [7; 32],
//!         config: Config::default(),
//!         record,
//!         durable: Durable::default(),
//!         artifacts: Default::default(),
//!         manifests: Default::default(),
//!     },
//!     now,
//! );
//!
//! // One step: do what comes out, hand in what came of it, wait until the next timeout. Here the disk is as quick as a thought
//! // and waiting takes no time.
//! while node.snapshot().leader.is_none() {
//!     while let Some(output) = node.poll_output() {
//!         if let Output::Persist { write, .. } = output {
//!             node.handle(now, Input::Persisted { write, result: Ok(()) });
//!         }
//!     }
//!     let (due, _why) = node.poll_timeout().expect("a node that looks for a leader waits for something");
//!     now = due;
//!     node.handle_timeout(now);
//! }
//! assert_eq!(node.snapshot().leader, Some(me), "a node alone leads itself");
//! ```

pub mod blob;
pub mod bugs;
pub mod bundle;
pub mod deployment;
pub mod fleet;
pub mod id;
pub mod inference;
pub mod leadership;
pub mod membership;
pub mod node;
pub mod planner;
pub mod queue;
mod shared;
pub mod time;
pub mod wire;
