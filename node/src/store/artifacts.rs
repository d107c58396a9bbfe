//! Store (students' ONNX files, bundles' manifests) by the digest of their bytes.
//!
//! A file is checked by its size at start where a manifest tells it, and by its hash before it is first used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocoin::blob::Blob;
use rocoin::bundle::{MANIFEST_BYTES_MAX, Manifest};
use rocoin::id::Digest;
use tempfile::TempDir;

use crate::files::{FileError, TEMPORARY_PREFIX, create_private_dir, failed, read_bounded, write_atomic};

/// Bytes of an artifact at most: the largest student a small device would hold.
const ARTIFACT_BYTES_MAX: u64 = 1 << 30;
/// A file that cannot be read so often in a row is as good as none: the disk is failing. Ours.
const READS_FAILED_MAX: u32 = 3;

/// Why an artifact cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It is not here.
    #[error("the artifact {} is not held here", .0.short())]
    Absent(Digest),
    /// Its bytes are not those of its name. Nothing was kept.
    #[error("the artifact {} is corrupt: its bytes have the digest {}", expected.short(), found.short())]
    Corrupt {
        /// Its name.
        expected: Digest,
        /// The digest of its bytes.
        found: Digest,
    },
    /// It cannot be read or written; nothing half-written was left.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a manifest says about one student, as far as running it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Student {
    /// `[C,H,W]` or `[C,L]`.
    pub shape: Vec<usize>,
    /// For one image.
    pub flops: u64,
}

/// The artifacts that this device holds. Threads share it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    index: Mutex<Index>,
    /// Held while a file and its entry in the index come or go together.
    files: Mutex<()>,
    /// Shared by the uploads under way.
    uploads: Arc<()>,
}

/// An upload under way: an empty folder on the artifacts' disk for it. As long as there is one, nothing is discarded, since the
/// node cannot know yet what the new bundle needs. The folder goes with the value, and with the next start at the latest.
#[derive(Debug)]
pub struct Upload {
    folder: TempDir,
    _shared: Arc<()>,
}

impl Upload {
    /// Where to put it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[derive(Debug, Default)]
struct Index {
    bytes: BTreeMap<Digest, u64>,
    verified: BTreeSet<Digest>,
    manifests: BTreeMap<Digest, Arc<Manifest>>,
    /// How often in a row each could not be read.
    unread: BTreeMap<Digest, u32>,
}

impl Index {
    fn remove(&mut self, artifact: Digest) {
        self.bytes.remove(&artifact);
        self.verified.remove(&artifact);
        self.manifests.remove(&artifact);
        self.unread.remove(&artifact);
    }
}

impl Store {
    /// Takes stock of a folder. A student whose size is not what its manifest says is removed.
    pub(super) fn open(folder: &Path) -> Result<Self, FileError> {
        create_private_dir(folder)?;
        super::remove_temporary(folder)?;
        let artifacts = Self {
            folder: folder.to_owned(),
            index: Mutex::default(),
            files: Mutex::default(),
            uploads: Arc::default(),
        };
        for entry in fs::read_dir(folder).map_err(failed("read the folder", folder))?.flatten() {
            let Some(digest) = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok()) else {
                continue;
            };
            let bytes = entry.metadata().map_err(failed("read", &entry.path()))?.len();
            artifacts.index().bytes.insert(digest, bytes);
        }
        artifacts.find_manifests();
        artifacts.remove_torn();
        Ok(artifacts)
    }

    /// Every artifact held, with its size in bytes.
    pub fn held(&self) -> BTreeMap<Digest, u64> {
        self.index().bytes.clone()
    }

    /// Every manifest held.
    pub fn manifests(&self) -> BTreeMap<Digest, Arc<Manifest>> {
        self.index().manifests.clone()
    }

    /// What the manifests held say about a student.
    pub fn student(&self, student: Digest) -> Option<Student> {
        let index = self.index();
        index.manifests.values().find_map(|manifest| {
            let (_, card) = manifest.student(student)?;
            Some(Student { shape: manifest.input.shape.clone(), flops: card.flops })
        })
    }

    /// Writes an artifact, synced.
    ///
    /// # Errors
    /// [`ArtifactError::Corrupt`] if `bytes` are not the artifact's, [`ArtifactError::File`] if the disk is full, say.
    pub fn put(&self, artifact: Digest, bytes: &[u8]) -> Result<(), ArtifactError> {
        check(artifact, bytes)?;
        let manifest = parse_manifest(bytes);
        let _together = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        write_atomic(&self.path(artifact), bytes)?;
        let mut index = self.index();
        index.bytes.insert(artifact, bytes.len() as u64);
        index.verified.insert(artifact);
        index.unread.remove(&artifact);
        if let Some(manifest) = manifest {
            index.manifests.insert(artifact, Arc::new(manifest));
        }
        Ok(())
    }

    /// Holds an artifact no more, without touching the disk; false if an upload is under way, and the artifact is kept.
    pub fn discard(&self, artifact: Digest) -> bool {
        if Arc::strong_count(&self.uploads) > 1 {
            return false;
        }
        self.index().remove(artifact);
        true
    }

    /// Deletes the file of an artifact that is not held.
    pub(super) fn sweep(&self, artifact: Digest) {
        let _together = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.index().bytes.contains_key(&artifact)
            && let Err(e) = fs::remove_file(self.path(artifact))
        {
            tracing::warn!(%artifact, "cannot delete an artifact that is not needed any more: {e}");
        }
    }

    /// The whole artifact.
    ///
    /// # Errors
    /// [`ArtifactError`]; a corrupt file is removed, so that it is fetched again.
    pub fn read(&self, artifact: Digest) -> Result<Vec<u8>, ArtifactError> {
        if !self.index().bytes.contains_key(&artifact) {
            return Err(ArtifactError::Absent(artifact));
        }
        let bytes = read_bounded(&self.path(artifact), ARTIFACT_BYTES_MAX).map_err(|e| self.unread(artifact, e))?;
        if let Err(e) = check(artifact, &bytes) {
            self.forget(artifact);
            return Err(e);
        }
        let mut index = self.index();
        index.verified.insert(artifact);
        index.unread.remove(&artifact);
        Ok(bytes)
    }

    /// The artifact's size and at most `length` bytes of it from `offset` on; fewer at its end.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_chunk(&self, artifact: Digest, offset: u64, length: u32) -> Result<(u64, Blob), ArtifactError> {
        let verified = self.index().verified.contains(&artifact);
        if !verified {
            let _ = self.read(artifact)?;
        }
        let total = self.index().bytes.get(&artifact).copied().ok_or(ArtifactError::Absent(artifact))?;
        let length = u64::from(length).min(total.saturating_sub(offset));
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(0)];
        let path = self.path(artifact);
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut chunk, offset));
        read.map_err(failed("read", &path)).map_err(|e| self.unread(artifact, e))?;
        self.index().unread.remove(&artifact);
        Ok((total, chunk.into()))
    }

    /// A file that somebody took away, cut off, or that cannot be read again and again is not held any more; one that cannot be read now
    /// may be another time.
    fn unread(&self, artifact: Digest, error: FileError) -> ArtifactError {
        let is_gone = matches!(&error, FileError::Io { reason, .. }
            if matches!(reason.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof));
        let mut index = self.index();
        let failures = index.unread.entry(artifact).or_default();
        *failures += 1;
        if !is_gone && *failures < READS_FAILED_MAX {
            return error.into();
        }
        index.remove(artifact);
        drop(index);
        tracing::warn!(%artifact, "an artifact is not held any more: {error}");
        ArtifactError::Absent(artifact)
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn upload(&self) -> Result<Upload, FileError> {
        let shared = Arc::clone(&self.uploads);
        let folder = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(&self.folder);
        Ok(Upload { folder: folder.map_err(failed("make a folder in", &self.folder))?, _shared: shared })
    }

    fn find_manifests(&self) {
        for (digest, bytes) in self.held() {
            if bytes <= MANIFEST_BYTES_MAX && self.begins_like_json(digest) {
                let manifest = self.read(digest).ok().and_then(|bytes| parse_manifest(&bytes));
                if let Some(manifest) = manifest {
                    self.index().manifests.insert(digest, Arc::new(manifest));
                }
            }
        }
    }

    fn begins_like_json(&self, artifact: Digest) -> bool {
        let mut first = [0; 1];
        File::open(self.path(artifact)).and_then(|f| f.read_exact_at(&mut first, 0)).is_ok() && first == *b"{"
    }

    fn remove_torn(&self) {
        let cards = self.manifests();
        let expected = |digest| cards.values().find_map(|m| m.student(digest).map(|(_, card)| card.bytes));
        for (digest, bytes) in self.held() {
            if expected(digest).is_some_and(|expected| expected != bytes) {
                tracing::warn!(artifact = %digest, bytes, "removed an artifact of the wrong size");
                self.forget(digest);
            }
        }
    }

    fn forget(&self, artifact: Digest) {
        self.index().remove(artifact);
        if let Err(e) = fs::remove_file(self.path(artifact)) {
            tracing::warn!(%artifact, "cannot remove a corrupt artifact: {e}");
        }
    }

    fn path(&self, artifact: Digest) -> PathBuf {
        self.folder.join(artifact.to_string())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(expected: Digest, bytes: &[u8]) -> Result<(), ArtifactError> {
    let found = Digest::of(bytes);
    if found == expected { Ok(()) } else { Err(ArtifactError::Corrupt { expected, found }) }
}

fn parse_manifest(bytes: &[u8]) -> Option<Manifest> {
    if bytes.first() == Some(&b'{') { Manifest::parse(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_found_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"student");
        Store::open(dir.path()).unwrap().put(digest, b"student").unwrap();
        let artifacts = Store::open(dir.path()).unwrap();
        assert_eq!(artifacts.held(), BTreeMap::from([(digest, 7)]));
        assert_eq!(artifacts.read(digest).unwrap(), b"student");
    }

    #[test]
    fn bytes_under_a_wrong_name_are_refused_and_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Store::open(dir.path()).unwrap();
        assert!(matches!(artifacts.put(Digest([1; 32]), b"other"), Err(ArtifactError::Corrupt { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_artifact_that_rotted_on_disk_is_noticed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"student");
        Store::open(dir.path()).unwrap().put(digest, b"student").unwrap();
        fs::write(dir.path().join(digest.to_string()), b"stodent").unwrap();
        let artifacts = Store::open(dir.path()).unwrap();
        assert!(matches!(artifacts.read_chunk(digest, 0, 4), Err(ArtifactError::Corrupt { .. })));
        assert!(matches!(artifacts.read(digest), Err(ArtifactError::Absent(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_artifact_that_was_taken_away_is_noticed_and_one_that_cannot_be_read_is_still_held() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"student");
        let artifacts = Store::open(dir.path()).unwrap();
        artifacts.put(digest, b"student").unwrap();
        let path = dir.path().join(digest.to_string());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for _ in 1..READS_FAILED_MAX {
            assert!(matches!(artifacts.read_chunk(digest, 0, 4), Err(ArtifactError::File(_))));
            assert_eq!(artifacts.held().len(), 1);
        }
        fs::remove_dir(&path).unwrap();
        assert!(matches!(artifacts.read_chunk(digest, 0, 4), Err(ArtifactError::Absent(_))));
        assert_eq!(artifacts.held().len(), 0);
    }

    #[test]
    fn an_artifact_that_was_cut_off_or_cannot_be_read_again_and_again_is_held_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"student");
        let artifacts = Store::open(dir.path()).unwrap();
        let path = dir.path().join(digest.to_string());
        artifacts.put(digest, b"student").unwrap();
        fs::write(&path, b"stu").unwrap();
        assert!(matches!(artifacts.read_chunk(digest, 0, 7), Err(ArtifactError::Absent(_))));

        artifacts.put(digest, b"student").unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let reads: Vec<_> = (0..READS_FAILED_MAX).map(|_| artifacts.read_chunk(digest, 0, 7).unwrap_err()).collect();
        assert!(matches!(reads.last(), Some(ArtifactError::Absent(_))), "{reads:?}");
        assert!(artifacts.held().is_empty());
    }

    #[test]
    fn what_is_discarded_is_gone_unless_it_came_back_or_a_bundle_is_coming_in() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Store::open(dir.path()).unwrap();
        let digest = Digest::of(b"student");
        artifacts.put(digest, b"student").unwrap();

        let upload = artifacts.upload().unwrap();
        assert!(!artifacts.discard(digest) && artifacts.read(digest).is_ok(), "the upload may need it");
        drop(upload);

        assert!(artifacts.discard(digest));
        artifacts.put(digest, b"student").unwrap();
        artifacts.sweep(digest);
        assert_eq!(artifacts.read(digest).unwrap(), b"student", "it came back before it was deleted");

        assert!(artifacts.discard(digest));
        artifacts.sweep(digest);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn chunks_end_where_the_artifact_ends() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Store::open(dir.path()).unwrap();
        let digest = Digest::of(b"0123456789");
        artifacts.put(digest, b"0123456789").unwrap();
        let chunk = |offset, length| {
            let (total, chunk) = artifacts.read_chunk(digest, offset, length).unwrap();
            assert_eq!(total, 10);
            chunk.as_bytes().to_vec()
        };
        assert_eq!(chunk(0, 4), b"0123");
        assert_eq!(chunk(8, 4), b"89");
        assert_eq!(chunk(10, 4), b"");
        assert_eq!(chunk(u64::MAX, 4), b"");
    }
}
