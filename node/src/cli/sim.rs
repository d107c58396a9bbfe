//! `rocoin sim`: the node in a deterministic world of faults.
//!
//! The world, the faults and the invariants are those of `rocoin_netsim`; here are files, threads, and what people and programs read.

mod bundle;
mod burst;
mod compare;
mod freeze;
mod meta;
mod recording;
mod results;
mod scale;
mod seeds;
mod world;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};
use rocoin::inference::Mode;
use rocoin_netsim::caught::caught;
use rocoin_netsim::fact::Entry;
use rocoin_netsim::run::Report;
use rocoin_netsim::scenario::{SHIPPED, Scenario};

use self::recording::{Recording, Wanted};
use self::results::{Results, Run};
use self::seeds::Seeds;
use self::world::Worlds;
use super::text::{aligned, print, print_json};
use crate::config::ConfigError;

/// Plays the mesh in virtual time while things go wrong, and checks what must always hold
///
/// The very node that runs on devices, many at once, on one thread, with one seed: the same seed gives the same run to the byte. After
/// each event invariants are checked (no two plans share an epoch, no answer is wrong or late, nobody live is held down, …); at the
/// end the mesh has to recover. docs/simulation.md lists the faults and the invariants and shows how to write a scenario.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_version_flag = true)]
pub struct SimArgs {
    #[command(subcommand)]
    command: SimCommand,
}

const EXAMPLES: &str = "\
Examples:
  rocoin sim list
  rocoin sim run leader-assassin --svg run.svg
  rocoin sim run my-scenario.toml --seeds 0..20
  rocoin sim run --swarm --seeds 0..300
  rocoin sim reproduce --seed 17 --svg 17.svg --history 17.jsonl
  rocoin sim reproduce --seed 17 --freeze late-claim.toml
  rocoin sim meta --seeds 0..20

Exit code: 0 all held, 1 an invariant broke, an expectation was missed or (compare) the new result is worse, 2 wrong usage or a wrong file.";

#[derive(Debug, Subcommand)]
enum SimCommand {
    /// Lists the scenarios that come with the program
    List,
    /// Runs a scenario, or the swarm: a whole world with its faults drawn from each seed
    Run(RunArgs),
    /// Runs one seed again, to look at it: the line that a violation prints
    Reproduce(ReproduceArgs),
    /// Runs each seed twice and compares the two histories byte by byte
    Meta(MetaArgs),
    /// Puts two results of `sim run --json` side by side; exit code 1 if the new one has a violation or a missed expectation that the old one has not
    Compare(compare::CompareArgs),
    /// Measures what a larger fleet costs each node, and how soon a death is noticed and planned around
    Scale(scale::ScaleArgs),
    /// Lets many nodes of a large fleet fall silent at once, and sees how soon all know and have planned around them
    Burst(burst::BurstArgs),
    /// Counts whom the failure detector gives up though nobody dies, idle and with a quarter of the devices starved
    Starved(scale::StarvedArgs),
}

#[derive(Debug, Args)]
struct WorldArgs {
    /// A scenario's file (TOML), or the name of one that `sim list` lists
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// The bundle that is served, a folder or .tar, in place of the scenario's
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// How replicas are asked, in place of what the scenario or the swarm says: all, hedged or verify
    #[arg(long)]
    mode: Option<Mode>,
}

impl WorldArgs {
    fn open(&self) -> anyhow::Result<Worlds> {
        Ok(Worlds::open(self.scenario.as_deref(), self.bundle.as_deref())?.in_mode(self.mode))
    }
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
struct RunArgs {
    #[command(flatten)]
    world: WorldArgs,
    /// Worlds of 3 to 12 nodes with every knob drawn from the seed
    #[arg(long, conflicts_with = "scenario", required_unless_present = "scenario")]
    swarm: bool,
    /// The seed [default: the scenario's]
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Many seeds, one after the other: from A up to and without B
    #[arg(long, value_name = "A..B")]
    seeds: Option<Seeds>,
    /// Seeds that run at once [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    wanted: Wanted,
    /// Print JSON (schema rocoin.sim/1)
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
struct ReproduceArgs {
    #[command(flatten)]
    world: WorldArgs,
    /// The seed; of the swarm, if no scenario is named
    #[arg(long, value_name = "N")]
    seed: u64,
    /// Write the world as a scenario, which is then played with no --seed: it stays the same when the swarm draws other ones
    #[arg(long, value_name = "FILE")]
    freeze: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
struct MetaArgs {
    #[command(flatten)]
    world: WorldArgs,
    /// The seeds: from A up to and without B; of the swarm, if no scenario is named
    #[arg(long, value_name = "A..B")]
    seeds: Seeds,
    /// Seeds that run at once [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Runs the command; the exit code says whether all held.
///
/// # Errors
/// A file that cannot be read, written or is wrong.
pub fn run(args: &SimArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        SimCommand::List => list(),
        SimCommand::Run(args) => simulate(args),
        SimCommand::Reproduce(args) => reproduce(args),
        SimCommand::Meta(args) => {
            let worlds = args.world.open()?;
            meta::run(&worlds, args.seeds, jobs(args.jobs))
        }
        SimCommand::Compare(args) => compare::run(args),
        SimCommand::Scale(args) => scale::scale(args),
        SimCommand::Burst(args) => burst::run(args),
        SimCommand::Starved(args) => scale::starved(args),
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let mut rows = Vec::new();
    for (name, text) in SHIPPED {
        let scenario = Scenario::parse(text)?;
        let (hosts, seconds) = (scenario.hosts(), scenario.duration.as_secs());
        rows.push(vec![(*name).to_owned(), format!("{hosts} hosts"), format!("{seconds} s"), scenario.description]);
    }
    print(&aligned(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn simulate(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let worlds = args.world.open()?;
    let seeds = match (args.seed, args.seeds) {
        (Some(seed), _) => Seeds::one(seed),
        (None, Some(seeds)) => seeds,
        (None, None) => match worlds.seed() {
            Some(seed) => Seeds::one(seed),
            None => return Err(ConfigError::Wrong("--swarm needs --seeds A..B, or --seed N".to_owned()).into()),
        },
    };
    if seeds.count() > 1 && args.wanted.is_any() {
        let text = "--history and --svg are of one run: give one seed with --seed".to_owned();
        return Err(ConfigError::Wrong(text).into());
    }
    let began = Instant::now();
    let jobs = jobs(args.jobs);
    let mut results = Results::new(&worlds, seeds, jobs);
    let mut failure = None;
    let each = |seed| recorded(&worlds, seed, &args.wanted);
    seeds.each(jobs, each, |seed, outcome| match outcome {
        Ok(report) => {
            let run = Run::new(&worlds, seed, report);
            if !args.json {
                failure = failure.take().or(print(&run.told()).err());
            }
            results.add(run);
        }
        Err(error) => failure = failure.take().or(Some(error)),
    });
    if let Some(error) = failure {
        return Err(error);
    }
    results.wall_s = began.elapsed().as_secs_f64();
    if args.json {
        print_json(&results.to_json())?;
    } else {
        print(&results.summary())?;
    }
    Ok(exit(results.holds()))
}

fn reproduce(args: &ReproduceArgs) -> anyhow::Result<ExitCode> {
    let worlds = args.world.open()?;
    if let Some(path) = &args.freeze {
        freeze::write(&worlds, args.seed, path)?;
    }
    let began = Instant::now();
    let run = Run::new(&worlds, args.seed, recorded(&worlds, args.seed, &args.wanted)?);
    let mut results = Results::new(&worlds, Seeds::one(args.seed), NonZeroUsize::MIN);
    let told = run.told();
    results.add(run);
    results.wall_s = began.elapsed().as_secs_f64();
    print(&(told + &results.summary()))?;
    Ok(exit(results.holds()))
}

/// Runs one seed and writes what is wanted of it.
fn recorded(worlds: &Worlds, seed: u64, wanted: &Wanted) -> anyhow::Result<Report> {
    let mut recording = Recording::new(wanted)?;
    let report = play(worlds, seed, &mut |entry| recording.observe(entry));
    recording.finish(&worlds.title(seed), &worlds.subtitle(), &report)?;
    Ok(report)
}

/// Runs one seed; a panic in it is a violation.
fn play(worlds: &Worlds, seed: u64, record: &mut dyn FnMut(&Entry)) -> Report {
    caught(record, |record| rocoin_netsim::run::run(worlds.plan(seed), record))
}

fn jobs(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.or(std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

fn exit(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests;
