//! Files that must be whole or absent, and files that must stay secret.
//!
//! It knows nothing of what is in them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// How a temporary file's name begins; one that a killed process left behind is removed at the next start.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// What went wrong with a file, with its path and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused. A file that was to be written is as it was before.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
    /// A secret that others can read is none. Nothing was read.
    #[error("{} is readable by others (mode {mode:03o}); make it yours alone: chmod 600 {}", path.display(), path.display())]
    ReadableByOthers {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Whoever can write into a folder can put other files in place of those in it. Nothing in it was read.
    #[error("{} can be written to by others (mode {mode:03o}); make it yours alone: chmod 700 {}", path.display(), path.display())]
    WritableByOthers {
        /// Which folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than anything that belongs there. Nothing was read.
    #[error("{} has {bytes} bytes, more than the {max} that belong there", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// The content is not what it has to be.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
}

impl FileError {
    /// Whether the file just is not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io { reason, .. } if reason.kind() == io::ErrorKind::NotFound)
    }
}

impl FileError {
    /// Whether the content is missing or damaged for good, rather than out of reach for now.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_absent() || matches!(self, Self::Content { .. } | Self::TooLarge { .. })
    }
}

/// Turns an I/O error into one that names the action and the path.
pub(crate) fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |reason| FileError::Io { action, path: path.to_owned(), reason }
}

/// The bits of a mode that let others write.
pub(crate) const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Makes a folder that is its owner's alone, and its parents. One that is there already and that others can write to is refused; that
/// others can list it is not, since each file in it is its owner's alone.
pub(crate) fn create_private_dir(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create the folder", path))?;
    let mode = fs::metadata(path).map_err(failed("read the folder", path))?.permissions().mode() & 0o777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(FileError::WritableByOthers { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Writes a file readable by its owner alone: after a crash at any instant it is either the old one or the new one, synced.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let (temporary, folder) = write_temporary(path, bytes).map_err(failed("write", path))?;
    temporary.persist(path).map_err(|e| failed("write", path)(e.error))?;
    sync_dir(&folder)
}

/// As [`write_atomic`], but an existing file is an error and stays.
pub(crate) fn create_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let (temporary, folder) = write_temporary(path, bytes).map_err(failed("create", path))?;
    temporary.persist_noclobber(path).map_err(|e| failed("create", path)(e.error))?;
    sync_dir(&folder)
}

fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<(tempfile::NamedTempFile, PathBuf)> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let mut temporary = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(&folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    Ok((temporary, folder))
}

fn sync_dir(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|dir| dir.sync_all()).map_err(failed("sync the folder", folder))
}

/// Reads a file of at most `max` bytes.
pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(failed("read", path))?;
    let bytes = file.metadata().map_err(failed("read", path))?.len();
    if bytes > max {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes, max });
    }
    let mut content = Vec::new();
    file.take(max).read_to_end(&mut content).map_err(failed("read", path))?;
    Ok(content)
}

/// Reads a small text that nobody but its owner may read.
pub(crate) fn read_secret(path: &Path) -> Result<String, FileError> {
    const SECRET_BYTES_MAX: u64 = 4096;
    let mode = fs::metadata(path).map_err(failed("read", path))?.permissions().mode() & 0o777;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    if mode & readable_by_others(path, credentials.as_deref()) != 0 {
        return Err(FileError::ReadableByOthers { path: path.to_owned(), mode });
    }
    String::from_utf8(read_bounded(path, SECRET_BYTES_MAX)?)
        .map_err(|_| FileError::Content { path: path.to_owned(), what: "it is not text".to_owned() })
}

/// The bits of a mode that make a secret none. What systemd lays into a service's folder of credentials belongs to root and is readable to the
/// service alone by an access list, whose mask shows as the group's bits.
fn readable_by_others(path: &Path, credentials: Option<&Path>) -> u32 {
    let is_credential = credentials.is_some_and(|folder| folder.is_absolute() && path.starts_with(folder));
    if is_credential { 0o037 } else { 0o077 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn creating_over_an_existing_file_is_refused_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_atomic(&path, b"first").unwrap();
        assert!(create_atomic(&path, b"second").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_failed_write_leaves_no_file_behind() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), b"").unwrap();
        assert!(write_atomic(&taken, b"bytes").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_atomic(&path, b"secret").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_secret(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_credential_of_systemds_may_have_a_groups_bit_for_its_access_list_and_nothing_else_may() {
        let credentials = Path::new("/run/credentials/rocoin.service");
        let bits = |path: &str, folder| readable_by_others(Path::new(path), folder);
        assert_eq!(0o440 & bits("/run/credentials/rocoin.service/fleet.key", Some(credentials)), 0);
        assert_ne!(0o444 & bits("/run/credentials/rocoin.service/fleet.key", Some(credentials)), 0);
        assert_ne!(0o460 & bits("/run/credentials/rocoin.service/fleet.key", Some(credentials)), 0);
        assert_ne!(0o440 & bits("/etc/rocoin/fleet.key", Some(credentials)), 0);
        assert_ne!(0o440 & bits("/etc/rocoin/fleet.key", None), 0);
        assert_ne!(0o440 & bits("/etc/rocoin/fleet.key", Some(Path::new(""))), 0);
    }

    #[test]
    fn a_new_folder_is_its_owners_alone_and_an_old_one_that_others_can_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a").join("state");
        create_private_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        for (mode, fits) in [(0o755, true), (0o775, false), (0o777, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let made = create_private_dir(&path).map_err(|e| e.to_string());
            assert_eq!(made.is_ok(), fits, "{mode:o}");
            assert!(made.err().is_none_or(|e| e.contains("chmod 700")));
        }
    }

    #[test]
    fn a_file_beyond_its_bound_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        fs::write(&path, [0; 11]).unwrap();
        assert!(matches!(read_bounded(&path, 10), Err(FileError::TooLarge { bytes: 11, max: 10, .. })));
    }
}
