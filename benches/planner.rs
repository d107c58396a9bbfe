//! How long planning takes: fleets of 8, 64 and 1,000 devices with four parts of two sizes. The targets are 50 ms for 64 and 1 s for 1,000.

use divan::Bencher;
use rocoin::fleet::{Capability, Device, Fleet};
use rocoin::planner::zoo::{Architecture, ZOO};
use rocoin::planner::{AccuracyTable, Objective, PlanOptions, Student, Students, plan, replan};

const PARTS: usize = 4;

fn main() {
    divan::main();
}

#[divan::bench(args = [8, 64, 1000])]
fn plan_for_rho(bencher: Bencher<'_, '_>, devices: usize) {
    let (fleet, students) = (fleet(devices, Objective::Rho), students());
    bencher.bench(|| plan(&fleet, &students));
}

#[divan::bench(args = [8, 64, 1000])]
fn plan_for_nominal(bencher: Bencher<'_, '_>, devices: usize) {
    let (fleet, students) = (fleet(devices, Objective::Nominal), students());
    bencher.bench(|| plan(&fleet, &students));
}

#[divan::bench(args = [8, 64])]
fn replan_without_one_device(bencher: Bencher<'_, '_>, devices: usize) {
    let (fleet, students) = (fleet(devices, Objective::Rho), students());
    let holdings = plan(&fleet, &students).expect("there is room").holdings(devices);
    bencher.bench(|| replan(&fleet.devices[1..], &students, &fleet.plan, &holdings[1..]));
}

/// Unequal by a factor of 40 in compute, 8 in memory and 100 in link rate, spread evenly.
fn fleet(devices: usize, objective: Objective) -> Fleet {
    let spread = |n: usize, stride: usize, low: f64, factor: f64| {
        low * factor.powf((n * stride % devices) as f64 / devices as f64)
    };
    let device = |n: usize| Device {
        name: format!("d{n}"),
        capability: Capability {
            flops_per_s: spread(n, 1, 2e8, 40.0),
            memory_bytes: 1_000_000 << (n * 3 % 4),
            link_bits_per_s: spread(n, 5, 1e6, 100.0),
            link_delay_s: 1e-3,
            failure_probability: spread(n, 7, 0.01, 15.0),
        },
    };
    Fleet { devices: (0..devices).map(device).collect(), plan: PlanOptions { objective, ..PlanOptions::default() } }
}

fn students() -> Students {
    let student = |architecture: &Architecture| {
        let cost = architecture.cost(&[1, 28, 28], 32, 10);
        Student {
            arch: architecture.to_string(),
            precision: "f32".to_owned(),
            flops: cost.flops,
            memory_bytes: cost.memory_bytes,
        }
    };
    let parts = vec![ZOO[..2].iter().map(student).collect(); PARTS];
    let mut students = Students::without_accuracy(parts, 784, 10).expect("four parts are not too many");
    let accuracy = AccuracyTable::from_fn(&students.parts, |chosen| {
        let lost = chosen.iter().map(|student| match student {
            None => 0.006,
            Some(0) => 0.002,
            Some(_) => 0.0,
        });
        0.93 - lost.sum::<f64>()
    });
    students.accuracy = Some(accuracy.expect("81 combinations are not too many"));
    students
}
