//! A bundle whose students cost next to nothing to run: for measurements of all that is not the student. How long a run takes is then
//! what the devices are told to pretend, and no run keeps another from a core.

use std::path::Path;
use std::sync::Arc;

use rocoin::bundle::{Combination, Manifest, Part, StudentCard};
use rocoin::id::{Digest, PartId};
use rocoin_models::onnx_file::OnnxFile;
use tempfile::TempDir;

use super::{LabError, Service, leftovers};
use crate::harness::Images;
use crate::manifest::{MadeUpManifest, PRECISION, student_ref};

/// As the images of the ready-made bundle.
const SHAPE: [usize; 3] = [1, 28, 28];
const CLASSES: u16 = 10;
/// Of every student; the model's name, too.
const ARCH: &str = "made-up";
/// Of one student, in a device's memory.
const MEMORY_BYTES: u64 = 64 << 10;
/// Test images that it claims to have seen.
const SAMPLES: usize = 100;

/// What a made-up bundle is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeUp {
    /// Versions of one model have the same name.
    pub(super) version: u32,
    /// With one student each.
    pub(super) parts: u16,
    /// What each student claims to take, FLOP.
    pub(super) flops: u64,
    /// Of each student's file, bytes; some hundred at least.
    pub(super) file_bytes: usize,
}

impl MadeUp {
    /// Writes it into a folder of its own, which is removed with what is returned.
    pub(super) fn write(&self) -> Result<TempDir, LabError> {
        let prefix = leftovers::folder_prefix();
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
        let folder = folder.map_err(LabError::system("create a folder"))?;
        let put = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).map_err(LabError::system(format!("write {name}")))
        };
        let mut parts = Vec::new();
        for part in 0..self.parts {
            let file = self.student(part);
            let card = self.card(part, &file);
            put(&card.file, &file)?;
            parts.push(Part { part: PartId(part), filters: vec![usize::from(part)], students: vec![card] });
        }
        let json = serde_json::to_vec(&self.manifest(parts));
        put("manifest.json", &json.map_err(|e| LabError::Unknown(e.to_string()))?)?;
        Ok(folder)
    }

    /// What is served of the bundle in that folder, by the program of another service.
    pub(super) fn service(&self, folder: &Path, of: &Service) -> Result<Arc<Service>, LabError> {
        let grey = |level: u16| (vec![f32::from(level) / f32::from(CLASSES); SHAPE.iter().product()], 0);
        let images = Images::new(SHAPE.to_vec(), (0..CLASSES).map(grey).collect());
        let images = images.ok_or_else(|| LabError::Unknown("there are no images".to_owned()))?;
        Ok(Arc::new(Service {
            binary: of.binary.clone(),
            bundle: folder.to_owned(),
            model: ARCH.to_owned(),
            parts: usize::from(self.parts),
            images: Arc::new(images),
        }))
    }

    /// Each has other weights, and another digest.
    fn student(&self, part: u16) -> Vec<u8> {
        let weight = |class: u16| f32::from(class) + f32::from(part) / f32::from(self.parts);
        let weights: Vec<f32> = (0..CLASSES).map(weight).collect();
        let head = format!("version {} part {part} ", self.version);
        let bare = network(&weights, &head).len();
        // It is as hard to compress as weights are, in case somebody tries.
        let mut state = (u64::from(self.version) << 32) | (u64::from(part) + 1);
        let mut letter = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'0' + state.to_le_bytes()[3] % 64)
        };
        let rest: String = (bare..self.file_bytes).map(|_| letter()).collect();
        network(&weights, &(head + &rest))
    }

    fn card(&self, part: u16, file: &[u8]) -> StudentCard {
        StudentCard {
            arch: ARCH.to_owned(),
            precision: PRECISION.to_owned(),
            file: format!("part{part}.onnx"),
            digest: Digest::of(file),
            bytes: file.len() as u64,
            memory_bytes: MEMORY_BYTES,
            flops: self.flops,
            params: CLASSES.into(),
        }
    }

    fn manifest(&self, parts: Vec<Part>) -> Manifest {
        let (version, accuracy) = (self.version.to_string(), accuracies(self.parts));
        MadeUpManifest { name: ARCH, version, shape: SHAPE, classes: CLASSES.into(), parts, accuracy }.into()
    }
}

/// The least network that answers: the mean of the image's first channel, weighed for each class. `note` is kept in its file, and makes it as
/// long as one likes.
fn network(weights: &[f32], note: &str) -> Vec<u8> {
    let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let (classes, [channels, height, width]) = (length(weights.len()), SHAPE.map(length));
    let others = vec![0.0; SHAPE[0] - 1];
    let values: Vec<f32> = weights.iter().flat_map(|weight| [*weight].into_iter().chain(others.clone())).collect();
    OnnxFile::new(ARCH)
        .note(note)
        .node("GlobalAveragePool", &["image"], "mean", &[])
        .node("Conv", &["mean", "weights"], "weighed", &[])
        .node("Flatten", &["weighed"], "logits", &[])
        .weights("weights", &[classes, channels, 1, 1], &values)
        .input("image", &[1, channels, height, width])
        .output("logits", &[1, classes])
        .bytes()
}

/// Grows with the parts, as accuracies do.
fn accuracies(parts: u16) -> Vec<Combination> {
    let combination = |present: usize| {
        let held = (0..parts).filter(|part| present >> part & 1 == 1);
        let students: Vec<_> = held.map(|part| student_ref(part, ARCH)).collect();
        let accuracy = 0.1 + 0.8 * students.len() as f64 / f64::from(parts);
        Combination { students, accuracy, samples: SAMPLES }
    };
    (0..1 << parts).map(combination).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_manifest_is_sound_and_its_files_are_as_long_as_asked() {
        let made_up = MadeUp { version: 2, parts: 3, flops: 5, file_bytes: 10_000 };
        let folder = made_up.write().unwrap();
        let manifest = Manifest::parse(&std::fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
        assert_eq!((manifest.parts.len(), manifest.version.as_str()), (3, "2"));
        for card in manifest.parts.iter().flat_map(|part| &part.students) {
            let file = std::fs::read(folder.path().join(&card.file)).unwrap();
            assert!((10_000..10_010).contains(&file.len()), "{}", file.len());
            assert_eq!(Digest::of(&file), card.digest);
        }
    }
}
