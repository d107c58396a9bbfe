//! Plans a fleet from a program: who would hold which part of what kind of student, and what becomes of it when a device is lost.
//!
//! ```sh
//! cargo run --release --example plan_fleet
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use rocoin::fleet::Fleet;
use rocoin::planner::zoo::ZOO;
use rocoin::planner::{Plan, Task, prospect};

/// As a file, it would be given to `rocoin plan --fleet`.
const FLEET: &str = r#"
[plan]
parts = 2
rho = 0.95

[[device]]
name = "attic"
flops_per_s = 4e9
memory_bytes = 8_000_000
link_bits_per_s = 40e6

[[device]]
name = "cellar"
flops_per_s = 4e9
memory_bytes = 8_000_000
link_bits_per_s = 20e6

[[device]]
name = "garage"
flops_per_s = 1e9
memory_bytes = 2_000_000
link_bits_per_s = 10e6
failure_probability = 0.2

[[device]]
name = "kitchen"
flops_per_s = 2e9
memory_bytes = 2_000_000
link_bits_per_s = 40e6
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut fleet = Fleet::parse(FLEET)?;
    let task = Task { input_shape: &[3, 32, 32], classes: 10, filters: 256 };
    let whole = prospect(&fleet, task, &ZOO)?;
    show(&fleet, &whole.plan);

    let lost = fleet.devices.remove(0);
    println!("\nwithout {}:", lost.name);
    show(&fleet, &prospect(&fleet, task, &ZOO)?.plan);
    Ok(())
}

fn show(fleet: &Fleet, plan: &Plan) {
    for group in &plan.groups {
        let names: Vec<_> = group.replicas.iter().map(|replica| fleet.devices[replica.device].name.as_str()).collect();
        println!("part {}: {} on {}", group.part, group.arch, names.join(", "));
    }
    match plan.latency_rho_s {
        Some(latency) => println!("with probability {} answered within {:.1} ms", plan.rho, 1e3 * latency),
        None => println!("no latency holds with probability {}: availability is {:.4}", plan.rho, plan.availability),
    }
    plan.reasons.iter().for_each(|reason| println!("not feasible: {reason}"));
}
