//! Writing a bundle: into a temporary folder beside its place, moved there when it is whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rocoin::bundle::Manifest;
use tempfile::TempDir;

use super::{BundleDir, BundleError, MANIFEST_FILE};

/// A bundle in the making. Dropped, it leaves nothing behind; a killed process leaves a hidden folder beside the bundle's place.
#[derive(Debug)]
pub struct BundleWriter {
    out: PathBuf,
    folder: TempDir,
    replace: bool,
}

impl BundleWriter {
    /// Prepares a bundle that will be at `out`: a `.tar` if it is called so, else a folder. `replace` lets it take the place of
    /// what is there.
    ///
    /// # Errors
    /// [`BundleError::Exists`], [`BundleError::Io`].
    pub fn create(out: &Path, replace: bool) -> Result<Self, BundleError> {
        Self::check_free(out, replace)?;
        let parent = parent(out);
        fs::create_dir_all(&parent).map_err(|error| io_error(&parent, error))?;
        let prefix = format!(".{}.partial-", out.file_name().unwrap_or_default().to_string_lossy());
        let folder =
            tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).map_err(|error| io_error(&parent, error))?;
        Ok(Self { out: out.to_owned(), folder, replace })
    }

    /// Whether a bundle could be put at `out`; to be asked before hours of training.
    ///
    /// # Errors
    /// [`BundleError::Exists`].
    pub fn check_free(out: &Path, replace: bool) -> Result<(), BundleError> {
        if out.exists() && !replace { Err(BundleError::Exists { path: out.to_owned() }) } else { Ok(()) }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`BundleError::Io`], a full disk for instance.
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<(), BundleError> {
        let path = self.folder.path().join(file);
        let written =
            File::create(&path).and_then(|mut opened| opened.write_all(bytes).and_then(|()| opened.sync_all()));
        written.map_err(|error| io_error(&path, error))
    }

    /// Adds the manifest, verifies the whole and moves it to its place.
    ///
    /// # Errors
    /// [`BundleError`]; then nothing is under the bundle's name, or still what was there before.
    pub fn finish(self, manifest: &Manifest) -> Result<BundleDir, BundleError> {
        let mut json = serde_json::to_vec_pretty(manifest)
            .map_err(|error| BundleError::Manifest { bundle: self.out.clone(), error: error.into() })?;
        json.push(b'\n');
        self.write(MANIFEST_FILE, &json)?;
        BundleDir::open(self.folder.path())?;
        Self::check_free(&self.out, self.replace)?;
        if self.out.extension().is_some_and(|extension| extension == "tar") {
            self.move_as_tar()?;
        } else {
            self.move_as_folder()?;
        }
        BundleDir::open(&self.out)
    }

    fn move_as_folder(&self) -> Result<(), BundleError> {
        let out = &self.out;
        // A temporary folder is its owner's alone; a bundle is for every service on the machine.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let readable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.folder.path(), readable).map_err(|error| io_error(out, error))?;
        }
        let old = out.exists().then(|| tempfile::tempdir_in(parent(out))).transpose();
        let old = old.map_err(|error| io_error(out, error))?;
        if let Some(old) = &old {
            fs::rename(out, old.path().join("old")).map_err(|error| io_error(out, error))?;
        }
        let moved = fs::rename(self.folder.path(), out);
        if let (Err(_), Some(old)) = (&moved, &old) {
            fs::rename(old.path().join("old"), out).map_err(|error| io_error(out, error))?;
        }
        moved.map_err(|error| io_error(out, error))?;
        sync(&parent(out))
    }

    fn move_as_tar(&self) -> Result<(), BundleError> {
        let failed = |error| io_error(&self.out, error);
        let file = tempfile::Builder::new().prefix(".partial-").tempfile_in(parent(&self.out)).map_err(failed)?;
        let mut archive = tar::Builder::new(file);
        archive.mode(tar::HeaderMode::Deterministic);
        let mut names: Vec<_> =
            fs::read_dir(self.folder.path()).map_err(failed)?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            archive.append_path_with_name(self.folder.path().join(&name), &name).map_err(failed)?;
        }
        let file = archive.into_inner().map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.out).map_err(|error| failed(error.error))?;
        sync(&parent(&self.out))
    }
}

fn parent(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn sync(folder: &Path) -> Result<(), BundleError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(|error| io_error(folder, error))
}

fn io_error(path: &Path, error: std::io::Error) -> BundleError {
    BundleError::Io { path: path.to_owned(), error }
}
