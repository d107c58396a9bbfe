//! The work of `rocoin distill`: from flags to `rocoin_models::distill`, and from what that made to what is printed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rocoin::bundle::Preprocess;
use rocoin::fleet::Fleet;
use rocoin_models::bundle_dir::BundleDir;
use rocoin_models::data::Dataset;
use rocoin_models::distill::{
    Choice, DistillOptions, FinishOptions, Outcome, Progress, distill, merge, retrain_head, to_stderr,
};
use rocoin_models::teacher::{Candidate, Teacher, TeacherOptions};
use rocoin_models::train::student::TrainOptions;
use serde_json::json;

use super::report::Report;
use super::{BundleArgs, DistillArgs, DistillCommand, RunArgs, SCHEMA};
use crate::cli::text::{print, print_json};

/// Distils, merges, or trains a head anew.
///
/// # Errors
/// Whatever keeps the bundle from being made.
pub fn run(args: DistillArgs) -> anyhow::Result<()> {
    let progress = to_stderr();
    match args.command {
        Some(DistillCommand::Merge(args)) => {
            let json = args.bundle.json;
            let bundle = merge(&args.works, &finish(args.out, args.bundle)?, &*progress)?;
            report(&bundle, None, json, &*progress)
        }
        Some(DistillCommand::Head(args)) => {
            let json = args.finish.json;
            let bundle = retrain_head(&args.bundle, &finish(args.out, args.finish)?, &*progress)?;
            report(&bundle, None, json, &*progress)
        }
        None if args.run.list_feature_tensors => list_feature_tensors(args.run),
        None => {
            let json = args.run.bundle.json;
            let options = options(args.run)?;
            let fleet = match &options.choice {
                Choice::Planned { fleet, .. } => Some(fleet),
                Choice::Fixed { .. } => None,
            };
            match distill(&options, &*progress)? {
                Outcome::Bundle(bundle) => report(&bundle, fleet, json, &*progress),
                Outcome::Part { part, work } if json => {
                    print_json(&json!({"schema": SCHEMA, "part": part, "work": work.display().to_string()}))
                }
                Outcome::Part { part, work } => {
                    let work = work.display();
                    print(&format!("part {part} is trained, in {work}; rocoin distill merge joins the parts\n"))
                }
            }
        }
    }
}

/// For programs on standard output, and then for people where the progress was.
fn report(bundle: &BundleDir, fleet: Option<&Fleet>, json: bool, progress: &dyn Progress) -> anyhow::Result<()> {
    let report = Report::new(bundle.path(), bundle.digest(), bundle.manifest(), fleet)?;
    if json {
        progress.notice(&report.text());
        return print_json(&report.to_json());
    }
    print(&report.text())
}

fn finish(out: PathBuf, args: BundleArgs) -> anyhow::Result<FinishOptions> {
    let BundleArgs { teacher, data, name, version, part_dropout, jobs, replace, json: _ } = args;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let command = std::env::args().skip(1).fold("rocoin".to_owned(), |line, argument| line + " " + &argument);
    let (teacher, data) = sources(teacher, data)?;
    let jobs = jobs.unwrap_or(cpus);
    Ok(FinishOptions { teacher, data, out, part_dropout, jobs, name, version, replace, command })
}

/// The command line demands both, unless a subcommand is given.
fn sources(teacher: Option<PathBuf>, data: Option<PathBuf>) -> anyhow::Result<(PathBuf, PathBuf)> {
    Ok((teacher.context("--teacher is missing")?, data.context("--data is missing")?))
}

fn options(args: RunArgs) -> anyhow::Result<DistillOptions> {
    let choice = choice(&args)?;
    let preprocess = preprocess(&args);
    Ok(DistillOptions {
        choice,
        division: args.division,
        validation: args.validation.unwrap_or_default(),
        teacher: TeacherOptions { feature_tensor: args.feature_tensor, layout: args.layout, preprocess },
        views: args.views,
        train: TrainOptions {
            epochs: args.epochs,
            batch: args.batch,
            alpha: args.alpha,
            temperature: args.temperature,
            beta: args.beta,
            learning_rate: args.learning_rate,
            seed: args.seed,
            ..TrainOptions::default()
        },
        resume: args.resume,
        part: args.part,
        finish: finish(args.out.context("--out is missing")?, args.bundle)?,
    })
}

/// `--zoo` decides the students, else the fleet does; the command line demands one of them.
fn choice(args: &RunArgs) -> anyhow::Result<Choice> {
    let zoo = args.zoo.clone();
    match &args.fleet {
        Some(path) => {
            let mut fleet = read_fleet(path)?;
            fleet.plan.parts = args.parts.or(fleet.plan.parts);
            Ok(Choice::Planned { fleet, zoo })
        }
        None => Ok(Choice::Fixed { parts: args.parts.context("--parts is missing")?, zoo }),
    }
}

fn read_fleet(path: &Path) -> anyhow::Result<Fleet> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--fleet {}", path.display()))?;
    Fleet::parse(&text).with_context(|| format!("--fleet {}", path.display()))
}

fn preprocess(args: &RunArgs) -> Option<Preprocess> {
    if args.scale.is_none() && args.mean.is_empty() && args.std.is_empty() {
        return None;
    }
    let or = |values: &Vec<f32>, default| if values.is_empty() { vec![default] } else { values.clone() };
    Some(Preprocess { scale: args.scale.unwrap_or(1.0), mean: or(&args.mean, 0.0), std: or(&args.std, 1.0) })
}

fn list_feature_tensors(args: RunArgs) -> anyhow::Result<()> {
    let json = args.bundle.json;
    let (teacher, data) = sources(args.bundle.teacher, args.bundle.data)?;
    let data = Dataset::load(&data)?;
    let rank = Teacher::input_rank(&teacher)?;
    let data = if rank == Some(3) { data.into_images() } else { data };
    let candidates = Teacher::candidates(&teacher, data.shape(), args.layout)?;
    if json {
        let tensor = |Candidate { tensor, op, shape }: &Candidate| json!({"tensor": tensor, "op": op, "shape": shape});
        let tensors: Vec<_> = candidates.iter().map(tensor).collect();
        return print_json(&json!({"schema": SCHEMA, "feature_tensors": tensors}));
    }
    print(&candidates.iter().map(|candidate| format!("{candidate}\n")).collect::<String>())
}
