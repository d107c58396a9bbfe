//! What can be wrong with a bundle on disk.

use std::io;
use std::path::PathBuf;

use rocoin::bundle::ManifestError;

/// A bundle that cannot be read or written. Reading changes nothing; writing leaves nothing under the bundle's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that should be there is not.
    #[error("bundle {}: {file} is not there; a bundle is a folder or .tar with manifest.json and the files it names", bundle.display())]
    Missing {
        /// Which bundle.
        bundle: PathBuf,
        /// Which file.
        file: String,
    },
    /// The manifest is not one.
    #[error("bundle {}: {error}", bundle.display())]
    Manifest {
        /// Which bundle.
        bundle: PathBuf,
        /// Why.
        error: ManifestError,
    },
    /// Cut off, or another file.
    #[error("bundle {}: {file} has {found} bytes, the manifest says {expected}; it is damaged, copy the bundle again", bundle.display())]
    Size {
        /// Which bundle.
        bundle: PathBuf,
        /// Which file.
        file: String,
        /// By the manifest.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// Changed.
    #[error(
        "bundle {}: {file} has SHA-256 {found}, the manifest says {expected}; it is damaged, copy the bundle again",
        bundle.display()
    )]
    Hash {
        /// Which bundle.
        bundle: PathBuf,
        /// Which file.
        file: String,
        /// By the manifest.
        expected: String,
        /// What is there.
        found: String,
    },
    /// There is something under the name already.
    #[error("{} exists already; give another --out, or --replace to put the new bundle in its place", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
}
