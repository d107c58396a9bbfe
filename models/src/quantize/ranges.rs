//! What values tensors take on training images.

use std::collections::BTreeMap;
use std::ops::Range;

use super::QuantizeError;
use super::threads::on_threads;
use crate::data::Split;
use crate::session::{OnnxGraph, SessionError};

/// Lowest and highest value of each tensor, by its name in the f32 file.
#[derive(Debug)]
pub(super) struct Ranges(BTreeMap<String, [f32; 2]>);

impl Ranges {
    /// Runs the f32 student over `images` of a data set's training part and notes `tensors`. The same whatever the number of threads, since
    /// the lowest of lowest values is.
    pub(super) fn measure(
        onnx: &[u8],
        tensors: &[&str],
        split: &Split,
        images: &[usize],
        jobs: usize,
    ) -> Result<Self, RangesError> {
        let session = OnnxGraph::parse(onnx)?.into_session(&split.shape, Some(tensors))?;
        let chunk = |range: Range<usize>| -> Result<Vec<[f32; 2]>, SessionError> {
            let mut found = vec![[f32::INFINITY, f32::NEG_INFINITY]; tensors.len()];
            for &image in &images[range] {
                for (found, values) in found.iter_mut().zip(session.run_all(&split.image_vec(image))?) {
                    *found = values.iter().fold(*found, widened);
                }
            }
            Ok(found)
        };
        let mut found = vec![[f32::INFINITY, f32::NEG_INFINITY]; tensors.len()];
        for part in on_threads(images.len(), jobs, &chunk) {
            for (found, part) in found.iter_mut().zip(part?) {
                *found = part.iter().fold(*found, widened);
            }
        }
        match found.iter().position(|range| !range.iter().all(|end| end.is_finite())) {
            Some(at) => Err(RangesError::NotFinite(tensors[at].to_owned())),
            None => Ok(Self(tensors.iter().map(|&name| name.to_owned()).zip(found).collect())),
        }
    }

    /// Of a tensor that was measured.
    pub(super) fn of(&self, tensor: &str) -> [f32; 2] {
        self.0[tensor]
    }
}

/// Why there are no ranges.
#[derive(Debug)]
pub(super) enum RangesError {
    Session(SessionError),
    NotFinite(String),
}

impl RangesError {
    /// As the error of a student's file.
    pub(super) fn of(self, file: &str) -> QuantizeError {
        match self {
            Self::Session(error) => QuantizeError::Session { file: file.to_owned(), error },
            Self::NotFinite(tensor) => QuantizeError::NotFinite { tensor },
        }
    }
}

impl From<SessionError> for RangesError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// Once a value is not a number, neither are the ends.
fn widened([lowest, highest]: [f32; 2], value: &f32) -> [f32; 2] {
    if value.is_nan() || lowest.is_nan() { [f32::NAN; 2] } else { [lowest.min(*value), highest.max(*value)] }
}
