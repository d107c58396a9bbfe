//! The node's durable state as a file.

use std::path::Path;

use rocoin::node::Durable;
use rocoin::wire::{DURABLE_BYTES_MAX, decode_durable, encode_durable};

use crate::files::{FileError, read_bounded, write_atomic};

/// Writes the state, synced: afterwards it survives a loss of power.
pub(super) fn write(path: &Path, durable: &Durable) -> Result<(), FileError> {
    let bytes =
        encode_durable(durable).map_err(|e| FileError::Content { path: path.to_owned(), what: e.to_string() })?;
    write_atomic(path, &bytes)
}

/// Reads the state; an error if it is absent or anything about it is wrong.
pub(super) fn read(path: &Path) -> Result<Durable, FileError> {
    /// Beside the state: its version and checksum.
    const ENVELOPE_BYTES: usize = 64;
    let bytes = read_bounded(path, (DURABLE_BYTES_MAX + ENVELOPE_BYTES) as u64)?;
    decode_durable(&bytes).map_err(|e| FileError::Content { path: path.to_owned(), what: e.to_string() })
}

#[cfg(test)]
mod tests {
    use rocoin::id::{Digest, Epoch, NodeId, PartId, Term};
    use rocoin::leadership::{EpochPlan, PlannedGroup};

    use super::*;

    fn durable() -> Durable {
        let epoch = Epoch { term: Term(7), leader: NodeId([1; 32]), sequence: 3 };
        let group = PlannedGroup { part: PartId(0), student: Digest([2; 32]), members: vec![NodeId([1; 32])] };
        let plan = EpochPlan { epoch, bundle: Digest([3; 32]), groups: vec![group], feasible: true };
        Durable { term: Term(7), plan: Some(std::sync::Arc::new(plan)), desired: None }
    }

    #[test]
    fn the_state_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("durable");
        write(&path, &durable()).unwrap();
        assert_eq!(read(&path).unwrap(), durable());
    }

    #[test]
    fn a_flipped_bit_or_a_cut_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("durable");
        write(&path, &durable()).unwrap();
        let good = std::fs::read(&path).unwrap();
        for i in 0..good.len() {
            let mut flipped = good.clone();
            flipped[i] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert!(read(&path).is_err(), "bit flipped in byte {i}");
            std::fs::write(&path, &good[..i]).unwrap();
            assert!(read(&path).is_err(), "cut at byte {i}");
        }
    }
}
