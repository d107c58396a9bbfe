//! `rocoin lab`: real nodes on a network that is made bad, and the mesh's targets measured on them.
//!
//! The hosts, the faults and the measurements are those of `rocoin_netsim::lab`; here is what people and programs read.

mod results;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use rocoin_models::bundle_dir::BundleDir;
use rocoin_netsim::lab::measure::{Target, Trials};
use rocoin_netsim::lab::{GroundKind, Service, Site, SiteOptions, chart, sweep};

use self::results::Results;
use super::demo::ready_made;
use super::text::{print, print_json};
use crate::config::ConfigError;
use crate::demo::test_images;
use crate::interrupt::Interrupt;

/// Nodes of one measurement at most; addresses and patience end there.
const NODES_MAX: usize = 128;

/// Starts real nodes on hosts of their own, makes their network bad, and measures what the mesh makes of it
///
/// Each node is a process of this program on a host that is a network namespace, joined to the others by a switch that is one too;
/// they find each other by multicast. This needs root and iproute2 on Linux; elsewhere it runs on loopback. Nothing is done to the
/// machine's own network, and all that was made is removed at the end. docs/lab.md says what T1 to T10 and pacing are.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, disable_version_flag = true, args_conflicts_with_subcommands = true)]
pub struct LabArgs {
    #[command(subcommand)]
    command: Option<LabCommand>,
    #[command(flatten)]
    measure: MeasureArgs,
}

const EXAMPLES: &str = "\
Examples:
  rocoin lab --check --quick
  rocoin lab --nodes 8,16,32 --svg lab.svg --json > lab.json
  rocoin lab --only T1,T2 --trials 10
  rocoin lab soak --minutes 30 --report soak

Exit code: 0 measured (with --check: and all targets met), 1 not, 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Hurts a mesh under steady load at random for long, and looks at what is left
    Soak(soak::SoakArgs),
    /// Removes what a lab that was killed left behind
    Clean,
}

/// Where the nodes run, and what they serve.
#[derive(Debug, Args)]
struct SiteArgs {
    /// Where the nodes run [default: namespaces where there can be any]
    #[arg(long, value_enum)]
    ground: Option<GroundArg>,
    /// The bundle, a folder with test images in its folder `test` [default: the checkout's]
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Keep the nodes' logs and events in this folder
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GroundArg {
    /// Each node on a network namespace of its own: root and iproute2
    Namespaces,
    /// Processes on loopback
    Loopback,
}

#[derive(Debug, Args)]
struct MeasureArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Sizes of the mesh
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [8])]
    nodes: Vec<usize>,
    /// These targets alone
    #[arg(long, value_name = "T,T,…", value_delimiter = ',')]
    only: Vec<Target>,
    /// Fail if a target is missed
    #[arg(long)]
    check: bool,
    /// Few trials, within three minutes; --check then demands only what noise cannot fake
    #[arg(long)]
    quick: bool,
    /// Trials of T1, T2, T6 and T8 [default: 50; quick: 3]
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Trials of T5, T7 and T9 [default: 10; quick: 1]
    #[arg(long, value_name = "N")]
    few_trials: Option<usize>,
    /// How long T3 watches, each way, s [default: 1200; quick: 10]
    #[arg(long, value_name = "S")]
    false_deaths_s: Option<u64>,
    /// How long pacing watches, without and with a bundle on its way, s [default: 60; quick: 8]
    #[arg(long, value_name = "S")]
    pacing_s: Option<u64>,
    /// T3 without the same under plain time-outs
    #[arg(long)]
    no_ablation: bool,
    /// Draw the distributions into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON (schema rocoin.lab/1)
    #[arg(long)]
    json: bool,
}

/// Measures, soaks or cleans.
///
/// # Errors
/// A mesh that cannot be set up or does not recover; Ctrl-C; a file that cannot be written.
pub fn run(args: &LabArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(LabCommand::Soak(args)) => soak::run(args),
        Some(LabCommand::Clean) => {
            sweep();
            Ok(ExitCode::SUCCESS)
        }
        None => measure(&args.measure),
    }
}

fn measure(args: &MeasureArgs) -> anyhow::Result<ExitCode> {
    if let Some(wrong) = args.nodes.iter().find(|nodes| !(4..=NODES_MAX).contains(nodes)) {
        return Err(ConfigError::Wrong(format!("--nodes {wrong}: it takes 4 to {NODES_MAX}")).into());
    }
    let trials = args.trials();
    let targets = if args.only.is_empty() { Target::ALL.to_vec() } else { args.only.clone() };
    let (began, interrupt) = (Instant::now(), Interrupt::listen()?);
    let mut results = Results::new(args.site.seed, args.quick, &trials);
    let mut first = true;
    for nodes in &args.nodes {
        let options = args.site.options(*nodes, &interrupt)?;
        let mut site: Option<Site> = None;
        // What has a mesh of its own is measured once, whatever the sizes asked for.
        for target in targets.iter().filter(|target| first || !target.has_own_mesh()) {
            (options.say)(&format!("{target}, {nodes} nodes: {}", target.what()));
            let measured = target.measure(&mut site, &options, &trials);
            let measured = measured.with_context(|| format!("{target} with {nodes} nodes"))?;
            if !args.json {
                print(&results::table(&measured, args.quick))?;
            }
            results.add(measured);
        }
        first = false;
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, chart(results.all())).with_context(|| format!("cannot write {}", path.display()))?;
    }
    results.wall_s = began.elapsed().as_secs_f64();
    if args.json {
        print_json(&results.to_json())?;
    } else {
        print(&results.summary())?;
    }
    Ok(if args.check && !results.misses().is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl MeasureArgs {
    fn trials(&self) -> Trials {
        let usual = if self.quick { Trials::quick(self.site.seed) } else { Trials::full(self.site.seed) };
        Trials {
            many: self.trials.unwrap_or(usual.many),
            few: self.few_trials.unwrap_or(usual.few),
            false_deaths: self.false_deaths_s.map_or(usual.false_deaths, Duration::from_secs),
            pacing: self.pacing_s.map_or(usual.pacing, Duration::from_secs),
            ablation: usual.ablation && !self.no_ablation,
            ..usual
        }
    }
}

impl SiteArgs {
    /// A mesh of so many nodes; people are told on standard error.
    fn options(&self, nodes: usize, interrupt: &Interrupt) -> anyhow::Result<SiteOptions> {
        let bundle = self.bundle.clone().map_or_else(ready_made, Ok)?;
        let opened = BundleDir::open(&bundle)?;
        let service = Service {
            binary: std::env::current_exe().context("cannot find this program's file")?,
            images: Arc::new(test_images(&bundle, &opened)?),
            model: opened.manifest().name.clone(),
            parts: opened.manifest().parts.len(),
            bundle,
        };
        Ok(SiteOptions {
            nodes,
            ground: self.ground()?,
            service: Arc::new(service),
            small_disks: false,
            logs: self.logs.clone(),
            plain_timeouts: false,
            link_bits_per_s: None,
            interrupted: interrupt.flag(),
            say: Arc::new(|text| eprintln!("{text}")),
        })
    }

    fn ground(&self) -> anyhow::Result<GroundKind> {
        let (best, reason) = GroundKind::best();
        match (self.ground, reason) {
            (Some(GroundArg::Loopback), _) => Ok(GroundKind::Loopback),
            (Some(GroundArg::Namespaces), Some(reason)) => Err(reason.into()),
            (None, Some(reason)) => {
                eprintln!("on loopback, since {reason}");
                Ok(best)
            }
            (_, None) => Ok(best),
        }
    }
}
