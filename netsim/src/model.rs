//! The bundle that a simulated mesh serves: its artifacts, and what each student answers to each image.

mod synthetic;

use std::collections::BTreeMap;
use std::sync::Arc;

use rocoin::blob::Blob;
use rocoin::bundle::{Manifest, ManifestError};
use rocoin::id::{Digest, PartId};

/// A bundle with its students' answers, computed beforehand: running a student takes its simulated time and gives its real
/// partial logits, so that accuracy in the simulator is the bundle's accuracy.
#[derive(Debug)]
pub struct Model {
    digest: Digest,
    manifest: Arc<Manifest>,
    /// Every artifact, the manifest included.
    artifacts: BTreeMap<Digest, Blob>,
    /// A student's partial logits, `[images, classes]` row-major.
    partials: BTreeMap<Digest, Vec<f32>>,
    /// The right class of each image.
    labels: Vec<u16>,
    /// One a label; the first number is the image's index, the others are zero.
    images: Vec<Blob>,
}

/// A bundle that cannot be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Its manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A student's answers are missing or have another shape.
    #[error("{student}: {found} partial logits, expected {expected} ({images} images × {classes} classes)")]
    Partials {
        /// The student's file.
        student: String,
        /// Numbers there are.
        found: usize,
        /// Numbers there should be.
        expected: usize,
        /// Test images.
        images: usize,
        /// Classes.
        classes: usize,
    },
    /// There is no test image.
    #[error("the bundle has the answers to no image")]
    NoImages,
}

impl Model {
    /// From a manifest's bytes, the students' files, and their answers to the labelled test images; both by digest.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn new(
        manifest_json: Vec<u8>,
        files: BTreeMap<Digest, Blob>,
        partials: BTreeMap<Digest, Vec<f32>>,
        labels: Vec<u16>,
    ) -> Result<Self, ModelError> {
        let manifest = Manifest::parse(&manifest_json)?;
        if labels.is_empty() {
            return Err(ModelError::NoImages);
        }
        let (images, classes) = (labels.len(), manifest.classes);
        for card in manifest.parts.iter().flat_map(|part| &part.students) {
            let found = partials.get(&card.digest).map_or(0, Vec::len);
            if found != images * classes {
                let student = card.file.clone();
                return Err(ModelError::Partials { student, found, expected: images * classes, images, classes });
            }
        }
        let digest = Digest::of(&manifest_json);
        let mut artifacts = files;
        artifacts.insert(digest, Blob::from(manifest_json));
        let image = |index: usize| {
            let mut floats = vec![0.0; manifest.input.elements()];
            #[expect(clippy::cast_precision_loss, reason = "test sets are far smaller than 2^24")]
            let name = index as f32;
            floats[0] = name;
            Blob::from_floats(&floats)
        };
        let images = (0..labels.len()).map(image).collect();
        Ok(Self { digest, manifest: Arc::new(manifest), artifacts, partials, labels, images })
    }

    /// A small bundle that is made up: `parts` parts with two students each, answers that are noise around the right
    /// class. Different `variant`s are different bundles of one model, versions 1, 2, ….
    pub fn synthetic(parts: u16, variant: u64) -> Self {
        synthetic::make(parts, variant)
    }

    /// Of its manifest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What is in it.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Every artifact, the manifest included, by digest.
    pub fn artifacts(&self) -> &BTreeMap<Digest, Blob> {
        &self.artifacts
    }

    /// How many images it has answers for.
    pub fn images(&self) -> usize {
        self.labels.len()
    }

    /// The input that stands for the image of this index, modulo their number.
    pub fn image(&self, index: usize) -> &Blob {
        &self.images[index % self.images.len()]
    }

    /// The right class of an image.
    pub fn label(&self, index: usize) -> u16 {
        self.labels[index % self.labels.len()]
    }

    /// The image that an input stands for.
    pub fn index_of(&self, input: &Blob) -> Option<usize> {
        let first = input.as_bytes().first_chunk::<4>().map(|bytes| f32::from_le_bytes(*bytes))?;
        let in_range = first >= 0.0 && first.fract() == 0.0 && input.len() == 4 * self.manifest.input.elements();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be a small whole number"
        )]
        let index = first as usize;
        (in_range && index < self.images()).then_some(index)
    }

    /// What a student answers to an image; `None` if it is not of this bundle.
    pub fn partial(&self, student: Digest, image: usize) -> Option<&[f32]> {
        let classes = self.manifest.classes;
        self.partials.get(&student)?.get(image * classes..(image + 1) * classes)
    }

    /// Floating-point operations of one run of a student.
    pub fn flops(&self, student: Digest) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a student takes far fewer than 2^53")]
        self.manifest.student(student).map(|(_, card)| card.flops as f64)
    }

    /// The answer of these students in one process: the merge rule itself.
    pub fn merged(&self, image: usize, students: &[(PartId, Digest)]) -> Option<Vec<f32>> {
        let partials: Option<Vec<&[f32]>> = students.iter().map(|(_, student)| self.partial(*student, image)).collect();
        Some(rocoin::inference::merge(&self.manifest.merge.bias, partials?))
    }

    /// The class that an answer names: the first of the greatest logits.
    pub fn class(logits: &[f32]) -> usize {
        let greater = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
        (1..logits.len()).fold(0, greater)
    }
}
