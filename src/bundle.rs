//! The manifest of a bundle (`manifest.json`, schema `rocoin.bundle/1`): what distillation produces and the mesh deploys.

mod check;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use self::check::{is_name, is_version};
use crate::id::{Digest, PartId};

/// The schema this version reads and writes.
pub const SCHEMA: &str = "rocoin.bundle/1";

/// Bytes of a `manifest.json` at most: a larger one is neither fetched nor read. Ours: room for the accuracy of 3^10 combinations.
pub const MANIFEST_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// `manifest.json`. Its SHA-256 is the bundle's digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The model's name, as clients ask for it: see [`is_name`].
    pub name: String,
    /// Dotted numbers, e.g. `1` or `1.2`: see [`is_version`].
    pub version: String,
    /// Number of classes: the length of every logit vector.
    pub classes: usize,
    /// One name a class.
    pub labels: Vec<String>,
    /// What a request carries.
    pub input: InputSpec,
    /// Where the knowledge is from.
    pub teacher: TeacherCard,
    /// What it was trained on.
    pub data: DataCard,
    /// The knowledge parts, in `PartId` order, without a gap.
    pub parts: Vec<Part>,
    /// How partial logits become an answer.
    pub merge: Merge,
    /// Test accuracy of every combination: each part absent or one of its students.
    pub accuracy: Vec<Combination>,
    /// How it was trained: command, seed, epochs, losses; free form.
    pub training: serde_json::Value,
}

/// The input tensor of every student.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// `image`.
    pub name: String,
    /// `[C,H,W]` or `[C,L]`, without the batch.
    pub shape: Vec<usize>,
    /// `FP32`.
    pub dtype: String,
    /// What the students do to it first; for information, since it is inside their ONNX.
    pub preprocess: Preprocess,
}

impl InputSpec {
    /// Number of elements of one image.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// `(x · scale − mean) / std` per channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Multiplied first.
    pub scale: f32,
    /// One a channel.
    pub mean: Vec<f32>,
    /// One a channel, none zero.
    pub std: Vec<f32>,
}

/// The teacher, by its digest and its test accuracy (a fraction).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherCard {
    /// Of its ONNX file, as hexadecimal digits.
    pub sha256: String,
    /// On the test images, 0 to 1.
    pub accuracy: f64,
}

/// The data set, by name and digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataCard {
    /// The folder's name.
    pub name: String,
    /// Of its files' bytes, in the loader's order, as hexadecimal digits.
    pub sha256: String,
}

/// One knowledge part and the students that hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// 0-based.
    pub part: PartId,
    /// Indices of the teacher's filters; the parts' lists are disjoint, and cover all unless the teacher was divided after NoNN.
    pub filters: Vec<usize>,
    /// At least one, smallest first.
    pub students: Vec<StudentCard>,
}

/// One student: a file of the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentCard {
    /// Of the zoo, e.g. `wrn-16-1`.
    pub arch: String,
    /// `f32` or `int8`.
    pub precision: String,
    /// Relative to the manifest, one plain file name.
    pub file: String,
    /// Of the file: the student's name in the mesh. In the manifest it is called `sha256`.
    #[serde(rename = "sha256", deserialize_with = "sha256")]
    pub digest: Digest,
    /// On disk.
    pub bytes: u64,
    /// At run time: weights and the largest activations.
    pub memory_bytes: u64,
    /// For one image, 2 × multiply-accumulates.
    pub flops: u64,
    /// Trained numbers.
    pub params: u64,
}

/// As a digest is read, with the field's name in the error.
fn sha256<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    Digest::deserialize(deserializer).map_err(|error| D::Error::custom(format!("sha256: {error}")))
}

/// `logits = bias + Σ partial logits of the students present, in part order`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// `sum`.
    pub kind: String,
    /// One a class.
    pub bias: Vec<f32>,
}

/// Accuracy of one combination of students.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// At most one a part, in part order; a part that is not named is absent.
    pub students: Vec<StudentRef>,
    /// On the test images, 0 to 1.
    pub accuracy: f64,
    /// How many test images.
    pub samples: usize,
}

/// A student by what people call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentRef {
    /// The part it holds.
    pub part: PartId,
    /// Of the zoo.
    pub arch: String,
    /// `f32` or `int8`.
    pub precision: String,
}

/// What is wrong with a manifest. Nothing was taken from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not of the schema's form.
    #[error("manifest.json: {0}")]
    Form(#[from] serde_json::Error),
    /// Of the right form, but impossible.
    #[error("manifest.json: {0}")]
    Impossible(String),
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError::Form`] with line and column, or [`ManifestError::Impossible`] naming the field.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(json)?;
        manifest.check().map_err(ManifestError::Impossible)?;
        Ok(manifest)
    }

    /// The card and part of a student, by its digest.
    pub fn student(&self, digest: Digest) -> Option<(PartId, &StudentCard)> {
        self.parts.iter().find_map(|part| part.students.iter().find(|s| s.digest == digest).map(|s| (part.part, s)))
    }
}
