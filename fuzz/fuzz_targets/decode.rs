//! Feeds one decoder, named by `ROCOIN_DECODER`, with what the fuzzer makes up. See `fuzz/run`.
#![no_main]

#[path = "../src/core.rs"]
mod of_core;
#[cfg(feature = "shell")]
#[path = "../src/shell.rs"]
mod of_shell;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[cfg(not(feature = "shell"))]
mod of_shell {
    pub(crate) const DECODERS: [super::of_core::Decoder; 0] = [];
}

static DECODER: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let decode = DECODER.get_or_init(|| {
        let name = std::env::var("ROCOIN_DECODER").expect("ROCOIN_DECODER names the decoder");
        let mut all = of_core::DECODERS.iter().chain(&of_shell::DECODERS);
        all.find(|(known, _)| *known == name).expect("there is a decoder of that name").1
    });
    decode(bytes);
});
