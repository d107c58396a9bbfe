//! The state folder: what survives a restart. One process at a time owns it.
//!
//! It decides nothing: what to write and when is the node's business. It guarantees that a file is whole or absent, that a
//! generation rises at each start, and that an identity never outlives the epochs it has seen.

mod actor;
mod artifacts;
mod boot;
mod durable;
mod look;
pub(crate) mod remembered;

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

pub(crate) use actor::{StoreActor, StoreHandle};
pub use artifacts::{ArtifactError, Store, Student, Upload};
pub use boot::Boot;
pub(crate) use look::Look;
pub use remembered::RememberedPeer;

use crate::files::{FileError, TEMPORARY_PREFIX, create_private_dir, failed, read_bounded, write_atomic};

/// Why the state folder cannot be used. Nothing in it was changed, unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process owns it.
    #[error("the state folder {} is in use by another node; stop that one, or give this one an own --state-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An owned state folder.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateDir {
    /// Takes the folder for this process, making it if it is not there, and raises the generation.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it, [`StoreError::File`] if something in it cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Boot), StoreError> {
        create_private_dir(path)?;
        let lock_path = path.join("lock");
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(&lock_path).map_err(failed("create", &lock_path))?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err((_, errno)) => return Err(failed("lock", &lock_path)(errno.into()).into()),
        };
        let state = Self { path: path.to_owned(), _lock: lock };
        remove_temporary(path)?;
        let boot = Boot::load(path)?;
        Ok((state, boot))
    }

    /// The artifacts in it.
    ///
    /// # Errors
    /// [`FileError::Io`] if the folder cannot be read.
    pub fn artifacts(&self) -> Result<Store, FileError> {
        Store::open(&self.path.join("artifacts"))
    }

    /// The port that was listened on last, so that others find this node where it was.
    pub fn port(&self) -> Option<u16> {
        read_port(&self.path)
    }

    /// Keeps the port for the next start.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn keep_port(&self, port: u16) -> Result<(), FileError> {
        write_atomic(&self.path.join("port"), format!("{port}\n").as_bytes())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn read_port(folder: &Path) -> Option<u16> {
    String::from_utf8(read_bounded(&folder.join("port"), 64).ok()?).ok()?.trim_end().parse().ok()
}

fn durable_path(folder: &Path) -> PathBuf {
    folder.join("durable")
}

/// Removes what a killed process was writing.
fn remove_temporary(folder: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(failed("read the folder", folder))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_on_one_folder_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(dir.path()).unwrap();
        let error = StateDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }));
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        drop(first);
        assert!(StateDir::open(dir.path()).is_ok());
    }

    #[test]
    fn the_leavings_of_a_killed_process_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let leaving = dir.path().join(".tmp-half");
        fs::write(&leaving, b"half").unwrap();
        let _state = StateDir::open(dir.path()).unwrap();
        assert!(!leaving.exists());
    }

    #[test]
    fn an_upload_that_was_cut_off_is_removed_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        let upload = dir.path().join("artifacts").join(".tmp-upload");
        fs::create_dir_all(&upload).unwrap();
        fs::write(upload.join("bundle.tar"), b"half").unwrap();
        state.artifacts().unwrap();
        assert!(!upload.exists());
    }

    #[test]
    fn the_port_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.port(), None);
        state.keep_port(4001).unwrap();
        assert_eq!(state.port(), Some(4001));
    }
}
