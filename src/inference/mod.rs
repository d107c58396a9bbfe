//! From a request to an answer: ask replicas as the [`Mode`] says, take one answer of each part, merge.
//!
//! Two machines, on every node: the [`Coordinator`] of the requests that clients bring to this node, and the [`ReplicaQueue`]
//! of what coordinators (this node's own among them) ask of its students. Neither knows who is alive or what is planned: the
//! composition tells the coordinator by a [`Routing`], the queue by [`replica::Input::Ready`].

pub mod coordinator;
pub mod replica;

mod answer;
mod event;
mod merge;
mod message;
mod mode;
mod routing;

pub use answer::{Answer, Disagreement, Fate, PartAnswer, Request, RequestError, Try};
pub use coordinator::Coordinator;
pub use event::{Event, Loss, Outcome};
pub use merge::merge;
pub use message::{Message, Refusal};
pub use mode::{Mode, ParseModeError};
pub use replica::ReplicaQueue;
pub use routing::{Route, Routing};
