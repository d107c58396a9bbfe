//! The decoders outside the core: what clients and files bring, and how a stream is cut into frames.
//!
//! ONNX is not among them: tract reads only files whose digest a manifest names, and a manifest comes from an operator.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rocoin::blob::Blob;
use rocoin::bundle::Manifest;
use rocoin::node::Lane;
use rocoin_models::bundle_dir::BundleDir;
use rocoin_models::data::Dataset;
use rocoin_models::evaluate::PartialLogits;
use rocoin_models::npy;
use rocoin_netsim::scenario::Scenario;
use rocoin_node::decoders;

use super::of_core::Decoder;

pub(crate) const DECODERS: [Decoder; 14] = [
    ("announcement", announcement),
    ("bundle-tar", bundle_tar),
    ("idx", idx),
    ("idx-gz", idx_gz),
    ("infer-body", infer_body),
    ("infer-message", infer_message),
    ("key-file", key_file),
    ("lane-bulk", lane_bulk),
    ("lane-control", lane_control),
    ("lane-inference", lane_inference),
    ("npy", npy_array),
    ("npz", npz),
    ("peers", peers),
    ("scenario", scenario),
];

fn lane_control(bytes: &[u8]) {
    decoders::frames(bytes, Lane::Control);
}

fn lane_inference(bytes: &[u8]) {
    decoders::frames(bytes, Lane::Inference);
}

fn lane_bulk(bytes: &[u8]) {
    decoders::frames(bytes, Lane::Bulk);
}

fn scenario(bytes: &[u8]) {
    let _ = with_text(bytes, Scenario::parse);
}

fn key_file(bytes: &[u8]) {
    let _ = with_text(bytes, decoders::key_file);
    let _ = with_text(bytes, decoders::settings);
}

fn announcement(bytes: &[u8]) {
    let _ = decoders::announcement(bytes);
}

fn peers(bytes: &[u8]) {
    decoders::remembered_peers(bytes);
}

fn manifest() -> &'static Manifest {
    static MANIFEST: OnceLock<Manifest> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        Manifest::parse(include_bytes!("../../models/bundles/fashion-mnist/manifest.json")).expect("it is sound")
    })
}

fn infer_body(bytes: &[u8]) {
    // With JSON alone, and with every byte behind the first line a tensor's.
    let line = bytes.iter().position(|&byte| byte == b'\n').map(|end| end + 1);
    for json_length in [None, line] {
        are_images(&decoders::infer_body(bytes, json_length, manifest()).unwrap_or_default());
    }
}

fn infer_message(bytes: &[u8]) {
    are_images(&decoders::infer_message(bytes, manifest()).unwrap_or_default());
}

fn are_images(images: &[Blob]) {
    assert!(images.iter().all(|image| image.len() == 4 * manifest().input.elements()));
}

fn bundle_tar(bytes: &[u8]) {
    with_file("bundle.tar", bytes, |path| {
        let _ = BundleDir::open(path);
    });
}

fn npz(bytes: &[u8]) {
    let _ = PartialLogits::from_npz(bytes);
    with_file("data.npz", bytes, |path| {
        let _ = Dataset::load(path);
    });
}

fn npy_array(bytes: &[u8]) {
    let _ = npy::array::<f32>(bytes);
    let _ = npy::array::<u8>(bytes);
}

fn idx(bytes: &[u8]) {
    idx_files(bytes, "");
}

fn idx_gz(bytes: &[u8]) {
    idx_files(bytes, ".gz");
}

/// The images' file, then the labels', which is a third of the bytes.
fn idx_files(bytes: &[u8], ending: &str) {
    let (images, labels) = bytes.split_at(bytes.len() - bytes.len() / 3);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = |name: &str| folder.path().join(format!("{name}{ending}"));
    for (name, bytes) in [("images", images), ("labels", labels)] {
        fs::write(path(name), bytes).expect("there is room for a file");
    }
    let _ = rocoin_models::data::load_idx(&path("images"), &path("labels"));
}

fn with_text<T>(bytes: &[u8], read: impl FnOnce(&str) -> T) -> Option<T> {
    std::str::from_utf8(bytes).ok().map(read)
}

fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("there is room for a file");
    read(&path);
}
