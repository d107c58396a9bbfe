//! A look into a state folder that takes and changes nothing: for `rocoin doctor`, beside a node that may run on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use rocoin::bundle::{MANIFEST_BYTES_MAX, Manifest};
use rocoin::id::Digest;

use super::{RememberedPeer, boot, read_port, remembered};
use crate::files::{FileError, read_bounded};
use crate::identity::Identity;

/// Artifacts looked at, at most: those of some hundred bundles.
const ARTIFACTS_MAX: usize = 4096;

/// A state folder, looked at from outside.
#[derive(Debug)]
pub(crate) struct Look(PathBuf);

impl Look {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The identity that a start would take; `None` if it would make one.
    ///
    /// # Errors
    /// [`FileError`], with which a start would fail, too.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, FileError> {
        match Identity::load(&boot::identity_path(&self.0)) {
            Ok(identity) => Ok(Some(identity)),
            Err(e) if e.is_absent() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether a node runs on it; `None` if that cannot be told. The lock is tried, shared, and let go at once: a node that starts
    /// in this very moment would be refused.
    pub(crate) fn is_locked(&self) -> Option<bool> {
        let file = match File::open(self.0.join("lock")) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Some(false),
            Err(_) => return None,
        };
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => Some(false),
            Err((_, Errno::EWOULDBLOCK)) => Some(true),
            Err(_) => None,
        }
    }

    pub(crate) fn port(&self) -> Option<u16> {
        read_port(&self.0)
    }

    pub(crate) fn remembered(&self) -> Vec<RememberedPeer> {
        remembered::read(&self.0)
    }

    /// The manifests among the artifacts.
    pub(crate) fn manifests(&self) -> Vec<Manifest> {
        let Ok(entries) = fs::read_dir(self.0.join("artifacts")) else { return Vec::new() };
        let is_artifact =
            |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|n| n.parse::<Digest>().is_ok());
        let artifacts = entries.take(ARTIFACTS_MAX).flatten().filter(is_artifact);
        artifacts.filter_map(|entry| Manifest::parse(&read_json(&entry.path())?).ok()).collect()
    }
}

/// The file, if it can be a manifest.
fn read_json(path: &Path) -> Option<Vec<u8>> {
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut File::open(path).ok()?, &mut first).ok()?;
    if first == *b"{" { read_bounded(path, MANIFEST_BYTES_MAX).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::StateDir;
    use super::*;

    #[test]
    fn a_look_sees_who_has_the_folder_and_leaves_all_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        let look = Look::at(&folder);
        assert!(look.identity().unwrap().is_none() && look.is_locked() == Some(false));
        assert!(!folder.exists(), "looking makes no folder");
        let (state, boot) = StateDir::open(&folder).unwrap();
        state.keep_port(4001).unwrap();
        assert_eq!(look.identity().unwrap().unwrap().node(), boot.identity.node());
        assert_eq!((look.is_locked(), look.port()), (Some(true), Some(4001)));
        drop(state);
        assert_eq!(look.is_locked(), Some(false));
        assert!(StateDir::open(&folder).is_ok(), "the lock was let go");
    }

    #[test]
    fn a_damaged_identity_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = boot::identity_path(dir.path());
        crate::files::write_atomic(&path, b"junk").unwrap();
        assert!(Look::at(dir.path()).identity().is_err());
        assert_eq!(fs::read(path).unwrap(), b"junk");
    }
}
