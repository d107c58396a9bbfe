//! `rocoin eval`: the figures, as tables and pictures.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use rocoin::bundle::Manifest;
use rocoin::planner::{Objective, Students};
use rocoin_models::session::OnnxGraph;
use rocoin_netsim::eval::dropout::{self, Missing};
use rocoin_netsim::eval::duels::{self, Duels};
use rocoin_netsim::eval::gap::{self, Gap};
use rocoin_netsim::eval::losses::{self, OneLost};
use rocoin_netsim::eval::memory::{self, Bought};
use rocoin_netsim::eval::sweep::{Knob, Look, sweep};
use rocoin_netsim::eval::{Contest, Rival, Setting};
use rocoin_netsim::picture::chart::Chart;
use serde_json::{Value, json};

use super::plan::bundle;
use super::provenance::with_provenance;
use super::text::{print, print_json};

mod curve;
mod tables;

/// The schema of `summary.json` and `--json`.
const SCHEMA: &str = "rocoin.eval/1";

/// Compares the method with its rivals on a bundle's measured accuracies, and draws the figures
///
/// Fleets are drawn from the seed, in the setting of the paper (eight slow devices on slow links) and with today's boards on Wi-Fi. Everybody is
/// planned for by the same planner, each with its own strategy and students: NoNN, HetNoNN, RoCoIn-G, RoCoIn, ours, one whole small model on every device
/// (--whole), and the teacher on the best device (--teacher). Failures are gone through exactly, and no model is run: the bundle has the accuracy
/// of every combination of its students. OUT gets each figure as CSV and SVG, and summary.json with the numbers of all claims.
#[derive(Debug, Args)]
#[command(disable_version_flag = true, after_help = EXAMPLES)]
pub struct EvalArgs {
    /// Folder of the bundle, with its manifest.json
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,
    /// A bundle of the same students whose head has seen no part missing (rocoin distill head --part-dropout 0): the rivals after RoCoIn and
    /// NoNN use it [default: they use ours, to their advantage]
    #[arg(long, value_name = "DIR")]
    plain: Option<PathBuf>,
    /// A bundle of NoNN's own division under such a head (rocoin distill --division nonn --part-dropout 0), for the rivals after NoNN
    /// [default: they use what RoCoIn uses]
    #[arg(long, value_name = "DIR")]
    nonn: Option<PathBuf>,
    /// A bundle of one part for full replication (rocoin distill --parts 1)
    #[arg(long, value_name = "DIR")]
    whole: Option<PathBuf>,
    /// The teacher's ONNX file, for what it costs; its accuracy is in the bundle
    #[arg(long, value_name = "FILE")]
    teacher: Option<PathBuf>,
    /// Where the figures go; it is made if it is not there, and its figures are written anew
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Random fleets of each setting
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = fleets)]
    fleets: usize,
    /// Of all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Print summary.json instead of tables
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Example:
  rocoin eval --bundle models/bundles/fashion-mnist --teacher models/teachers/fashion_wrn_16_2.onnx --out figures";

fn fleets(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("it must be a whole number from 1 to 1000000".to_owned()),
    }
}

/// What is written into summary.json.
#[derive(Debug, Default)]
struct Findings {
    duels: Vec<duels::Outcome>,
    one_lost: Vec<(&'static str, Vec<OneLost>)>,
    gaps: Vec<Gap>,
    ours_missing: Vec<Missing>,
    plain_missing: Vec<Missing>,
    bought: Vec<Bought>,
}

/// Runs the command.
///
/// # Errors
/// A bundle or teacher that cannot be read or does not fit, a figure that cannot be written.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let contest = contest(args)?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let jobs = args.jobs.unwrap_or(cores);
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let figures = Figures { out: &args.out, note: note(args) };
    if let Some(curve) = curve::of(&args.bundle)? {
        figures.chart("training", &curve)?;
    }
    let findings = findings(&contest, args, jobs.get(), &figures)?;
    let summary = json!({
        "schema": SCHEMA,
        "bundle": args.bundle, "plain": args.plain, "nonn": args.nonn, "whole": args.whole, "teacher": args.teacher,
        "fleets": args.fleets, "seed": args.seed, "settings": Setting::ALL,
        "duels": findings.duels,
        "one_device_lost": findings.one_lost.iter().map(|(setting, rivals)| json!({"setting": setting, "rivals": rivals})).collect::<Vec<_>>(),
        "optimality_gaps": findings.gaps,
        "parts_missing": {"with_part_dropout": findings.ours_missing, "without": findings.plain_missing},
        "memory": findings.bought,
    });
    let summary = with_provenance(summary, jobs, began.elapsed().as_secs_f64());
    figures.write("summary.json", &(serde_json::to_string_pretty(&summary)? + "\n"))?;
    if args.json {
        print_json(&summary)?;
    } else {
        print(&tables::text(&findings, &contest))?;
        print(&format!("\nFigures and summary.json are in {}.\n", args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is computed; figures are written as they are done.
fn findings(contest: &Contest, args: &EvalArgs, jobs: usize, figures: &Figures<'_>) -> anyhow::Result<Findings> {
    const FEW: usize = 100;
    let many = (args.fleets, args.seed, jobs);
    let few = (args.fleets.min(FEW), args.seed, jobs);
    let mut findings = Findings::default();
    for setting in Setting::ALL {
        for objective in [Objective::Rho, Objective::Nominal] {
            let rivals = contest.rivals().into_iter().filter(|rival| *rival != Rival::Ours);
            let all: Vec<Duels> = rivals.map(|rival| duels::duels(contest, setting, objective, rival, many)).collect();
            let name = format!("{}-ratios-{objective}", setting.name);
            figures.write(&format!("{name}.csv"), &duels::csv(&all, &figures.note))?;
            figures.write(&format!("{name}.svg"), &duels::chart(setting, objective, &all).svg(&figures.note))?;
            findings.duels.extend(all.into_iter().map(|duels| duels.outcome));
            findings.gaps.extend(gap::gaps(contest, setting, objective, few));
        }
        findings.one_lost.push((setting.name, losses::one_lost(contest, setting, few)));
        figures
            .chart(&format!("{}-accuracy-by-failed-devices", setting.name), &losses::chart(contest, setting, few))?;
        let latency = Look::Latency(Objective::Rho);
        let sweeps = [
            (Knob::Devices, latency),
            (Knob::Spread, latency),
            (Knob::Memory, latency),
            (Knob::LinkRate, latency),
            (Knob::Rho, latency),
            (Knob::Devices, Look::Latency(Objective::Nominal)),
            (Knob::Failure, Look::Availability),
            (Knob::Failure, Look::ExpectedAccuracy),
        ];
        for (knob, look) in sweeps {
            let (name, chart) = sweep(contest, setting, knob, look, few);
            figures.chart(&name, &chart)?;
        }
    }
    let paper = Setting { failure_probability: (0.1, 0.1), ..Setting::PAPER };
    findings.bought = memory::bought(contest, &paper, few);
    figures.chart("paper-expected-accuracy-by-memory", &memory::chart(&paper, &findings.bought))?;
    findings.ours_missing = dropout::missing(&contest.ours);
    findings.plain_missing = contest.plain.as_ref().map(dropout::missing).unwrap_or_default();
    Ok(findings)
}

/// Where figures go, and what is written on each.
struct Figures<'a> {
    out: &'a Path,
    note: String,
}

impl Figures<'_> {
    fn chart(&self, name: &str, chart: &Chart) -> anyhow::Result<()> {
        self.write(&format!("{name}.csv"), &chart.csv(&self.note))?;
        self.write(&format!("{name}.svg"), &chart.svg(&self.note))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn note(args: &EvalArgs) -> String {
    let commit = option_env!("ROCOIN_COMMIT").unwrap_or("unknown");
    let commit = commit.get(..12).unwrap_or(commit);
    let of = |flag: &str, path: &Option<PathBuf>| {
        path.as_ref().map_or_else(String::new, |path| format!(" --{flag} {}", path.display()))
    };
    let others =
        of("plain", &args.plain) + &of("nonn", &args.nonn) + &of("whole", &args.whole) + &of("teacher", &args.teacher);
    let EvalArgs { bundle, fleets, seed, .. } = args;
    let (bundle, version) = (bundle.display(), env!("CARGO_PKG_VERSION"));
    format!("rocoin eval --bundle {bundle}{others}\n--fleets {fleets} --seed {seed}; rocoin {version}, commit {commit}")
}

/// How a bundle's students were trained; a quantised one tells it of the one before.
fn settings(manifest: &Manifest) -> &Value {
    let training = &manifest.training;
    training.get("settings").unwrap_or(&training["before"]["settings"])
}

/// Everybody's students.
fn contest(args: &EvalArgs) -> anyhow::Result<Contest> {
    let (manifest, ours) = bundle(&args.bundle)?;
    let plain = args.plain.as_deref().map(bundle).transpose()?;
    let nonn = args.nonn.as_deref().map(bundle).transpose()?;
    let whole = args.whole.as_deref().map(bundle).transpose()?;
    if let Some((other, students)) = &plain
        && (students.parts != ours.parts || other.data != manifest.data)
    {
        bail!(
            "--plain has to be a bundle of the same students and data as --bundle: rocoin distill head BUNDLE --part-dropout 0"
        );
    }
    if let Some((other, _)) = &nonn
        && (settings(other)["division"] != "nonn"
            || (&other.data, &other.teacher.sha256) != (&manifest.data, &manifest.teacher.sha256))
    {
        bail!(
            "--nonn has to be a bundle of NoNN's own division, and of the same data and teacher as --bundle: rocoin distill --division nonn"
        );
    }
    if let Some((other, students)) = &whole
        && (students.parts.len() != 1 || other.data != manifest.data)
    {
        bail!("--whole has to be a bundle of one part and of the same data as --bundle: rocoin distill --parts 1");
    }
    let teacher = args.teacher.as_deref().map(|file| teacher(file, &manifest)).transpose()?;
    Ok(Contest {
        ours,
        plain: plain.map(|(_, students)| students),
        nonn: nonn.map(|(_, students)| students),
        whole: whole.map(|(_, students)| students),
        teacher,
    })
}

fn teacher(file: &Path, manifest: &Manifest) -> anyhow::Result<Students> {
    let of_file = || format!("teacher {}", file.display());
    let onnx = std::fs::read(file).with_context(of_file)?;
    let digest = rocoin::id::Digest::of(&onnx).to_string();
    if digest != manifest.teacher.sha256 {
        bail!(
            "{} is not the teacher of the bundle: its SHA-256 is {digest}, not {}",
            file.display(),
            manifest.teacher.sha256
        );
    }
    let cost = OnnxGraph::parse(&onnx).and_then(|graph| graph.cost(&manifest.input.shape)).with_context(of_file)?;
    let accuracy = manifest.teacher.accuracy;
    Contest::teacher(cost.flops, cost.memory_bytes, accuracy, manifest.input.elements(), manifest.classes)
        .with_context(of_file)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: EvalArgs,
    }

    fn models(path: &str) -> String {
        let models = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models"));
        models.join(path).display().to_string()
    }

    fn args(more: &[&str]) -> EvalArgs {
        let bundle = models("bundles/fashion-mnist");
        let line = ["eval", "--bundle", &bundle, "--out", "figures"].into_iter().chain(more.iter().copied());
        Cli::try_parse_from(line).unwrap().args
    }

    fn refused(more: &[&str]) -> String {
        format!("{:#}", contest(&args(more)).unwrap_err())
    }

    #[test]
    fn the_bundle_that_ships_and_its_teacher_make_a_contest() {
        let contest = contest(&args(&["--teacher", &models("teachers/fashion_wrn_16_2.onnx")])).unwrap();
        assert_eq!(contest.ours.parts.len(), 4);
        assert!(contest.rivals().contains(&Rival::Teacher) && !contest.rivals().contains(&Rival::Replication));
    }

    #[test]
    fn what_does_not_belong_to_the_bundle_is_refused_with_advice() {
        let shipped = models("bundles/fashion-mnist");
        let whole = refused(&["--whole", &shipped]);
        assert!(whole.contains("one part") && whole.contains("rocoin distill --parts 1"), "{whole}");
        let nonn = refused(&["--nonn", &shipped]);
        assert!(nonn.contains("rocoin distill --division nonn"), "{nonn}");
        let nowhere = refused(&["--plain", "nowhere"]);
        assert!(nowhere.contains("nowhere") && nowhere.contains("rocoin distill"), "{nowhere}");
        let teacher = refused(&["--teacher", &models("bundles/fashion-mnist/part0-wrn-10-1-f32.onnx")]);
        assert!(teacher.contains("is not the teacher of the bundle"), "{teacher}");
        assert!(Cli::try_parse_from(["eval", "--bundle", "b", "--out", "o", "--fleets", "0"]).is_err());
    }

    #[test]
    fn every_figure_is_written_with_the_command_that_made_it() {
        let out = tempfile::tempdir().unwrap();
        let few = args(&["--fleets", "1", "--jobs", "2"]);
        let figures = Figures { out: out.path(), note: note(&few) };
        let paper = Setting { devices: 4, ..Setting::PAPER };
        let contest = contest(&few).unwrap();
        figures.chart("a", &losses::chart(&contest, &paper, (1, 1, 1))).unwrap();
        for file in ["a.csv", "a.svg"] {
            let text = std::fs::read_to_string(out.path().join(file)).unwrap();
            assert!(text.contains("rocoin eval --bundle") && text.contains("--seed 1"), "{file}: {text}");
        }
    }
}
