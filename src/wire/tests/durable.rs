//! Durable state that was damaged, cut, or written by another release.

use std::sync::Arc;

use proptest::prelude::*;

use super::examples::{desired, plan};
use crate::id::Term;
use crate::node::Durable;
use crate::wire::{DURABLE_BYTES_MAX, VERSION, WireError, decode_durable, encode_durable};

fn durable() -> Durable {
    Durable { term: Term(9), plan: Some(Arc::new(plan())), desired: Some(desired()) }
}

#[test]
fn the_durable_state_is_read_back_as_it_was_written() {
    for state in [durable(), Durable::default(), Durable { plan: None, ..durable() }] {
        assert_eq!(decode_durable(&encode_durable(&state).unwrap()), Ok(state));
    }
}

#[test]
fn a_file_cut_anywhere_is_noticed() {
    let file = encode_durable(&durable()).unwrap();
    for length in 0..file.len() {
        let error = decode_durable(&file[..length]).unwrap_err();
        assert!(matches!(error, WireError::Truncated { .. } | WireError::Checksum), "{length}: {error}");
    }
}

#[test]
fn a_file_of_another_version_is_refused_by_name() {
    let mut file = encode_durable(&durable()).unwrap();
    file[0] = VERSION + 1;
    assert_eq!(decode_durable(&file), Err(WireError::Version { theirs: VERSION + 1, ours: VERSION }));
}

#[test]
fn a_state_above_the_limit_is_refused_on_both_sides() {
    let mut state = durable();
    state.desired.as_mut().unwrap().name = "x".repeat(DURABLE_BYTES_MAX);
    assert!(matches!(encode_durable(&state), Err(WireError::TooLong { what: "durable state", .. })));
    let file = [vec![VERSION], vec![0; 32 + DURABLE_BYTES_MAX + 1]].concat();
    assert!(matches!(decode_durable(&file), Err(WireError::TooLong { what: "durable state", .. })));
}

proptest! {
    #[test]
    fn one_changed_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut file = encode_durable(&durable()).unwrap();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let error = decode_durable(&file).unwrap_err();
        prop_assert!(matches!(error, WireError::Checksum | WireError::Version { .. }), "{}", error);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_durable(&bytes).is_err());
    }
}
