//! A real bundle for the simulator: its artifacts, and what its students answered to the test images.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use rocoin::blob::Blob;
use rocoin_models::bundle_dir::{BundleDir, PARTIAL_LOGITS_FILE};
use rocoin_models::evaluate::PartialLogits;
use rocoin_netsim::model::Model;

/// Opens and verifies a bundle.
pub(super) fn open(path: &Path) -> anyhow::Result<Model> {
    let bundle = BundleDir::open(path)?;
    let of_bundle = || format!("bundle {}", path.display());
    let logits = PartialLogits::from_npz(&bundle.read(PARTIAL_LOGITS_FILE)?).with_context(of_bundle)?;
    let (mut files, mut partials) = (BTreeMap::new(), BTreeMap::new());
    for part in &bundle.manifest().parts {
        for card in &part.students {
            let digest = card.digest;
            files.insert(digest, Blob::from(bundle.student(card)?));
            let of_student = logits.students.iter().find(|(student, _)| {
                student.part == part.part && student.arch == card.arch && student.precision == card.precision
            });
            partials.extend(of_student.map(|(_, partials)| (digest, partials.clone())));
        }
    }
    Model::new(bundle.manifest_json().to_vec(), files, partials, logits.labels).with_context(of_bundle)
}
