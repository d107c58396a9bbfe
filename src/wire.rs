//! How messages become bytes: one frame a message, and the durable state's file.
//!
//! A frame is the version (1 byte), the header's length (`u32`, little-endian), the header (the [`Message`] in bincode: integers of
//! variable length, little-endian, an enum as the variant's number) and then, to the frame's end, the blob as it is: tensors never
//! travel element by element. How a stream is cut into frames is the shell's affair; [`frame_bytes_max`] says what it need not read.
//!
//! The order of variants and of fields is the format: the golden-bytes tests notice a change, which calls for a new [`VERSION`].

mod durable;
mod error;
mod frame;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::node::Lane;
use crate::{deployment, inference, leadership, membership};
pub use durable::{DURABLE_BYTES_MAX, decode_durable, encode_durable};
pub use error::WireError;
pub use frame::{BLOB_BYTES_MAX, HEADER_BYTES_MAX, VERSION, decode, encode, frame_bytes_max, header_len};

/// Everything that nodes tell each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Failure detection and gossip.
    Membership(membership::Message),
    /// Claims and plans.
    Leadership(leadership::Message),
    /// Artifacts.
    Deployment(deployment::Message),
    /// Requests and answers.
    Inference(inference::Message),
}

impl Message {
    /// Which of a peer's streams it takes.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Membership(_) | Self::Leadership(_) => Lane::Control,
            Self::Inference(_) => Lane::Inference,
            Self::Deployment(_) => Lane::Bulk,
        }
    }
}
