//! Labelled images and series, as files on disk bring them: [`Dataset::load`] finds out what a path holds and reads it whole.
//!
//! Every file is checked before anything else happens: a [`DataError`] names the file, what is wrong with it and what to do.
//! Nothing is normalised, augmented or shuffled here; pixels stay what the files say (a byte stays a byte).

mod cifar;
mod error;
mod folders;
mod holdout;
mod idx;
mod npz;
mod split;

use std::path::{Path, PathBuf};

pub use error::DataError;
pub use holdout::{Holdout, Validation};
pub use idx::load_idx;
pub use split::{Pixels, Split};

/// The optional file beside the data with one class name a line.
pub const LABELS_FILE: &str = "labels.txt";

/// A data set: what students are trained on, and what they are measured on.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder's (or the `.npz` file's) name, without its extension.
    pub name: String,
    /// SHA-256 of the data files' bytes in the loader's order, as hexadecimal digits.
    pub sha256: String,
    /// The training part.
    pub train: Split,
    /// The test part, same shape.
    pub test: Split,
    /// Number of classes.
    pub classes: usize,
    /// One name a class: the lines of `labels.txt`, or `"0"`, `"1"`, ….
    pub labels: Vec<String>,
}

/// What a loader gives: both parts and the digest, before classes and labels are known.
struct Raw {
    train: Split,
    test: Split,
    sha256: String,
    /// For messages: where labels of the training and of the test part are from.
    label_sources: [PathBuf; 2],
    /// One a class, where the form has names itself.
    names: Option<Vec<String>>,
}

impl Dataset {
    /// Reads a directory with the four IDX files (`.gz` or not, MNIST's names), with CIFAR's binary batches, with `train/CLASS/…` and
    /// `test/CLASS/…` of PNG or JPEG, or with exactly one `.npz`, or an `.npz` itself.
    ///
    /// # Errors
    /// [`DataError`], naming the file; nothing is kept.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        let raw = match source(path)? {
            Source::Idx(files) => idx::load(&files)?,
            Source::Cifar(files) => cifar::load(&files)?,
            Source::Folders(folders) => folders::load(&folders)?,
            Source::Npz(file) => npz::load(&file)?,
        };
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        let names = names_in(&directory.join(LABELS_FILE))?;
        let name = path.file_stem().map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned());
        assemble(name, raw, names)
    }

    /// The same data with images of one channel, if it is `[A,B]`: what an `.npz` holds as `[N,H,W]` and a teacher takes as `[N,1,H,W]`.
    #[must_use]
    pub fn into_images(mut self) -> Self {
        for split in [&mut self.train, &mut self.test] {
            if split.shape.len() == 2 {
                split.shape.insert(0, 1);
            }
        }
        self
    }

    /// Shape of one image: `[C,H,W]` or `[C,L]`.
    pub fn shape(&self) -> &[usize] {
        &self.train.shape
    }
}

fn assemble(name: String, raw: Raw, names: Option<Vec<String>>) -> Result<Dataset, DataError> {
    let Raw { train, test, sha256, label_sources, names: own_names } = raw;
    let names = names.or(own_names);
    for (split, source) in [&train, &test].into_iter().zip(&label_sources) {
        if split.is_empty() {
            return Err(DataError::Empty { file: source.clone() });
        }
    }
    if train.shape != test.shape {
        return Err(DataError::ShapesDiffer { file: label_sources[1].clone(), train: train.shape, test: test.shape });
    }
    let classes = match &names {
        Some(names) => names.len(),
        None => usize::from(train.labels.iter().copied().max().unwrap_or(0)) + 1,
    };
    for (split, source) in [&train, &test].into_iter().zip(&label_sources) {
        if let Some(image) = split.labels.iter().position(|&label| usize::from(label) >= classes) {
            let label = split.labels[image].into();
            return Err(DataError::LabelOutOfRange { file: source.clone(), image, label, classes });
        }
    }
    let labels = names.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
    Ok(Dataset { name, sha256, train, test, classes, labels })
}

enum Source {
    Idx(idx::Files),
    Cifar(cifar::Files),
    Folders(folders::Folders),
    Npz(PathBuf),
}

fn source(path: &Path) -> Result<Source, DataError> {
    if path.is_file() {
        return Ok(Source::Npz(path.to_owned()));
    }
    let entries = std::fs::read_dir(path).map_err(|error| DataError::Io { file: path.to_owned(), error })?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    if let Some(found) = idx::Files::find(path, &files)? {
        return Ok(Source::Idx(found));
    }
    if let Some(found) = cifar::Files::find(path, &files)? {
        return Ok(Source::Cifar(found));
    }
    if let Some(found) = folders::Folders::find(path)? {
        return Ok(Source::Folders(found));
    }
    let mut archives = files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "npz"));
    match (archives.next(), archives.next()) {
        (Some(one), None) => Ok(Source::Npz(one)),
        (Some(_), Some(_)) => Err(DataError::Ambiguous { directory: path.to_owned() }),
        (None, _) => Err(DataError::Unrecognised { directory: path.to_owned() }),
    }
}

/// A file with one class name a line, if it is there.
fn names_in(file: &Path) -> Result<Option<Vec<String>>, DataError> {
    if !file.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file).map_err(|error| DataError::Io { file: file.to_owned(), error })?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if names.is_empty() {
        return Err(DataError::Empty { file: file.to_owned() });
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests;
