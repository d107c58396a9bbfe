//! What is wrong with bytes, or with what is to become bytes.

/// Nothing was decoded or encoded; nothing else changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The sender, or who wrote the file, has another version of the format.
    #[error("wire version {theirs} is spoken there, {ours} here; run the same release of rocoin on both sides")]
    Version {
        /// In the bytes.
        theirs: u8,
        /// This program's.
        ours: u8,
    },
    /// The bytes end too early.
    #[error("the bytes end after {found}, where at least {needed} were to come")]
    Truncated {
        /// How many there are.
        found: usize,
        /// How many there had to be.
        needed: usize,
    },
    /// Some part is larger than its limit.
    #[error("the {what} has {bytes} bytes; the limit is {limit}")]
    TooLong {
        /// The header, the blob, or the durable state.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The bytes are no message.
    #[error("the bytes do not decode: {0}")]
    Malformed(String),
    /// A value cannot be encoded.
    #[error("the value does not encode: {0}")]
    Unencodable(String),
    /// The durable state is not what was written.
    #[error("the durable state is damaged: its checksum does not fit its content")]
    Checksum,
}
