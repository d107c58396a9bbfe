//! A training run's state on disk: whole or not at all, and only for the job it was written by.
//!
//! A file is the length of a JSON header, the header, lists of f32 in sections, and the SHA-256 of all that, little-endian.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Raised when the form changes.
const SCHEMA: &str = "rocoin.checkpoint/1";

/// A checkpoint that cannot be written or used. The file is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system refused.
    #[error("checkpoint {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not what was written.
    #[error("checkpoint {} is damaged; delete it to train this student from the start", .0.display())]
    Damaged(PathBuf),
    /// Written by a run with other settings.
    #[error("checkpoint {} is of another run (other options, data, teacher or part); repeat its settings, or use another work folder", .0.display())]
    OtherJob(PathBuf),
}

/// Lists of numbers that belong together.
pub(crate) type Section = Vec<Vec<f32>>;

/// What a checkpoint holds: the job it is of, small facts, and numbers.
#[derive(Debug, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) job: Value,
    pub(crate) facts: Value,
    pub(crate) sections: Vec<Section>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    job: Value,
    facts: Value,
    lengths: Vec<Vec<usize>>,
}

impl Checkpoint {
    /// Replaces the file at `path`.
    pub(crate) fn save(self, path: &Path) -> Result<(), CheckpointError> {
        let lengths = self.sections.iter().map(|section| section.iter().map(Vec::len).collect()).collect();
        let header = Header { schema: SCHEMA.to_owned(), job: self.job, facts: self.facts, lengths };
        let header = serde_json::to_vec(&header).expect("a header is plain data");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(self.sections.iter().flatten().flatten().flat_map(|x| x.to_le_bytes()));
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        write_atomically(path, &bytes).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })
    }

    /// What is at `path`, if anything is.
    pub(crate) fn load(path: &Path, job: &Value) -> Result<Option<Self>, CheckpointError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CheckpointError::Io { path: path.to_owned(), source }),
        };
        let checkpoint = Self::parse(&bytes).ok_or_else(|| CheckpointError::Damaged(path.to_owned()))?;
        if checkpoint.job != as_read(job) {
            return Err(CheckpointError::OtherJob(path.to_owned()));
        }
        Ok(Some(checkpoint))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (content, digest) = bytes.split_last_chunk::<32>()?;
        if Sha256::digest(content)[..] != digest[..] {
            return None;
        }
        let (length, rest) = content.split_first_chunk::<8>()?;
        let (header, numbers) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let header: Header = serde_json::from_slice(header).ok().filter(|h: &Header| h.schema == SCHEMA)?;
        let mut numbers = numbers.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let mut list = |length: usize| numbers.by_ref().take(length).collect();
        let sections = header.lengths.iter().map(|section| section.iter().map(|&length| list(length)).collect());
        Some(Self { sections: sections.collect(), job: header.job, facts: header.facts })
    }
}

/// As it is after being written and read: some numbers differ in their last bit then.
fn as_read(job: &Value) -> Value {
    serde_json::from_str(&job.to_string()).expect("a job is plain data")
}

/// Replaces a file so that at any moment the old or the new one is there, whole.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_added_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let sections = vec![vec![vec![1.0, -2.5], vec![]], vec![vec![f32::MIN_POSITIVE]]];
        Checkpoint { job: "a".into(), facts: serde_json::json!({"epoch": 3}), sections }
    }

    #[test]
    fn a_checkpoint_is_read_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("student");
        assert_eq!(Checkpoint::load(&path, &"a".into()).unwrap(), None);
        checkpoint().save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path, &"a".into()).unwrap(), Some(checkpoint()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_checkpoint_is_of_its_job_whatever_numbers_that_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("student");
        // The first two are a real mean and deviation of which one was not read back as written.
        for number in [74.826_24, 90.856_68].into_iter().chain((0..200).map(|i| 0.37_f32 * i as f32)) {
            let job = serde_json::json!({ "mean": number });
            Checkpoint { job: job.clone(), ..checkpoint() }.save(&path).unwrap();
            assert!(Checkpoint::load(&path, &job).is_ok(), "{number}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_job_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("student");
        checkpoint().save(&path).unwrap();
        assert!(matches!(Checkpoint::load(&path, &"b".into()), Err(CheckpointError::OtherJob(_))));
    }

    #[test]
    fn a_cut_or_changed_checkpoint_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("student");
        checkpoint().save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[20] ^= 1;
        for bytes in [&whole[..whole.len() - 1], &whole[..10], &[], &changed] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(Checkpoint::load(&path, &"a".into()), Err(CheckpointError::Damaged(_))));
        }
    }
}
