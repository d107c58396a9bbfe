//! Why a bundle was not quantised.

use std::path::PathBuf;

use rocoin::bundle::MANIFEST_BYTES_MAX;

use crate::bundle_dir::BundleError;
use crate::data::DataError;
use crate::evaluate::PartialLogitsError;
use crate::session::SessionError;

/// A quantisation that stopped. Nothing was written; the bundle that was read is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The bundle, or writing the new one.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Writing the partial logits.
    #[error(transparent)]
    PartialLogits(#[from] PartialLogitsError),
    /// A student that does not run.
    #[error("{file}: {error}")]
    Session {
        /// The student's.
        file: String,
        /// Why.
        error: SessionError,
    },
    /// The bundle has students of 8 bits.
    #[error(
        "bundle {}: it holds int8 students already ({}); give the bundle that they were made from", bundle.display(), files.join(", ")
    )]
    Quantised {
        /// Which bundle.
        bundle: PathBuf,
        /// Their files.
        files: Vec<String>,
    },
    /// A student's file is of 8 bits, whatever the manifest says.
    #[error("it has the operator {operator}, so it is quantised already; give the bundle of f32 students")]
    Int8 {
        /// The operator that shows it.
        operator: String,
    },
    /// A student that is not built as students are.
    #[error("{0}; only students with convolutions, as rocoin distill makes them, can be quantised")]
    Topology(String),
    /// A student that one of the two above is about.
    #[error("{file}: {error}")]
    Student {
        /// The student's.
        file: String,
        /// Why.
        error: Box<Self>,
    },
    /// Other data.
    #[error(
        "the data has SHA-256 {found}, but the bundle was made with {name} of SHA-256 {expected}; give the data that the bundle was made with, \
         since accuracies on other images cannot stand beside the teacher's"
    )]
    DataDiffers {
        /// As the bundle calls its data.
        name: String,
        /// By the manifest.
        expected: String,
        /// Of the data given.
        found: String,
    },
    /// The data does not fit the students.
    #[error(
        "the data has images of shape {found:?} and {found_classes} classes, the bundle's students take {expected:?} and tell {classes} apart"
    )]
    Shape {
        /// By the manifest.
        expected: Vec<usize>,
        /// By the manifest.
        classes: usize,
        /// Of the data.
        found: Vec<usize>,
        /// Of the data.
        found_classes: usize,
    },
    /// Nothing to calibrate with.
    #[error("--images {asked}: the training part has {available} images; ask for at least 1 and no more than that")]
    Images {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        available: usize,
    },
    /// A tensor that is not a number somewhere.
    #[error(
        "tensor {tensor} is not finite on training images, so it has no range; the student is damaged, distil it again"
    )]
    NotFinite {
        /// Its name.
        tensor: String,
    },
    /// Too many combinations for a manifest.
    #[error(
        "both precisions of every student make {combinations} combinations, more than a manifest of {MANIFEST_BYTES_MAX} bytes has room for; \
         --int8-only leaves out the f32 students"
    )]
    Combinations {
        /// How many.
        combinations: u128,
    },
    /// The same, where there is nothing left to leave out.
    #[error(
        "{combinations} combinations are more than a manifest of {MANIFEST_BYTES_MAX} bytes has room for; distil with fewer parts or students"
    )]
    TooMany {
        /// How many.
        combinations: u128,
    },
    /// An int8 student answers too differently.
    #[error(
        "{file}: the int8 student's logits differ from the f32 student's by {relative:.2} of their size (root mean square) on {images} training \
         images, at most {limit} is allowed; nothing was written. More --images may help: ranges are of the images seen"
    )]
    Differs {
        /// The f32 student's.
        file: String,
        /// Root mean square of the difference over that of the logits.
        relative: f64,
        /// What is allowed.
        limit: f64,
        /// How many images.
        images: usize,
    },
}

impl QuantizeError {
    /// With the student's file, where it is not said yet.
    pub(super) fn of_student(self, file: &str) -> Self {
        if matches!(self, Self::Int8 { .. } | Self::Topology(_) | Self::NotFinite { .. }) {
            return Self::Student { file: file.to_owned(), error: Box::new(self) };
        }
        self
    }
}
