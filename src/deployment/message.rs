//! How artifacts travel: by digest, in chunks, from any holder.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// A chunk's size at most, bytes; and the most that one message asks for.
pub const CHUNK_BYTES_MAX: u32 = 16 * 1024;
/// A chunk's size at least, bytes, unless it is the last one of what was asked for: a probe never waits long behind one.
pub const CHUNK_BYTES_MIN: u32 = 1024;

/// A message of the artifact protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Send me this piece, in as many chunks as you like.
    Fetch {
        /// What.
        artifact: Digest,
        /// From this byte on.
        offset: u64,
        /// At most [`CHUNK_BYTES_MAX`].
        length: u32,
    },
    /// Here is some of it. Blob: the bytes, from [`CHUNK_BYTES_MIN`] on; fewer at the end of what was asked for.
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
    /// This chunk came: the next may be sent.
    Taken {
        /// Of what.
        artifact: Digest,
        /// The chunk's offset.
        offset: u64,
    },
    /// What I asked for and did not get, I do not want from you any more.
    Enough {
        /// Of what.
        artifact: Digest,
    },
}
