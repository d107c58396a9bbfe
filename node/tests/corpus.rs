//! Replays what the fuzzer found worth keeping (`fuzz/corpus`), so that every decoder meets it again with each test run, without a
//! fuzzer.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../fuzz/src/core.rs"]
mod of_core;
#[path = "../../fuzz/src/shell.rs"]
mod of_shell;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

#[test]
fn every_decoder_returns_for_everything_in_its_corpus() {
    let mut replayed = BTreeSet::new();
    for (name, decode) in of_core::DECODERS.into_iter().chain(of_shell::DECODERS) {
        let mut inputs: Vec<PathBuf> =
            std::fs::read_dir(corpus().join(name)).unwrap().map(|e| e.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in inputs {
            // Shown if it fails.
            println!("{}", input.display());
            decode(&std::fs::read(&input).unwrap());
        }
        replayed.insert(name.to_owned());
    }
    let folders = std::fs::read_dir(corpus()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(folders.collect::<BTreeSet<_>>(), replayed, "a corpus that nobody replays");
}

#[test]
fn the_corpora_are_small_enough_to_keep() {
    let folders = std::fs::read_dir(corpus()).unwrap().map(|e| e.unwrap().path());
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().metadata().unwrap().len()));
    let bytes: u64 = files.sum();
    assert!(bytes < 1 << 20, "{bytes} bytes");
}
