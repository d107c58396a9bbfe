//! A bundle on disk: a folder, or one `.tar`, with `manifest.json` and the files it names.
//!
//! [`BundleDir`] reads one and trusts nothing: every file is there, as long as the manifest says, with the digest it says.
//! [`BundleWriter`] makes one that is whole under its name or not there at all. What a manifest means is the core's
//! ([`rocoin::bundle`]); nothing is run here.

mod error;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rocoin::bundle::{Manifest, StudentCard};
use rocoin::id::Digest;

pub use error::BundleError;
pub use writer::BundleWriter;

/// The file that makes a folder a bundle.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The partial logits of every student on the test images; see [`crate::evaluate::PartialLogits`].
pub const PARTIAL_LOGITS_FILE: &str = "partial_logits.npz";

/// How the students were trained, a line for each epoch of each student. Nobody needs it to serve the bundle.
pub const TRAINING_LOG_FILE: &str = "training.log";

/// The most bytes one file of a `.tar` may have; a larger one is an error. A hundred times any student of the zoo.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A verified bundle.
#[derive(Debug)]
pub struct BundleDir {
    path: PathBuf,
    manifest: Manifest,
    manifest_json: Vec<u8>,
    files: Files,
}

#[derive(Debug)]
enum Files {
    Folder,
    Tar(BTreeMap<String, Vec<u8>>),
}

impl BundleDir {
    /// Opens the folder or `.tar` at `path` and verifies size and SHA-256 of every student.
    ///
    /// # Errors
    /// [`BundleError`], naming the bundle and the file.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let files = if path.is_file() { Files::Tar(untar(path)?) } else { Files::Folder };
        let manifest_json = read(path, &files, MANIFEST_FILE)?;
        let manifest = Manifest::parse(&manifest_json)
            .map_err(|error| BundleError::Manifest { bundle: path.to_owned(), error })?;
        let bundle = Self { path: path.to_owned(), manifest, manifest_json, files };
        for card in bundle.manifest.parts.iter().flat_map(|part| &part.students) {
            bundle.student(card)?;
        }
        Ok(bundle)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of `manifest.json`.
    pub fn manifest_json(&self) -> &[u8] {
        &self.manifest_json
    }

    /// The bundle's name in the mesh: the digest of `manifest.json`.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest_json)
    }

    /// The ONNX bytes of a student, verified again.
    ///
    /// # Errors
    /// [`BundleError`] if they are gone, cut off or changed.
    pub fn student(&self, card: &StudentCard) -> Result<Vec<u8>, BundleError> {
        let bytes = self.read(&card.file)?;
        let bundle = || self.path.clone();
        if bytes.len() as u64 != card.bytes {
            let (expected, found) = (card.bytes, bytes.len() as u64);
            return Err(BundleError::Size { bundle: bundle(), file: card.file.clone(), expected, found });
        }
        let found = Digest::of(&bytes);
        if found != card.digest {
            let expected = card.digest.to_string();
            return Err(BundleError::Hash {
                bundle: bundle(),
                file: card.file.clone(),
                expected,
                found: found.to_string(),
            });
        }
        Ok(bytes)
    }

    /// The bytes of any file of the bundle, not verified.
    ///
    /// # Errors
    /// [`BundleError::Io`] or [`BundleError::Missing`].
    pub fn read(&self, file: &str) -> Result<Vec<u8>, BundleError> {
        read(&self.path, &self.files, file)
    }

    /// The files of the students that are not of this precision.
    pub fn files_not_of(&self, precision: &str) -> Vec<String> {
        let cards = self.manifest.parts.iter().flat_map(|part| &part.students);
        cards.filter(|card| card.precision != precision).map(|card| card.file.clone()).collect()
    }

    /// The bytes of a file that a bundle need not have; `None` if it has none.
    ///
    /// # Errors
    /// [`BundleError::Io`].
    pub fn read_if_there(&self, file: &str) -> Result<Option<Vec<u8>>, BundleError> {
        match self.read(file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(BundleError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn read(bundle: &Path, files: &Files, file: &str) -> Result<Vec<u8>, BundleError> {
    let missing = || BundleError::Missing { bundle: bundle.to_owned(), file: file.to_owned() };
    match files {
        Files::Folder => std::fs::read(bundle.join(file)).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                missing()
            } else {
                BundleError::Io { path: bundle.join(file), error }
            }
        }),
        Files::Tar(contents) => contents.get(file).cloned().ok_or_else(missing),
    }
}

/// The files of an archive by their plain names; a leading folder is dropped.
fn untar(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let io = |error| BundleError::Io { path: path.to_owned(), error };
    let mut archive = tar::Archive::new(File::open(path).map_err(io)?);
    let mut files = BTreeMap::new();
    for entry in archive.entries().map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.path().map_err(io)?.file_name().map(|name| name.to_string_lossy().into_owned());
        let (Some(name), true) = (name, entry.header().entry_type().is_file()) else { continue };
        if entry.size() > FILE_BYTES_MAX {
            let (expected, found) = (FILE_BYTES_MAX, entry.size());
            return Err(BundleError::Size { bundle: path.to_owned(), file: name, expected, found });
        }
        let mut bytes = Vec::new();
        entry.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
        files.insert(name, bytes);
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
