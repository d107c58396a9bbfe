//! The work folder beside a bundle's place: `config.json`, `parts.json`, the teacher's answers, a checkpoint a student, the log.
//!
//! Each product appears under its name when it is whole, so that whatever ends a run, the next one finds either a product or
//! nothing. One process at a time works in a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DistillError, Settings};
use crate::bundle_dir::TRAINING_LOG_FILE;

const CONFIG: &str = "config.json";
const LOG_HEADER: &str = "# student part arch epoch loss val-accuracy seconds";

/// An opened work folder, this process's alone.
#[derive(Debug)]
pub(super) struct WorkDir {
    path: PathBuf,
    log: Mutex<File>,
    _lock: File,
}

impl WorkDir {
    /// `NAME.work` beside the bundle's place.
    pub(super) fn beside(out: &Path) -> PathBuf {
        out.with_added_extension("work")
    }

    /// Makes the folder for `settings`, or with `resume` takes the one that is there, if it was made for the same.
    pub(super) fn open(path: &Path, settings: &Settings, resume: bool) -> Result<Self, DistillError> {
        let config = path.join(CONFIG);
        if config.exists() {
            if !resume {
                return Err(DistillError::WorkExists { path: path.to_owned() });
            }
            let differences = Self::settings(path)?.differences(settings);
            if !differences.is_empty() {
                return Err(DistillError::WorkDiffers { path: path.to_owned(), differences });
            }
        }
        fs::create_dir_all(path).map_err(|error| io(path, error))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(|error| io(&lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DistillError::WorkBusy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io(&lock_path, error)),
        }
        let log_path = path.join(TRAINING_LOG_FILE);
        let log = OpenOptions::new().create(true).append(true).open(&log_path).map_err(|error| io(&log_path, error))?;
        let work = Self { path: path.to_owned(), log: Mutex::new(log), _lock: lock };
        if !config.exists() {
            work.log(LOG_HEADER)?;
            work.write_json(CONFIG, settings)?;
        }
        Ok(work)
    }

    /// What the folder at `path` was made for.
    pub(super) fn settings(path: &Path) -> Result<Settings, DistillError> {
        read_json(&path.join(CONFIG))?.ok_or_else(|| DistillError::NoWork { path: path.to_owned() })
    }

    /// The path of a product.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A product, if it is there.
    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DistillError> {
        read_json(&self.at(name))
    }

    /// Puts a product there, whole or not at all.
    pub(super) fn write_json<T: Serialize>(&self, name: &str, product: &T) -> Result<(), DistillError> {
        let path = self.at(name);
        let json =
            serde_json::to_vec_pretty(product).map_err(|error| DistillError::Json { path: path.clone(), error })?;
        write_whole(&path, &json)
    }

    /// Appends a line to the log.
    pub(super) fn log(&self, line: &str) -> Result<(), DistillError> {
        let mut log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // In one go: what is killed in between leaves no half line for the next run to write on.
        log.write_all(format!("{line}\n").as_bytes()).map_err(|error| io(&self.at(TRAINING_LOG_FILE), error))
    }
}

/// The checkpoint of a student within a work folder.
pub(super) fn checkpoint_name(part: usize, arch: &str) -> String {
    format!("part{part}-{arch}.checkpoint")
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DistillError> {
    let partial = path.with_added_extension("partial");
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| io(path, error))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DistillError> {
    match fs::read(path) {
        Ok(json) => {
            serde_json::from_slice(&json).map(Some).map_err(|error| DistillError::Json { path: path.to_owned(), error })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path, error)),
    }
}

fn io(path: &Path, error: std::io::Error) -> DistillError {
    DistillError::Io { path: path.to_owned(), error }
}
