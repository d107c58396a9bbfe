//! The demo's devices.

use rocoin_netsim::harness::NodeOptions;

/// Emulated compute, GFLOP/s: boards of a few generations. A `wrn-16-1` at 28×28 takes 4 to 14 ms on them.
const GFLOPS: [f64; NODES] = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0];
/// How many.
pub(super) const NODES: usize = 8;
/// RAM for students, bytes: room for some, not for a teacher.
const MEMORY_BYTES: u64 = 16 << 20;

/// Eight unequal devices.
pub(super) fn devices() -> Vec<NodeOptions> {
    let device = |(i, gflops): (usize, &f64)| NodeOptions {
        emulate_flops_per_s: Some(gflops * 1e9),
        memory_bytes: Some(MEMORY_BYTES),
        flags: vec!["--fault-injection".to_owned(), "--workers".to_owned(), "1".to_owned()],
        ..NodeOptions::named(&format!("device-{}", i + 1))
    };
    GFLOPS.iter().enumerate().map(device).collect()
}
