//! The cost model: what a device, a student and the link between them make of time and memory.
//!
//! After RoCoIn, with input transfer, link delay and several parts on one device added (ours). Nothing is decided here.

use super::plan::{Objective, PlanOptions};
use super::students::{Student, Students};
use super::survival::PartSet;
use crate::fleet::Capability;

/// A device as times: what the cost model needs of a [`Capability`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Until it has the input, and the link's delay both ways, s.
    pub(crate) input_s: f64,
    /// s per FLOP.
    pub(crate) flop_s: f64,
    /// To send one part's answer, s.
    pub(crate) output_s: f64,
    /// For students.
    pub(crate) memory_bytes: u64,
    /// Per request.
    pub(crate) failure: f64,
}

/// What a plan is sought for.
#[derive(Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) machines: Vec<Machine>,
    pub(crate) students: &'a Students,
    pub(crate) options: &'a PlanOptions,
    /// The least expected accuracy, if that is a constraint.
    pub(crate) accuracy_min: Option<f64>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new<'c>(
        devices: impl Iterator<Item = &'c Capability>,
        students: &'a Students,
        options: &'a PlanOptions,
    ) -> Self {
        let bytes_in = if options.count_input { students.bytes_in } else { 0 };
        let machine = |device: &Capability| Machine {
            input_s: device.transfer_s(bytes_in) + 2.0 * device.link_delay_s,
            flop_s: 1.0 / device.flops_per_s,
            output_s: device.transfer_s(students.bytes_out),
            memory_bytes: device.memory_bytes,
            failure: device.failure_probability,
        };
        let table = students.accuracy.as_ref().filter(|_| options.latency_max_s.is_none());
        let accuracy_min = table.map(|table| table.best() - options.accuracy_drop_max / 100.0);
        Self { machines: devices.map(machine).collect(), students, options, accuracy_min }
    }

    /// K.
    pub(crate) fn parts(&self) -> usize {
        self.students.parts.len()
    }

    pub(crate) fn devices(&self) -> usize {
        self.machines.len()
    }

    pub(crate) fn wants_rho(&self) -> bool {
        self.options.objective == Objective::Rho
    }

    pub(crate) fn student(&self, chosen: &[usize], k: usize) -> &'a Student {
        &self.students.parts[k][chosen[k]]
    }

    /// Whether device `n` has the memory for the parts of `set` at once.
    pub(crate) fn fits(&self, chosen: &[usize], n: usize, set: PartSet) -> bool {
        let needed: u64 = parts_of(set).map(|k| self.student(chosen, k).memory_bytes).sum();
        needed <= self.machines[n].memory_bytes
    }

    /// Until device `n`, which holds `set`, has answered each part: it gets the input once and runs the parts one after another, in
    /// part order. s.
    pub(crate) fn finish(
        &self,
        chosen: &[usize],
        n: usize,
        set: PartSet,
    ) -> impl Iterator<Item = (usize, f64)> + use<'_, 'a> {
        let machine = self.machines[n];
        let mut flops = 0.0;
        let chosen: [usize; super::survival::PARTS_MAX] =
            core::array::from_fn(|k| chosen.get(k).copied().unwrap_or_default());
        parts_of(set).map(move |k| {
            flops += self.student(&chosen, k).flops as f64;
            (k, machine.input_s + flops * machine.flop_s + machine.output_s)
        })
    }

    /// The same for a part that is alone on the device. s.
    pub(crate) fn alone(&self, chosen: &[usize], n: usize, k: usize) -> f64 {
        let machine = self.machines[n];
        machine.input_s + self.student(chosen, k).flops as f64 * machine.flop_s + machine.output_s
    }

    /// No plan with the chosen students answers sooner. s.
    ///
    /// Two bounds, whichever is higher. Each part needs some device that fits it. All K parts together need K answers: device n gives
    /// its j-th no sooner than after the j cheapest students, and no more than fit; so the K-th of all devices' answers is a
    /// bound. Where no device is fast enough to answer twice, that is the K-th fastest device.
    pub(crate) fn lower_bound(&self, chosen: &[usize]) -> f64 {
        let devices = 0..self.devices();
        let fastest = |k: usize| {
            let fitting = devices.clone().filter(|&n| self.fits(chosen, n, 1 << k));
            fitting.map(|n| self.alone(chosen, n, k)).fold(f64::INFINITY, f64::min)
        };
        let each = (0..self.parts()).map(fastest).fold(0.0, f64::max);

        let sorted = |value: fn(&Student) -> u64| {
            let mut values: Vec<u64> = (0..self.parts()).map(|k| value(self.student(chosen, k))).collect();
            values.sort_unstable();
            values
        };
        let (flops, memory) = (sorted(|student| student.flops), sorted(|student| student.memory_bytes));
        let mut answers = Vec::new();
        for machine in &self.machines {
            let (mut run, mut held) = (0, 0);
            for (flops, memory) in flops.iter().zip(&memory) {
                run += flops;
                held += memory;
                if held > machine.memory_bytes {
                    break;
                }
                answers.push(machine.input_s + run as f64 * machine.flop_s + machine.output_s);
            }
        }
        answers.sort_unstable_by(f64::total_cmp);
        each.max(answers.get(self.parts() - 1).copied().unwrap_or(f64::INFINITY))
    }
}

/// The parts of a set, in part order.
pub(crate) fn parts_of(set: PartSet) -> impl Iterator<Item = usize> {
    (0..super::survival::PARTS_MAX).filter(move |k| set >> k & 1 == 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::students::tests::students;
    use super::*;

    /// A device of the given FLOP/s and memory, with the default failure probability, on a 1 Mbit/s link of 1 ms.
    pub(crate) fn capability(flops_per_s: f64, memory_bytes: u64) -> Capability {
        Capability { flops_per_s, memory_bytes, link_bits_per_s: 1e6, link_delay_s: 1e-3, failure_probability: 0.05 }
    }

    #[test]
    fn a_device_receives_once_and_runs_its_parts_one_after_another() {
        let students = students(2, &[(1_000_000, 100), (2_000_000, 200)]);
        let options = PlanOptions::default();
        let device = capability(1e6, 300);
        let problem = Problem::new([&device].into_iter(), &students, &options);
        let chosen = [0, 1];
        let input = 8.0 * 4.0 * 784.0 / 1e6 + 2e-3;
        let output = 8.0 * 4.0 * 10.0 / 1e6;
        let times: Vec<_> = problem.finish(&chosen, 0, 0b11).collect();
        assert_eq!(times.len(), 2);
        assert!((times[0].1 - (input + 1.0 + output)).abs() < 1e-12);
        assert!((times[1].1 - (input + 3.0 + output)).abs() < 1e-12);
        assert!((problem.alone(&chosen, 0, 1) - (input + 2.0 + output)).abs() < 1e-12);
        assert!(problem.fits(&chosen, 0, 0b11));
        assert!(!problem.fits(&[1, 1], 0, 0b11));
    }

    #[test]
    fn without_the_input_the_papers_model_is_left() {
        let students = students(1, &[(1_000_000, 100)]);
        let options = PlanOptions { count_input: false, ..PlanOptions::default() };
        let device = Capability { link_delay_s: 0.0, ..capability(1e6, 300) };
        let problem = Problem::new([&device].into_iter(), &students, &options);
        assert!((problem.alone(&[0], 0, 0) - (1.0 + 320.0 / 1e6)).abs() < 1e-12);
    }

    #[test]
    fn the_lower_bound_is_the_kth_fastest_device_unless_one_is_so_fast_that_it_answers_twice() {
        let students = students(2, &[(1_000_000, 100)]);
        let options = PlanOptions::default();
        let bound = |speeds: [f64; 2], memory| {
            let devices = speeds.map(|speed| capability(speed, memory));
            let problem = Problem::new(devices.iter(), &students, &options);
            (problem.lower_bound(&[0, 0]), problem.alone(&[0, 0], 0, 0), problem.alone(&[0, 0], 1, 1))
        };
        let (lower, _, slower) = bound([2e6, 1.5e6], 1000);
        assert_eq!(lower, slower);
        let (lower, fast, slower) = bound([2e6, 1e5], 1000);
        assert!(lower > fast && lower < slower);
        let (lower, _, slower) = bound([2e6, 1e5], 150);
        assert_eq!(lower, slower);
    }
}
