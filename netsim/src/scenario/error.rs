//! What can be wrong with a scenario file, and on which line.

/// A scenario file that cannot be played. Nothing was taken from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("line {line}: {what}")]
    Form {
        /// 1-based.
        line: usize,
        /// What the reader found, and what it expected.
        what: String,
    },
    /// Of the right form, but impossible.
    #[error("line {line}: {key} is {found}; it must be {expected}")]
    Impossible {
        /// 1-based.
        line: usize,
        /// The key, with the tables it is in.
        key: String,
        /// The value.
        found: String,
        /// What values are possible.
        expected: String,
    },
    /// The bundle that it names is not the one it was written for.
    #[error("{0}")]
    Bundle(String),
}
