//! How artifacts travel: by digest, in chunks, from any holder.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// A chunk's size at most, bytes: probes never wait long behind one.
pub const CHUNK_BYTES_MAX: u32 = 16 * 1024;

/// A message of the artifact protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Send me this piece.
    Fetch {
        /// What.
        artifact: Digest,
        /// From this byte on.
        offset: u64,
        /// At most [`CHUNK_BYTES_MAX`].
        length: u32,
    },
    /// Here it is. Blob: the bytes; fewer than asked for at the artifact's end.
    Chunk {
        /// What.
        artifact: Digest,
        /// From this byte on.
        offset: u64,
        /// The whole artifact's size.
        total: u64,
    },
    /// I do not hold it, or too many have asked: ask another holder.
    Absent {
        /// What.
        artifact: Digest,
    },
}
