//! What goes wrong in the lab.

use crate::harness::HarnessError;

/// Why the lab could not do what was asked. What it had made is removed when its [`super::hosts::Hosts`] are dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// This machine lacks something that hosts need.
    #[error("{0}")]
    Unavailable(String),
    /// A command of the system failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// What was run.
        command: String,
        /// What it printed.
        output: String,
    },
    /// The system refused.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A host or an island that there is not.
    #[error("{0}")]
    Unknown(String),
    /// A node or the mesh.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// Something that a measurement needs did not come about.
    #[error("{0}")]
    Unmeasured(String),
    /// Ctrl-C.
    #[error("interrupted; all nodes are stopped, and what the lab made is removed")]
    Interrupted,
}

impl LabError {
    pub(super) fn system(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}
