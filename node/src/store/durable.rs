//! The node's durable state as a file: a checksum's line, then JSON.

use std::path::Path;

use rocoin::id::Digest;
use rocoin::node::Durable;

use crate::files::{FileError, read_bounded, write_atomic};

/// Bytes of the file at most; a plan over 100 devices takes a tenth of it.
const BYTES_MAX: u64 = 1 << 20;

/// Writes the state, synced: afterwards it survives a loss of power.
pub(super) fn write(path: &Path, durable: &Durable) -> Result<(), FileError> {
    let json = serde_json::to_string(durable)
        .map_err(|e| FileError::Content { path: path.to_owned(), what: format!("the state has no JSON form: {e}") })?;
    write_atomic(path, format!("{}\n{json}", Digest::of(json.as_bytes())).as_bytes())
}

/// Reads the state; an error if it is absent or anything about it is wrong.
pub(super) fn read(path: &Path) -> Result<Durable, FileError> {
    let damaged = |what: &str| FileError::Content { path: path.to_owned(), what: what.to_owned() };
    let text = String::from_utf8(read_bounded(path, BYTES_MAX)?).map_err(|_| damaged("it is not text"))?;
    let (checksum, json) = text.split_once('\n').ok_or_else(|| damaged("it is cut off"))?;
    if checksum.parse() != Ok(Digest::of(json.as_bytes())) {
        return Err(damaged("its checksum is wrong"));
    }
    serde_json::from_str(json).map_err(|e| damaged(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use rocoin::id::{Epoch, NodeId, PartId, Term};
    use rocoin::leadership::{EpochPlan, PlannedGroup};

    use super::*;

    fn durable() -> Durable {
        let epoch = Epoch { term: Term(7), leader: NodeId([1; 32]), sequence: 3 };
        let group = PlannedGroup { part: PartId(0), student: Digest([2; 32]), members: vec![NodeId([1; 32])] };
        let plan = EpochPlan { epoch, bundle: Digest([3; 32]), groups: vec![group], feasible: true };
        Durable { term: Term(7), plan: Some(plan), desired: None }
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
