//! What goes wrong with a mesh on this machine.

use std::io;
use std::path::PathBuf;

use super::ClientError;

/// Why the harness could not do what was asked. Processes that were started are stopped when the mesh is dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A node ended instead of listening.
    #[error("node {name} ended with {status} instead of starting; its log says:\n{log}")]
    Ended {
        /// Which.
        name: String,
        /// Its exit status.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A program that had to succeed failed.
    #[error("`{command}` failed:\n{output}")]
    Command {
        /// What was run.
        command: String,
        /// What it printed.
        output: String,
    },
    /// Something did not happen in time.
    #[error("after {seconds:.1} s still not: {what}; last seen: {seen}")]
    Timeout {
        /// What was awaited.
        what: String,
        /// How long, s.
        seconds: f64,
        /// The state when time was up.
        seen: String,
    },
    /// The node is not running.
    #[error("node {0} is not running")]
    NotRunning(String),
    /// A signal could not be sent.
    #[error("cannot signal node {name}: {source}")]
    Signal {
        /// Which.
        name: String,
        /// The system's reason.
        source: nix::Error,
    },
    /// A node did not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
}
