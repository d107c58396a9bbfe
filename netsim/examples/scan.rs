#![allow(missing_docs, clippy::all, clippy::pedantic)]
use rocoin_netsim::{run, scenario::Scenario, swarm};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (from, to): (u64, u64) = { let (a, b) = args[2].split_once("..").unwrap(); (a.parse().unwrap(), b.parse().unwrap()) };
    let scenario = (args[1] != "swarm").then(|| Scenario::parse(&std::fs::read_to_string(&args[1]).unwrap()).unwrap());
    let jobs: u64 = args.get(3).map_or(1, |j| j.parse().unwrap());
    let next = std::sync::atomic::AtomicU64::new(from);
    let bad = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|s| { for _ in 0..jobs { s.spawn(|| loop {
        let seed = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if seed >= to { break }
        let plan = match &scenario { Some(sc) => sc.plan(seed, sc.synthetic().unwrap()), None => swarm::plan(seed, Default::default()) };
        let report = run::run(plan, &mut |_| {});
        if let Some(v) = &report.violation { bad.fetch_add(1, std::sync::atomic::Ordering::SeqCst); println!("seed {seed}: {} at {:?}: {}", v.invariant, report.ended, v.evidence); }
        if let Some(sc) = &scenario { for m in sc.expect.missed(&report) { println!("seed {seed}: missed {m}"); } }
        if seed % 500 == 0 { eprintln!("at {seed}"); }
    }); } });
    println!("{}..{}: {} bad", from, to, bad.load(std::sync::atomic::Ordering::SeqCst));
}
