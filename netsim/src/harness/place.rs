//! Where a node runs, if not simply on this machine.

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::process::Command;

/// Where a node's process runs and from where its HTTP interface is reached: a network namespace, say.
pub trait Place: Debug + Send + Sync {
    /// A command that runs `program` there; arguments may be added.
    fn command(&self, program: &Path) -> Command;

    /// From now on what this thread opens is opened there, until what is returned is dropped.
    ///
    /// # Errors
    /// The system's reason; the thread is where it was.
    fn enter(&self) -> io::Result<Box<dyn Any>>;
}
