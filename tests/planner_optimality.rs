//! How far the planner is from the optimum: over random small fleets in which memory and reliability bind, for both objectives,
//! against an exhaustive search. Follow-the-leader with Kuhn–Munkres, after RoCoIn, is printed beside it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test that reports figures"
)]

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use rocoin::bundle::Manifest;
use rocoin::fleet::{Capability, Device, Fleet};
use rocoin::planner::zoo::ZOO;
use rocoin::planner::{Objective, Plan, PlanOptions, Strategy, Students, plan};

const FLEETS: usize = 200;
const PARTS: usize = 3;
/// Of the smallest student.
const SMALL_MEMORY_BYTES: u64 = 480_000;

#[test]
fn the_search_is_near_the_optimum_for_latency_with_probability_rho() {
    compare(Objective::Rho);
}

#[test]
fn the_search_is_near_the_optimum_for_nominal_latency() {
    compare(Objective::Nominal);
}

fn compare(objective: Objective) {
    let students = students(PARTS);
    let mut random = Random(ChaCha8Rng::seed_from_u64(2));
    let (mut ours, mut rocoin) = (Vec::new(), Vec::new());
    let (mut memory_binds, mut reliability_binds, mut infeasible) = (0, 0, 0);
    while ours.len() < FLEETS {
        let fleet = random.fleet(objective);
        // No room for every part is an error of its own.
        let Ok(optimum) = planned(&fleet, &students, Strategy::Exhaustive) else { continue };
        let found = planned(&fleet, &students, Strategy::Search).expect("the optimum has room");
        assert_valid(&found, &fleet, &students);
        assert_valid(&optimum, &fleet, &students);
        assert_eq!(found.feasible, optimum.feasible, "{fleet:?}\n{found:?}\n{optimum:?}");
        if !optimum.feasible {
            infeasible += 1;
            continue;
        }
        let gap = latency(&found) / latency(&optimum) - 1.0;
        assert!(gap > -1e-9, "better than the optimum: {fleet:?}\n{found:?}\n{optimum:?}");
        ours.push(gap);
        let theirs = planned(&fleet, &students, Strategy::Rocoin).expect("the optimum has room");
        if theirs.feasible {
            rocoin.push(latency(&theirs) / latency(&optimum) - 1.0);
        }

        let faster = |change: fn(&mut Fleet)| {
            let mut relaxed = fleet.clone();
            change(&mut relaxed);
            let relaxed = planned(&relaxed, &students, Strategy::Search).expect("there is no less room");
            latency(&relaxed) < latency(&optimum) * (1.0 - 1e-9)
        };
        memory_binds += usize::from(faster(|fleet| {
            fleet.devices.iter_mut().for_each(|device| device.capability.memory_bytes = u64::MAX);
        }));
        reliability_binds += usize::from(faster(|fleet| fleet.plan.group_failure_max = 1.0));
    }
    let (median, worst) = spread(&mut ours);
    let (rocoin_median, rocoin_worst) = spread(&mut rocoin);
    let rocoin_infeasible = FLEETS - rocoin.len();
    println!(
        "{FLEETS} fleets, objective {objective}: gap to the optimum, median / worst: search {:.2} % / {:.2} %, follow-the-leader + \
         Kuhn–Munkres {:.2} % / {:.2} % over its feasible plans ({rocoin_infeasible} others break a constraint); memory binds in {memory_binds}, \
         reliability in {reliability_binds}; {infeasible} more fleets have no feasible plan",
        100.0 * median,
        100.0 * worst,
        100.0 * rocoin_median,
        100.0 * rocoin_worst,
    );
    assert!(median <= 0.02 && worst <= 0.10, "median {median}, worst {worst}");
    assert!(memory_binds >= FLEETS / 2, "memory binds in {memory_binds} fleets only");
    assert!(reliability_binds >= FLEETS / 8, "reliability binds in {reliability_binds} fleets only");
}

fn planned(fleet: &Fleet, students: &Students, strategy: Strategy) -> Result<Plan, rocoin::planner::PlanError> {
    let options = PlanOptions { strategy, ..fleet.plan.clone() };
    plan(&Fleet { plan: options, ..fleet.clone() }, students)
}

fn latency(plan: &Plan) -> f64 {
    match plan.objective {
        Objective::Rho => plan.latency_rho_s.unwrap_or(f64::INFINITY),
        Objective::Nominal => plan.latency_s,
    }
}

/// Median and worst.
fn spread(gaps: &mut [f64]) -> (f64, f64) {
    gaps.sort_by(f64::total_cmp);
    (gaps[gaps.len() / 2], gaps[gaps.len() - 1])
}

/// Every part is held, memory suffices, the constraints hold if it says so.
fn assert_valid(plan: &Plan, fleet: &Fleet, students: &Students) {
    let mut memory = vec![0; fleet.devices.len()];
    assert_eq!(plan.groups.len(), students.parts.len());
    for group in &plan.groups {
        assert!(!group.replicas.is_empty());
        let student = &students.parts[usize::from(group.part.0)][group.student];
        assert_eq!(student.arch, group.arch);
        group.replicas.iter().for_each(|replica| memory[replica.device] += student.memory_bytes);
        let failures =
            group.replicas.iter().map(|replica| fleet.devices[replica.device].capability.failure_probability);
        let failure: f64 = failures.product();
        assert!((failure - group.failure_probability).abs() < 1e-12);
        assert!(!plan.feasible || failure <= fleet.plan.group_failure_max * (1.0 + 1e-9));
    }
    for (device, needed) in fleet.devices.iter().zip(memory) {
        assert!(needed <= device.capability.memory_bytes, "{}: {needed} bytes", device.name);
    }
    assert!(plan.latency_lower_bound_s <= plan.latency_s * (1.0 + 1e-9));
}

struct Random(ChaCha8Rng);

impl Random {
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.next_u32() as usize % choices.len()]
    }

    /// Between `low` and `high`, evenly in the logarithm.
    fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    fn fleet(&mut self, objective: Objective) -> Fleet {
        let size = self.one_of(&[4, 5, 6, 7, 8]);
        let tight = self.one_of(&[true, true, true, true, false]);
        let memory_max = if tight { 1.0e6 } else { 2e6 };
        let device = |n: usize| Device {
            name: format!("d{n}"),
            capability: Capability {
                flops_per_s: self.magnitude(5e6, 5e8),
                memory_bytes: self.magnitude(0.48e6, memory_max) as u64,
                link_bits_per_s: self.magnitude(3e4, 3e6),
                link_delay_s: self.magnitude(1e-3, 0.1),
                failure_probability: self.magnitude(0.02, 0.6),
            },
        };
        let devices: Vec<Device> = (0..size).map(device).collect();
        // p_th near what the fleet can give: the logarithms of the failure probabilities of all places for a small student,
        // shared out evenly among the parts.
        let place = |device: &Device| {
            let places = (device.capability.memory_bytes / SMALL_MEMORY_BYTES).min(PARTS as u64);
            places as f64 * device.capability.failure_probability.ln()
        };
        let even = devices.iter().map(place).sum::<f64>() / PARTS as f64;
        let plan = PlanOptions {
            group_failure_max: if tight {
                (even * (0.9 + 0.1 * self.unit())).exp()
            } else {
                self.magnitude(0.001, 0.1)
            },
            rho: self.one_of(&[0.6, 0.7, 0.8, 0.9]),
            accuracy_drop_max: self.one_of(&[1.0, 2.0, 5.0, 10.0]),
            objective,
            ..PlanOptions::default()
        };
        Fleet { devices, plan }
    }
}

/// A bundle's students: two sizes a part, as the ready-made bundle has them, with an accuracy table of its shape.
fn students(parts: usize) -> Students {
    let sizes = [&ZOO[0], &ZOO[1]];
    let card = |part: usize, i: usize, arch: &rocoin::planner::zoo::Architecture| {
        let cost = arch.cost(&[1, 28, 28], 128 / parts, 10);
        let (file, sha256) = (format!("{part}-{i}.onnx"), format!("{:064x}", part * sizes.len() + i));
        serde_json::json!({
            "arch": arch.to_string(), "precision": "f32", "file": file, "sha256": sha256,
            "bytes": cost.bytes, "memory_bytes": cost.memory_bytes, "flops": cost.flops, "params": cost.params,
        })
    };
    let part = |k: usize| {
        let cards: Vec<_> = sizes.iter().enumerate().map(|(i, arch)| card(k, i, arch)).collect();
        serde_json::json!({"part": k, "filters": [k], "students": cards})
    };
    let combination = |index: usize| {
        let digits = (0..parts).map(|k| (k, index / 3_usize.pow(u32::try_from(k).unwrap()) % 3));
        let present = digits.filter(|(_, digit)| *digit > 0);
        let chosen: Vec<_> = present
            .clone()
            .map(|(k, digit)| serde_json::json!({"part": k, "arch": sizes[digit - 1].to_string(), "precision": "f32"}))
            .collect();
        let small = present.filter(|(_, digit)| *digit == 1).count();
        let missing = parts - chosen.len();
        let lost = 0.8 * small as f64 / parts as f64 + 0.4 * missing as f64;
        serde_json::json!({"students": chosen, "accuracy": (93.2 - lost) / 100.0, "samples": 10_000})
    };
    let manifest = serde_json::json!({
        "schema": "rocoin.bundle/1", "name": "test", "version": "1", "classes": 10, "labels": vec!["x"; 10],
        "input": {"name": "image", "shape": [1, 28, 28], "dtype": "FP32",
                  "preprocess": {"scale": 1.0, "mean": [0.0], "std": [1.0]}},
        "teacher": {"sha256": "0".repeat(64), "accuracy": 0.934},
        "data": {"name": "test", "sha256": "0".repeat(64)},
        "parts": (0..parts).map(part).collect::<Vec<_>>(),
        "merge": {"kind": "sum", "bias": vec![0.0; 10]},
        "accuracy": (1..3_usize.pow(u32::try_from(parts).unwrap())).map(combination).collect::<Vec<_>>(),
        "training": {},
    });
    Students::from_manifest(&Manifest::parse(manifest.to_string().as_bytes()).unwrap()).unwrap()
}
