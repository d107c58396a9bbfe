//! Everything of this package that reads what others wrote, as plain functions of bytes: for the fuzzer, and for the corpus that the
//! tests replay. The node calls the same code in its own places.

use libp2p::Multiaddr;
use rocoin::blob::Blob;
use rocoin::bundle::Manifest;
use rocoin::node::Lane;

use crate::fleet_key::KeyFile;
use crate::{config, http, network, store};

/// The sound messages at the beginning of a lane's bytes.
pub fn frames(bytes: &[u8], lane: Lane) -> usize {
    network::count_frames(bytes, lane)
}

/// A member's announcement of its addresses.
pub fn announcement(bytes: &[u8]) -> Option<Vec<Multiaddr>> {
    network::parse_announcement(bytes)
}

/// The images of an inference request to a model with that manifest, of whose body so many bytes are JSON; `None`: all of them.
///
/// # Errors
/// What is wrong with it.
pub fn infer_body(bytes: &[u8], json_length: Option<usize>, manifest: &Manifest) -> Result<Vec<Blob>, String> {
    http::infer::decode(bytes, json_length, manifest)
}

/// The images of gRPC's inference request to a model with that manifest.
///
/// # Errors
/// What is wrong with it.
pub fn infer_message(bytes: &[u8], manifest: &Manifest) -> Result<Vec<Blob>, String> {
    http::grpc::decode(bytes, manifest)
}

/// A key file.
///
/// # Errors
/// What is wrong with it.
pub fn key_file(text: &str) -> Result<KeyFile, String> {
    KeyFile::parse(text)
}

/// The file of remembered peers: how many it tells of.
pub fn remembered_peers(bytes: &[u8]) -> usize {
    store::remembered::parse(bytes).len()
}

/// A node's settings file.
///
/// # Errors
/// What is wrong with it.
pub fn settings(text: &str) -> Result<config::Settings, String> {
    config::Settings::parse(text).map_err(|e| e.to_string())
}
