//! The Open Inference Protocol, version 2, whatever carries it: what is asked ([`Question`]), how it is answered ([`Answers`]), and
//! what is told of models ([`messages`]).
//!
//! One input, a batch of images; two outputs, `logits` and `label`. Deliberately absent: JSON bodies and gRPC calls, which are
//! [`super::infer`]'s and [`super::grpc`]'s; shared memory, sequences, loading and unloading.

mod answers;
mod describe;
pub(super) mod messages;
mod numbers;
mod output;
mod question;
mod statistics;
mod tensor;
mod terms;

pub(super) use answers::Answers;
pub(super) use describe::{ModelName, Served, index, ready, served, server};
pub(super) use numbers::Numbers;
pub(super) use output::{Output, Values, Wanted};
pub(super) use question::Question;
pub use statistics::Statistics;
pub(super) use tensor::{Data, Tensor};
pub(super) use terms::{Parameters, Terms};

/// Images of one request. Ours: as many as a node has places for open requests, so that a batch can be told as too large before
/// anything is asked.
pub(super) const BATCH_MAX: usize = 64;
