//! One message as one frame.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Message, WireError};
use crate::blob::Blob;
use crate::node::Lane;

/// Of frames and of the durable state.
pub const VERSION: u8 = 1;

/// A header's size at most, bytes. (Ours: a membership message carries at most a few dozen records; a plan takes 32 bytes for each part of
/// each member, and there are at most [`crate::membership::MEMBERS_MAX`].)
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// A blob's size at most, bytes; in the control lane there is none. (Ours: an image of 3 × 512 × 512 floats is 3 MiB.)
pub const BLOB_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The version and the header's length.
const PREFIX_BYTES: usize = 5;

/// The longest frame that [`decode`] takes in that lane, bytes: a shell reads no longer one.
pub const fn frame_bytes_max(lane: Lane) -> usize {
    PREFIX_BYTES + HEADER_BYTES_MAX + blob_bytes_max(lane)
}

const fn blob_bytes_max(lane: Lane) -> usize {
    match lane {
        Lane::Control => 0,
        Lane::Inference => BLOB_BYTES_MAX,
        Lane::Bulk => crate::deployment::CHUNK_BYTES_MAX as usize,
    }
}

/// The message and its blob as a frame.
///
/// # Errors
/// [`WireError::TooLong`] if the header or the blob exceeds its limit.
pub fn encode(message: &Message, blob: &Blob) -> Result<Vec<u8>, WireError> {
    check_blob(message.lane(), blob.len())?;
    let header = encode_value::<_, HEADER_BYTES_MAX>(message, "header")?;
    let length = u32::try_from(header.len()).expect("the header is within its limit");
    let mut frame = Vec::with_capacity(PREFIX_BYTES + header.len() + blob.len());
    frame.push(VERSION);
    frame.extend(length.to_le_bytes());
    frame.extend(header);
    frame.extend_from_slice(blob.as_bytes());
    Ok(frame)
}

/// Bytes of the message's frame without its blob, as [`encode`] makes it.
pub fn header_len(message: &Message) -> usize {
    let mut counter = Counter(0);
    // A message that cannot be encoded is refused by `encode`; here it counts as far as it got.
    let _ = bincode::serde::encode_into_writer(message, &mut counter, format::<HEADER_BYTES_MAX>());
    PREFIX_BYTES + counter.0
}

/// Counts what is written.
struct Counter(usize);

impl bincode::enc::write::Writer for &mut Counter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0 += bytes.len();
        Ok(())
    }
}

/// The message and its blob from a peer's frame. Allocates no more than a small multiple of the frame's own size.
///
/// # Errors
/// Every [`WireError`] but [`WireError::Checksum`] and [`WireError::Unencodable`].
pub fn decode(frame: &[u8]) -> Result<(Message, Blob), WireError> {
    let (&version, rest) = frame.split_first().ok_or(WireError::Truncated { found: 0, needed: PREFIX_BYTES })?;
    if version != VERSION {
        return Err(WireError::Version { theirs: version, ours: VERSION });
    }
    let (length, rest) =
        rest.split_first_chunk::<4>().ok_or(WireError::Truncated { found: frame.len(), needed: PREFIX_BYTES })?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > HEADER_BYTES_MAX {
        return Err(WireError::TooLong { what: "header", bytes: length, limit: HEADER_BYTES_MAX });
    }
    let (header, blob) = rest
        .split_at_checked(length)
        .ok_or(WireError::Truncated { found: frame.len(), needed: PREFIX_BYTES + length })?;
    let message: Message = decode_value::<_, HEADER_BYTES_MAX>(header)?;
    check_blob(message.lane(), blob.len())?;
    Ok((message, blob.iter().copied().collect()))
}

fn check_blob(lane: Lane, bytes: usize) -> Result<(), WireError> {
    let limit = blob_bytes_max(lane);
    if bytes > limit { Err(WireError::TooLong { what: "blob", bytes, limit }) } else { Ok(()) }
}

/// In bincode, at most `MAX` bytes.
pub(super) fn encode_value<T: Serialize, const MAX: usize>(
    value: &T,
    what: &'static str,
) -> Result<Vec<u8>, WireError> {
    let bytes = bincode::serde::encode_to_vec(value, format::<MAX>())
        .map_err(|error| WireError::Unencodable(error.to_string()))?;
    if bytes.len() > MAX {
        return Err(WireError::TooLong { what, bytes: bytes.len(), limit: MAX });
    }
    Ok(bytes)
}

/// From bincode; every byte has to be used.
pub(super) fn decode_value<T: DeserializeOwned, const MAX: usize>(bytes: &[u8]) -> Result<T, WireError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, format::<MAX>())
        .map_err(|error| WireError::Malformed(error.to_string()))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(WireError::Malformed(format!("{} bytes are left over", bytes.len() - used)))
    }
}

/// Spelled out, although it is bincode's standard, since it is the format.
const fn format<const MAX: usize>() -> Configuration<LittleEndian, Varint, Limit<MAX>> {
    bincode::config::standard().with_little_endian().with_variable_int_encoding().with_limit::<MAX>()
}
