//! What a node leaves on its disk, and who can read it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rocoin_netsim::harness::Mesh;

use super::fleet::{binary, options, serving};

/// Every file and folder below, with its permission bits.
fn modes(folder: &Path) -> Vec<(String, bool, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        // What is being replaced may be gone by now.
        let Ok(metadata) = entry.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        found.push((entry.path().display().to_string(), metadata.is_dir(), mode));
        if metadata.is_dir() {
            found.extend(modes(&entry.path()));
        }
    }
    found
}

#[test]
fn everything_that_a_node_keeps_is_its_owners_alone() {
    let mesh = serving(Mesh::new(binary()).unwrap(), ["a", "b"].map(options).to_vec());
    let state = mesh.nodes()[0].state_dir();
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    let found = modes(&state);
    for kept in ["identity.key", "generation", "durable", "artifacts", "lock"] {
        assert!(found.iter().any(|(path, ..)| path.ends_with(kept)), "{kept} is not in {found:?}");
    }
    for (path, is_folder, mode) in found {
        assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{path}");
    }
}
