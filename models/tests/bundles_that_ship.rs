//! The bundles in this repository are whole, and as accurate as their manifests say.

#![expect(clippy::unwrap_used, reason = "a test that fails here should say where")]

use std::path::{Path, PathBuf};

use rocoin_models::bundle_dir::{BundleDir, PARTIAL_LOGITS_FILE};
use rocoin_models::evaluate::{PartialLogits, combinations};
use rocoin_models::session::Session;

fn bundles() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles");
    let mut bundles: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    bundles.sort();
    bundles
}

#[test]
fn every_file_is_there_and_the_accuracies_are_those_of_the_answers_kept() {
    assert!(bundles().iter().any(|path| path.ends_with("fashion-mnist")), "{:?}", bundles());
    for path in bundles() {
        let bundle = BundleDir::open(&path).unwrap();
        let manifest = bundle.manifest();
        let logits = PartialLogits::from_npz(&bundle.read(PARTIAL_LOGITS_FILE).unwrap()).unwrap();
        assert_eq!(logits.images(), 10_000, "{}", path.display());
        let found = combinations(&logits, &manifest.merge.bias);
        assert_eq!(found.len(), manifest.accuracy.len(), "{}", path.display());
        for (found, told) in found.iter().zip(&manifest.accuracy) {
            assert_eq!(found.students, told.students, "{}", path.display());
            // The answers are kept in half precision, which tips one image or two of ten thousand.
            assert!((found.accuracy - told.accuracy).abs() < 4e-4, "{}: {found:?} {told:?}", path.display());
        }
    }
}

#[test]
fn every_student_runs_and_has_a_logit_for_each_class() {
    for path in bundles() {
        let bundle = BundleDir::open(&path).unwrap();
        let manifest = bundle.manifest();
        for card in manifest.parts.iter().flat_map(|part| &part.students) {
            let session = Session::load(&bundle.student(card).unwrap(), &manifest.input.shape).unwrap();
            let logits = session.run(&vec![128.0; manifest.input.elements()]).unwrap();
            assert_eq!(logits.len(), manifest.classes, "{}: {}", path.display(), card.file);
            assert!(logits.iter().all(|logit| logit.is_finite()), "{}: {}", path.display(), card.file);
        }
    }
}
