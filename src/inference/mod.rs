//! From a request to an answer: fan out to every replica, take the first answer of each part, merge.

mod answer;
mod message;

pub use answer::{Answer, PartAnswer, Request, RequestError};
pub use message::{Message, Refusal};
