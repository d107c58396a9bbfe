//! Why a teacher cannot teach.

use std::io;
use std::path::{Path, PathBuf};

use super::Candidate;
use crate::session::SessionError;

/// A teacher that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeacherError {
    /// The file cannot be read.
    #[error("teacher {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No ONNX, unsupported operators, more than one input, or it does not fit the images.
    #[error("teacher {}: {error}", path.display())]
    Session {
        /// Which.
        path: PathBuf,
        /// Why.
        error: SessionError,
    },
    /// It opened, but failed on an image.
    #[error("the teacher failed on an image: {0}")]
    Forward(SessionError),
    /// The declared input is another than the data's.
    #[error(
        "teacher {}: its input {input:?} has shape {declared}, the data's images are {image:?} ({}); give data it was trained on, \
         or tell with --layout where it has its channels",
        path.display(), if image.len() == 3 { "[C,H,W]" } else { "[C,L]" }
    )]
    Input {
        /// Which.
        path: PathBuf,
        /// Name of the input.
        input: String,
        /// As declared, the batch first.
        declared: String,
        /// Of the data.
        image: Vec<usize>,
    },
    /// No output is one row of scores.
    #[error("teacher {}: none of its outputs ({outputs}) is [batch, classes]; it must be a classifier", path.display())]
    NoScores {
        /// Which.
        path: PathBuf,
        /// The outputs and their shapes.
        outputs: String,
    },
    /// No tensor looks like the last feature map.
    #[error("teacher {}: no feature map was recognised before its pooling or flattening; {}", path.display(), listed(candidates))]
    NoFeatureMap {
        /// Which.
        path: PathBuf,
        /// What could be named.
        candidates: Vec<Candidate>,
    },
    /// `--feature-tensor` names nothing usable.
    #[error("teacher {}: {name:?} is no tensor with spatial axes; {}", path.display(), listed(candidates))]
    NotAFeatureMap {
        /// Which.
        path: PathBuf,
        /// What was asked.
        name: String,
        /// What could be named.
        candidates: Vec<Candidate>,
    },
}

impl TeacherError {
    pub(super) fn session(path: &Path, error: SessionError) -> Self {
        Self::Session { path: path.to_owned(), error }
    }
}

fn listed(candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        return "the network has no tensor with spatial axes at all, so it cannot be divided into knowledge parts"
            .to_owned();
    }
    let lines: Vec<String> = candidates.iter().map(|candidate| format!("\n  {candidate}")).collect();
    format!("name one with --feature-tensor:{}", lines.concat())
}
