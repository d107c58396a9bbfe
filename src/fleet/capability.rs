//! What one device can do.

use serde::{Deserialize, Serialize};

/// What one device can do (c_n, m_n, r_n, d_n, p_n of the system model).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// Compute, FLOP/s (one multiply-accumulate is two).
    pub flops_per_s: f64,
    /// RAM for students, bytes.
    pub memory_bytes: u64,
    /// Link rate, bit/s.
    pub link_bits_per_s: f64,
    /// One-way link delay, s.
    pub link_delay_s: f64,
    /// Probability that it crashes or does not answer in time, per request.
    pub failure_probability: f64,
}

impl Capability {
    /// To carry so many bytes over its link, the delay not counted, s.
    pub fn transfer_s(&self, bytes: u64) -> f64 {
        8.0 * bytes as f64 / self.link_bits_per_s
    }
}
