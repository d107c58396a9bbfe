//! What can be wrong with a scenario file, and on which line; and why a world is not written as one.

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

/// A world that cannot be written as a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// A scenario file does not hold the bundle itself.
    #[error("it does not serve the made-up bundle")]
    Bundle,
    /// A number that TOML does not have.
    #[error(transparent)]
    Toml(#[from] toml::ser::Error),
    /// Something in it is no possible value of a scenario.
    #[error("as a scenario it is refused: {0}")]
    Refused(#[from] ScenarioError),
    /// Something in it has no key in a scenario, or a key that does not say all of it.
    #[error("a scenario cannot state its {0}")]
    Differs(&'static str),
}
