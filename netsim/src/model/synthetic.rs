//! A bundle that is made up, small enough that a fleet fetches it in a blink.

use std::collections::BTreeMap;

use rocoin::blob::Blob;
use rocoin::bundle::{Combination, Manifest, Part, StudentCard};
use rocoin::id::{Digest, PartId};

use super::Model;
use crate::manifest::{MadeUpManifest, PRECISION, student_ref};
use crate::random::Random;

const CLASSES: usize = 4;
const IMAGES: usize = 64;
/// Two sizes of students: name, FLOP of one run, bytes of the file.
const SIZES: [(&str, u64, usize); 2] = [("small", 2_000_000, 3_000), ("large", 6_000_000, 20_000)];
/// Enough that one of two students fits where two do not.
const MEMORY_PER_BYTE: u64 = 40;

pub(super) fn make(parts: u16, variant: u64) -> Model {
    let mut random = Random::new(variant, "synthetic bundle");
    let labels: Vec<u16> = (0..IMAGES).map(|_| u16::try_from(random.below(CLASSES)).unwrap_or(0)).collect();
    let (mut files, mut partials, mut cards) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for part in 0..parts {
        let mut students = Vec::new();
        for (size, (arch, flops, bytes)) in SIZES.iter().enumerate() {
            let file: Blob = (0..*bytes).map(|_| u8::try_from(random.below(256)).unwrap_or(0)).collect();
            let digest = Digest::of(file.as_bytes());
            students.push(card(part, arch, *flops, digest, *bytes));
            partials.insert(digest, answers(&labels, size, &mut random));
            files.insert(digest, file);
        }
        cards.push(Part { part: PartId(part), filters: vec![usize::from(part)], students });
    }
    let json = serde_json::to_vec(&manifest(variant, parts, cards)).expect("a manifest is JSON");
    Model::new(json, files, partials, labels).expect("the made-up bundle is sound")
}

fn card(part: u16, arch: &str, flops: u64, digest: Digest, bytes: usize) -> StudentCard {
    let bytes = bytes as u64;
    StudentCard {
        arch: arch.to_owned(),
        precision: PRECISION.to_owned(),
        file: format!("part{part}-{arch}.onnx"),
        digest,
        bytes,
        memory_bytes: bytes * MEMORY_PER_BYTE,
        flops,
        params: bytes / 4,
    }
}

/// Noise, and more for the right class; more so from a larger student.
fn answers(labels: &[u16], size: usize, random: &mut Random) -> Vec<f32> {
    let mut answers = Vec::with_capacity(labels.len() * CLASSES);
    for label in labels {
        for class in 0..CLASSES {
            let right = if usize::from(*label) == class { 1.0 + size as f64 } else { 0.0 };
            #[expect(clippy::cast_possible_truncation, reason = "made-up numbers")]
            answers.push((right + random.between(-1.0, 1.0)) as f32);
        }
    }
    answers
}

fn manifest(variant: u64, parts: u16, cards: Vec<Part>) -> Manifest {
    let made_up = MadeUpManifest {
        name: "synthetic",
        version: (variant + 1).to_string(),
        shape: [1, 4, 4],
        classes: CLASSES,
        parts: cards,
        accuracy: accuracies(parts),
    };
    made_up.into()
}

/// Grows with the parts and their sizes, as accuracies do.
fn accuracies(parts: u16) -> Vec<Combination> {
    let choices = SIZES.len() + 1;
    let combination = |n: usize| {
        let choice = |part: u16| n / choices.pow(u32::from(part)) % choices;
        let students: Vec<_> = (0..parts)
            .filter(|part| choice(*part) > 0)
            .map(|part| student_ref(part, SIZES[choice(part) - 1].0))
            .collect();
        let large = (0..parts).filter(|part| choice(*part) > 1).count();
        let share = (students.len() as f64 + 0.1 * large as f64) / (1.1 * f64::from(parts));
        Combination { students, accuracy: 0.25 + 0.7 * share, samples: IMAGES }
    };
    (0..choices.pow(u32::from(parts))).map(combination).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_student_answers_every_image_and_the_parts_together_are_mostly_right() {
        let model = Model::synthetic(3, 0);
        let students: Vec<_> = model.manifest().parts.iter().map(|p| (p.part, p.students[1].digest)).collect();
        let right = (0..model.images())
            .filter(|i| Model::class(&model.merged(*i, &students).unwrap()) == usize::from(model.label(*i)))
            .count();
        assert!(right * 10 > model.images() * 9, "{right} of {}", model.images());
    }

    #[test]
    fn an_input_names_its_image_and_nothing_else_does() {
        let model = Model::synthetic(2, 0);
        assert_eq!(model.index_of(model.image(17)), Some(17));
        assert_eq!(model.index_of(&Blob::from_floats(&[1.5; 16])), None);
        assert_eq!(model.index_of(&Blob::from_floats(&[3.0])), None);
    }

    #[test]
    fn variants_are_different_versions_of_one_model() {
        let (a, b) = (Model::synthetic(2, 0), Model::synthetic(2, 1));
        assert_eq!(a.manifest().name, b.manifest().name);
        assert_ne!(a.manifest().version, b.manifest().version);
        assert_ne!(a.digest(), b.digest());
        assert_eq!(a.digest(), Model::synthetic(2, 0).digest());
    }
}
