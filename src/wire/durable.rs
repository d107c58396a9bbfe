//! The durable state as a file's content: version (1 byte), SHA-256 of the rest (32 bytes), the state in bincode.

use super::WireError;
use super::frame::{VERSION, decode_value, encode_value};
use crate::id::Digest;
use crate::node::Durable;

/// The encoded state's size at most, bytes. (Ours: the plan is nearly all of it.)
pub const DURABLE_BYTES_MAX: usize = super::frame::HEADER_BYTES_MAX + 64 * 1024;

const CHECKSUM_BYTES: usize = 32;

/// The state as a file's content.
///
/// # Errors
/// [`WireError::TooLong`] above [`DURABLE_BYTES_MAX`].
pub fn encode_durable(durable: &Durable) -> Result<Vec<u8>, WireError> {
    let state = encode_value::<_, DURABLE_BYTES_MAX>(durable, "durable state")?;
    let mut file = vec![VERSION];
    file.extend(Digest::of(&state).0);
    file.extend(state);
    Ok(file)
}

/// The state from a file's content.
///
/// # Errors
/// [`WireError::Version`], [`WireError::Truncated`], [`WireError::TooLong`]; [`WireError::Checksum`] if any byte was changed or
/// is lacking; [`WireError::Malformed`] if it was written so.
pub fn decode_durable(file: &[u8]) -> Result<Durable, WireError> {
    let needed = 1 + CHECKSUM_BYTES;
    let (&version, rest) = file.split_first().ok_or(WireError::Truncated { found: 0, needed })?;
    if version != VERSION {
        return Err(WireError::Version { theirs: version, ours: VERSION });
    }
    let (checksum, state) =
        rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or(WireError::Truncated { found: file.len(), needed })?;
    if state.len() > DURABLE_BYTES_MAX {
        let bytes = state.len();
        return Err(WireError::TooLong { what: "durable state", bytes, limit: DURABLE_BYTES_MAX });
    }
    if Digest::of(state).0 != *checksum {
        return Err(WireError::Checksum);
    }
    decode_value::<_, DURABLE_BYTES_MAX>(state)
}
