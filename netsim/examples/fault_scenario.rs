//! A fault scenario from a program: the leader of a fleet of six is killed under load, and the network is cut in two for a while.
//!
//! ```sh
//! cargo run --release -p rocoin-netsim --example fault_scenario
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use rocoin_netsim::fact::Fact;
use rocoin_netsim::run;
use rocoin_netsim::scenario::Scenario;

/// As a file, it would be given to `rocoin sim run`. docs/simulation.md says what else can be written.
const SCENARIO: &str = r#"
schema = "rocoin.scenario/1"
name = "example"
description = "The leader dies, then the fleet is cut in two"
seed = 1
duration_s = 40.0
parts = 4

[[hosts]]
count = 6
flops_per_s = 1e9
memory_bytes = 4_000_000
link_bits_per_s = 20e6

[load]
rate_per_s = 5.0
deadline_s = 2.0

[[at]]
t = 15.0
fault = "crash"
on = "leader"

[[at]]
t = 25.0
fault = "halves"

[[at]]
t = 32.0
fault = "heal"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let scenario = Scenario::parse(SCENARIO)?;
    let models = scenario.synthetic().ok_or("the bundle of this scenario is made up")?;
    let mut plans = 0;
    let report = run::run(scenario.plan(scenario.seed, models), &mut |entry| {
        plans += usize::from(matches!(entry.fact, Fact::Adopted { .. }));
    });
    let tally = &report.tally;
    println!("{} requests, {} answered, {} of them by every part", tally.total(), tally.answered(), tally.complete());
    println!("plans adopted, over all nodes: {plans}");
    match report.violation {
        None => println!("every invariant held"),
        Some(violation) => println!("{violation}"),
    }
    Ok(())
}
