//! Why a network cannot be run.

/// A network that cannot be loaded or run. A session that fails to run once is still usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The bytes are no ONNX model.
    #[error("this is no ONNX model ({0}); export the network to ONNX and give that file")]
    NotOnnx(String),
    /// Operators tract does not have.
    #[error(
        "the network uses operators that cannot be run here: {}; export it without them (for instance with another opset)",
        operators.join(", ")
    )]
    Unsupported {
        /// Their ONNX names, sorted.
        operators: Vec<String>,
    },
    /// More or less than one input.
    #[error("the network has {} inputs ({}); it must have exactly one, the image", inputs.len(), inputs.join(", "))]
    Inputs {
        /// Their names.
        inputs: Vec<String>,
    },
    /// No tensor has this name.
    #[error("the network has no tensor named {0:?}")]
    NoSuchTensor(String),
    /// The network does not fit the image's shape, or tract cannot build it.
    #[error("the network cannot be built for this input: {0}")]
    Load(String),
    /// Wrong number of values.
    #[error("the input has {found} values, the network takes {expected}")]
    Length {
        /// What the network takes.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// Running failed.
    #[error("the network failed to run: {0}")]
    Run(String),
}
