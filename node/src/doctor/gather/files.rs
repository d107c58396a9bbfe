//! Looks at the fleet key and the state folder.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout;

use super::Key;
use crate::doctor::facts::{IdentityFile, KeyFile, StateFolder, WriteTest};
use crate::files::FileError;
use crate::fleet_key;
use crate::store::Look;

/// Bytes written to see whether and how fast it goes: some pages, as a durable state has.
const WRITTEN_BYTES: usize = 64 << 10;
/// A disk that takes longer for it is as good as none.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The key to try handshakes with, and what is to be said of its file.
pub(super) fn key(file: Option<&Path>, open: bool) -> (Key, KeyFile) {
    match file {
        None if open => (Key::Open, KeyFile::Open),
        None => (Key::Lacking, KeyFile::NotGiven),
        Some(path) => {
            let shown = path.display().to_string();
            match fleet_key::KeyFile::load(path) {
                Ok(file) => {
                    let keys = file.keyring(SystemTime::now());
                    let previous = keys.previous.map(|key| key.to_string());
                    let fingerprint = keys.current.to_string();
                    (Key::Fleet(keys), KeyFile::Usable { path: shown, fingerprint, previous })
                }
                Err(e) => (Key::Lacking, unusable(shown, &e)),
            }
        }
    }
}

fn unusable(path: String, error: &FileError) -> KeyFile {
    match error {
        e if e.is_absent() => KeyFile::Absent { path },
        FileError::ReadableByOthers { mode, .. } => KeyFile::ReadableByOthers { path, mode: *mode },
        FileError::Io { reason, .. } => KeyFile::Unreadable { path, why: reason.to_string() },
        FileError::TooLarge { .. } | FileError::Content { .. } | FileError::WritableByOthers { .. } => {
            KeyFile::Damaged { path, why: error.to_string() }
        }
    }
}

/// Looks at the folder, or, where it is not there yet, at the disk that it will be on.
pub(super) fn state(folder: &Path) -> StateFolder {
    let look = Look::at(folder);
    let identity = match look.identity() {
        Ok(Some(identity)) => IdentityFile::Usable { node: identity.node(), peer: identity.peer().to_string() },
        Ok(None) => IdentityFile::Absent,
        Err(e) => IdentityFile::Unusable { why: e.to_string() },
    };
    let there = disk(folder);
    StateFolder {
        path: folder.display().to_string(),
        exists: folder.is_dir(),
        mode: fs::metadata(folder).ok().map(|there| there.permissions().mode() & 0o777),
        identity,
        locked: look.is_locked(),
        port: look.port(),
        remembered: look.remembered().len(),
        disk_free_bytes: there.and_then(disk_free_bytes),
        write: None,
    }
}

/// The folder, or the nearest above it that is there.
fn disk(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|ancestor| ancestor.is_dir())
}

/// Whether and how fast the folder's disk takes what is written; `None` if no part of its path is there.
pub(super) async fn write_test(folder: &Path) -> Option<WriteTest> {
    let there = disk(folder)?.to_owned();
    let written = timeout(WRITE_TIMEOUT, tokio::task::spawn_blocking(move || write(&there))).await;
    let late = || WriteTest::Failed { why: format!("not done after {} s", WRITE_TIMEOUT.as_secs()) };
    Some(written.ok().and_then(Result::ok).unwrap_or_else(late))
}

/// What an ordinary user may still write.
#[allow(clippy::useless_conversion, reason = "on some systems these numbers are narrower")]
fn disk_free_bytes(folder: &Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}

/// Writes a file that has no name and so is gone at once, whatever happens.
fn write(folder: &Path) -> WriteTest {
    let start = Instant::now();
    let written = tempfile::tempfile_in(folder).and_then(|mut file| {
        file.write_all(&[0; WRITTEN_BYTES])?;
        file.sync_all()
    });
    match written {
        Ok(()) => WriteTest::Written { sync_ms: start.elapsed().as_secs_f64() * 1e3 },
        Err(e) if matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => WriteTest::Full,
        Err(e) => WriteTest::Failed { why: e.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet_key::FleetKey;

    #[test]
    fn each_state_of_a_key_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet.key");
        let fact = || key(Some(&path), false).1;
        assert!(matches!(fact(), KeyFile::Absent { .. }));
        let [old, new] = [(); 2].map(|()| FleetKey::generate().unwrap());
        let file = fleet_key::KeyFile::of(old);
        file.create(&path).unwrap();
        assert!(matches!(fact(), KeyFile::Usable { previous: None, .. }));
        file.rotated(new, SystemTime::now() + Duration::from_secs(3600)).replace(&path).unwrap();
        let KeyFile::Usable { fingerprint, previous, .. } = fact() else { panic!("it is usable") };
        assert_eq!((fingerprint, previous), (new.to_string(), Some(old.to_string())));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(fact(), KeyFile::ReadableByOthers { mode: 0o640, .. }));
        fs::write(&path, "junk").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(fact(), KeyFile::Damaged { .. }));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(matches!(fact(), KeyFile::Unreadable { .. }), "{:?}", fact());
        assert_eq!((key(None, true).1, key(None, false).1), (KeyFile::Open, KeyFile::NotGiven));
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_not_made_and_its_disk_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a").join("b");
        let state = state(&folder);
        assert!(!folder.exists() && !state.exists && state.mode.is_none());
        assert!(state.disk_free_bytes.is_some(), "{state:?}");
        assert!(matches!(write_test(&folder).await, Some(WriteTest::Written { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was left");
    }
}
