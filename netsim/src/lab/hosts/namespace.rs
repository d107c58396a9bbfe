//! One network namespace: made, entered by a thread, removed.

use std::any::Any;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use super::{LabError, ip, leftovers};
use crate::harness::Place;

/// A named network namespace. When it is dropped, what still runs in it is killed, and it is removed.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// A new one of this name.
    ///
    /// # Errors
    /// [`LabError::Command`] if there is one already, or the system makes none.
    pub(super) fn new(name: &str) -> Result<Self, LabError> {
        ip::netns(&["add", name])?;
        match File::open(Path::new(FOLDER).join(name)) {
            Ok(file) => Ok(Self { name: name.to_owned(), file }),
            Err(e) => {
                leftovers::remove(name);
                Err(LabError::system(format!("open the namespace {name}"))(e))
            }
        }
    }

    /// As `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs there.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Does something on this thread inside the namespace: sockets that it opens are there.
    ///
    /// # Errors
    /// [`LabError::System`] if the thread cannot enter; nothing is done then.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> Result<T, LabError> {
        let _there = self.enter().map_err(LabError::system(format!("enter the namespace {}", self.name)))?;
        Ok(work())
    }
}

/// Where `ip netns` keeps them.
pub(super) const FOLDER: &str = "/run/netns";

impl Place for Namespace {
    fn command(&self, program: &Path) -> Command {
        self.command_of(program)
    }

    fn enter(&self) -> io::Result<Box<dyn Any>> {
        let home = Home(File::open("/proc/thread-self/ns/net")?);
        setns(&self.file, CloneFlags::CLONE_NEWNET)?;
        Ok(Box::new(home))
    }
}

/// Where a thread came from; it goes back when this is dropped.
struct Home(File);

impl Drop for Home {
    fn drop(&mut self) {
        // It came from there with the same rights, so it can go back.
        let _ = setns(&self.0, CloneFlags::CLONE_NEWNET);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        leftovers::remove(&self.name);
    }
}
