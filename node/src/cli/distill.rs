//! `rocoin distill`: from a teacher and data to a bundle.
//!
//! The flags are there in every build; the work is done by `rocoin-models` with its feature `distill`, which a build has or has not.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rocoin::planner::zoo::Architecture;
use rocoin_models::data::Validation;
use rocoin_models::teacher::Layout;

/// Distils a teacher into students, one or more for each knowledge part, and writes a bundle
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_version_flag = true)]
pub struct DistillArgs {
    #[command(subcommand)]
    command: Option<DistillCommand>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum DistillCommand {
    /// Joins work folders in which parts were trained alone (--part) and makes the bundle
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
struct MergeArgs {
    /// The work folders; everything is collected in the first
    #[arg(required = true, value_name = "WORK")]
    works: Vec<PathBuf>,
    /// The bundle: a folder, or a file if it ends in .tar
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    bundle: BundleArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The bundle: a folder, or a file if it ends in .tar; OUT.work beside it holds the work
    #[arg(long, required_unless_present = "list_feature_tensors")]
    out: Option<PathBuf>,
    #[command(flatten)]
    bundle: BundleArgs,
    /// Fleet file: the planner decides parts and their sizes, and their students unless --zoo does
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Number of knowledge parts
    #[arg(long, value_name = "K")]
    parts: Option<usize>,
    /// Students of every part, e.g. wrn-10-1,wrn-16-1; several make several sizes of each part
    #[arg(long, value_delimiter = ',', value_name = "ARCH")]
    zoo: Vec<Architecture>,
    /// Times a student sees every image
    #[arg(long, default_value_t = 12, value_name = "E")]
    epochs: usize,
    /// Training images kept back to choose by: a number, or last:NUMBER for the last ones [default: 10 %, at most 5000]
    #[arg(long, value_name = "N")]
    validation: Option<Validation>,
    /// The teacher's last feature map, if it is not found by itself
    #[arg(long, value_name = "NAME")]
    feature_tensor: Option<String>,
    /// Lists what --feature-tensor could name, and stops
    #[arg(long)]
    list_feature_tensors: bool,
    /// Where the teacher's input has its channels: nchw or nhwc [default: as its shape says]
    #[arg(long)]
    layout: Option<Layout>,
    /// Images are (x · SCALE − mean) / std for teacher and students [default: as they are for the teacher, standardised for students]
    #[arg(long)]
    scale: Option<f32>,
    /// See --scale; one number, or one a channel
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true)]
    mean: Vec<f32>,
    /// See --scale; one number, or one a channel
    #[arg(long, value_delimiter = ',')]
    std: Vec<f32>,
    /// Everything drawn depends on it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Augmented views of every image, kept on disk [default: 8, or one an epoch]
    #[arg(long, value_name = "V")]
    views: Option<u32>,
    /// Share of the teacher's logits in the loss, against the label's
    #[arg(long, default_value_t = 0.9)]
    alpha: f32,
    /// How soft the logits are compared
    #[arg(long, default_value_t = 4.0)]
    temperature: f32,
    /// Weight of the feature maps in the loss
    #[arg(long, default_value_t = 50.0)]
    beta: f32,
    /// Images a step
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Peak of the learning rate
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f32,
    /// Goes on where an earlier run ended
    #[arg(long)]
    resume: bool,
    /// Trains this part alone and stops; `distill merge` joins the parts
    #[arg(long, value_name = "N")]
    part: Option<usize>,
}

#[derive(Debug, Args)]
struct BundleArgs {
    /// The teacher, an ONNX classifier
    #[arg(long, value_name = "ONNX", required = true)]
    teacher: Option<PathBuf>,
    /// Directory with IDX files or an .npz, or the .npz
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// The model's name [default: the data's]
    #[arg(long)]
    name: Option<String>,
    /// The model's version: dotted numbers
    #[arg(long, default_value = "1", value_name = "VERSION")]
    version: String,
    /// How often a part is left out while the head is trained
    #[arg(long, default_value_t = 0.3, value_name = "Q")]
    part_dropout: f32,
    /// Threads, and so students trained side by side [default: one a CPU]
    #[arg(long)]
    jobs: Option<usize>,
    /// Puts the bundle in the place of one that is there
    #[arg(long)]
    replace: bool,
}

/// Distils or merges.
///
/// # Errors
/// Whatever keeps the bundle from being made, and that this build has no training.
#[cfg(not(feature = "distill"))]
pub fn run(_: DistillArgs) -> anyhow::Result<()> {
    anyhow::bail!(
        "this build has no training, which doubles the build; get it with: cargo run --release --features distill -- distill …"
    )
}

#[cfg(feature = "distill")]
pub use training::run;

#[cfg(feature = "distill")]
mod training {
    use std::path::{Path, PathBuf};

    use anyhow::{Context as _, bail};
    use rocoin::bundle::Preprocess;
    use rocoin::fleet::Fleet;
    use rocoin_models::bundle_dir::BundleDir;
    use rocoin_models::data::Dataset;
    use rocoin_models::distill::{Choice, DistillOptions, FinishOptions, Outcome, Progress, distill, merge, to_stderr};
    use rocoin_models::teacher::{Teacher, TeacherOptions};
    use rocoin_models::train::student::TrainOptions;

    use super::{BundleArgs, DistillArgs, DistillCommand, RunArgs};

    /// Distils or merges.
    ///
    /// # Errors
    /// Whatever keeps the bundle from being made.
    pub fn run(args: DistillArgs) -> anyhow::Result<()> {
        let progress = to_stderr();
        match args.command {
            Some(DistillCommand::Merge(args)) => {
                let bundle = merge(&args.works, &finish(args.out, args.bundle)?, &*progress)?;
                report(&bundle, &*progress);
            }
            None if args.run.list_feature_tensors => list_feature_tensors(args.run)?,
            None => match distill(&options(args.run)?, &*progress)? {
                Outcome::Bundle(bundle) => report(&bundle, &*progress),
                Outcome::Part { part, work } => {
                    let work = work.display();
                    progress
                        .notice(&format!("part {part} is trained, in {work}; rocoin distill merge joins the parts"));
                }
            },
        }
        Ok(())
    }

    fn report(bundle: &BundleDir, progress: &dyn Progress) {
        let path = bundle.path().display();
        progress.notice(&format!("bundle {path}, digest {}", bundle.digest()));
    }

    fn finish(out: PathBuf, args: BundleArgs) -> anyhow::Result<FinishOptions> {
        let BundleArgs { teacher, data, name, version, part_dropout, jobs, replace } = args;
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

    /// `--zoo` decides the students, else the fleet does.
    fn choice(args: &RunArgs) -> anyhow::Result<Choice> {
        match (&args.fleet, args.zoo.is_empty()) {
            (Some(path), _) => {
                let mut fleet = read_fleet(path)?;
                fleet.plan.parts = args.parts.or(fleet.plan.parts);
                Ok(Choice::Planned { fleet, zoo: args.zoo.clone() })
            }
            (None, false) => {
                let parts = args.parts.context("--zoo needs --parts, the number of knowledge parts")?;
                Ok(Choice::Fixed { parts, zoo: args.zoo.clone() })
            }
            (None, true) => {
                bail!("give --fleet FILE, so that parts and students are planned, or --parts K and --zoo ARCH,…")
            }
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
        let (teacher, data) = sources(args.bundle.teacher, args.bundle.data)?;
        let data = Dataset::load(&data)?;
        let rank = Teacher::input_rank(&teacher)?;
        let data = if rank == Some(3) { data.into_images() } else { data };
        for candidate in Teacher::candidates(&teacher, data.shape(), args.layout)? {
            #[expect(clippy::print_stdout, reason = "the list is what was asked for")]
            {
                println!("{candidate}");
            }
        }
        Ok(())
    }
}
