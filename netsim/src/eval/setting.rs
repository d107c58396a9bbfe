//! Fleets to compare on, drawn from a seed.

use rocoin::fleet::{Capability, Device, Fleet};
use rocoin::planner::PlanOptions;
use serde::Serialize;

use crate::random::Random;

/// From, to.
pub type Span = (f64, f64);

/// What fleets are drawn from; each quantity uniform in its logarithm, failure uniform.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// In file names and titles.
    pub name: &'static str,
    /// For people, in a line.
    pub what: &'static str,
    /// Number of devices.
    pub devices: usize,
    /// FLOP/s.
    pub flops_per_s: Span,
    /// Of memory for students.
    pub memory_bytes: Span,
    /// bit/s.
    pub link_bits_per_s: Span,
    /// One way, s.
    pub link_delay_s: Span,
    /// Per request.
    pub failure_probability: Span,
    /// p_th: with this one, two devices hold each part even where both fail as often as any.
    pub group_failure_max: f64,
    /// ρ.
    pub rho: f64,
    /// Whether the input's transfer counts.
    pub count_input: bool,
}

impl Setting {
    /// As the paper's evaluation is reported: eight devices of 5 to 30 MFLOP/s on links of 0.5 to 1 kbit/s that only the answers pay, memory
    /// near 500 KB. How often devices fail is not known: ours.
    pub const PAPER: Self = Self {
        name: "paper",
        what: "8 devices of 5-30 MFLOP/s, 0.5-1 kbit/s, 0.47-1 MB",
        devices: 8,
        flops_per_s: (5e6, 30e6),
        memory_bytes: (475e3, 1e6),
        link_bits_per_s: (500.0, 1000.0),
        link_delay_s: (0.0, 0.0),
        failure_probability: (0.01, 0.1),
        group_failure_max: 0.01,
        rho: 0.95,
        count_input: false,
    };

    /// Boards of today on Wi-Fi, from the smallest Raspberry Pi to the largest, with a little memory to spare.
    pub const BOARDS: Self = Self {
        name: "boards",
        what: "8 boards of 0.5-20 GFLOP/s, Wi-Fi of 2-40 Mbit/s, 0.5-4 MB",
        devices: 8,
        flops_per_s: (0.5e9, 20e9),
        memory_bytes: (0.5e6, 4e6),
        link_bits_per_s: (2e6, 40e6),
        link_delay_s: (1e-3, 5e-3),
        failure_probability: (0.01, 0.1),
        group_failure_max: 0.01,
        rho: 0.95,
        count_input: true,
    };

    /// Both.
    pub const ALL: [&'static Self; 2] = [&Self::PAPER, &Self::BOARDS];

    /// Fleet `index` of a seed. The same index has the same devices however many there are, and the same place in each span.
    pub fn fleet(&self, seed: u64, index: usize) -> Fleet {
        let devices = (0..self.devices).map(|n| {
            let mut random = Random::new(seed, &format!("{} fleet {index} device {n}", self.name));
            let mut log = |(low, high): Span| if low > 0.0 { random.log_between(low, high) } else { low };
            let flops_per_s = log(self.flops_per_s);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of bytes")]
            let memory_bytes = log(self.memory_bytes) as u64;
            let link_bits_per_s = log(self.link_bits_per_s);
            let link_delay_s = log(self.link_delay_s);
            let failure_probability = random.between(self.failure_probability.0, self.failure_probability.1);
            let capability =
                Capability { flops_per_s, memory_bytes, link_bits_per_s, link_delay_s, failure_probability };
            Device { name: format!("d{n}"), capability }
        });
        let Self { rho, count_input, group_failure_max, .. } = *self;
        let plan = PlanOptions { rho, count_input, group_failure_max, ..PlanOptions::default() };
        Fleet { devices: devices.collect(), plan }
    }

    /// The same with the compute of all devices spread by this ratio around its geometric mean.
    pub fn with_spread(&self, ratio: f64) -> Self {
        let middle = (self.flops_per_s.0 * self.flops_per_s.1).sqrt();
        Self { flops_per_s: (middle / ratio.sqrt(), middle * ratio.sqrt()), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_depends_on_seed_and_index_and_lies_in_its_spans() {
        let fleet = Setting::PAPER.fleet(1, 5);
        assert_eq!(fleet, Setting::PAPER.fleet(1, 5));
        assert_ne!(fleet, Setting::PAPER.fleet(1, 6));
        assert_ne!(fleet, Setting::PAPER.fleet(2, 5));
        for Device { capability, .. } in &fleet.devices {
            assert!((5e6..30e6).contains(&capability.flops_per_s) && capability.link_delay_s == 0.0);
            assert!((475_000..1_000_000).contains(&capability.memory_bytes));
        }
    }

    #[test]
    fn a_larger_fleet_has_the_devices_of_the_smaller_one() {
        let larger = Setting { devices: 12, ..Setting::BOARDS };
        assert_eq!(larger.fleet(1, 0).devices[..8], Setting::BOARDS.fleet(1, 0).devices);
    }

    #[test]
    fn a_wider_spread_has_the_same_middle() {
        let equal = Setting::PAPER.with_spread(1.0).fleet(1, 0);
        let speeds: Vec<_> = equal.devices.iter().map(|device| device.capability.flops_per_s).collect();
        assert!(speeds.iter().all(|speed| (speed - 150e12_f64.sqrt()).abs() < 1.0), "{speeds:?}");
    }
}
