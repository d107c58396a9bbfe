//! `rocoin distill`: from a teacher and data to a bundle.
//!
//! The flags are there in every build; the work is done by `rocoin-models` with its feature `distill`, which a build has or has not.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rocoin::planner::knowledge::Division;
use rocoin::planner::zoo::Architecture;
use rocoin_models::data::Validation;
use rocoin_models::teacher::Layout;

#[cfg(any(feature = "distill", test))]
mod report;
#[cfg(feature = "distill")]
mod training;

#[cfg(feature = "distill")]
pub use training::run;

/// The schema of `--json`.
#[cfg(any(feature = "distill", test))]
const SCHEMA: &str = "rocoin.distill/1";

/// Distils a teacher into students, one or more for each knowledge part, and writes a bundle
///
/// What is made is decided by --fleet (the planner chooses parts, their sizes and a student for each), by --fleet and --zoo (the planner chooses
/// parts and sizes; each part gets all these students), or by --parts and --zoo (equal parts, each with all these students).
///
/// All work is kept in OUT.work: after a crash, a kill or a full disk give the same command with --resume, which loses at most an epoch
/// of each student in training. The bundle appears whole or not at all. At the end the accuracy on the test images is shown, with all parts
/// and with parts missing, and with --fleet what is to be expected on that fleet.
///
/// Needs a build with the feature `distill`: cargo run --release --features distill -- distill …
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, disable_version_flag = true)]
#[command(after_help = EXAMPLES)]
pub struct DistillArgs {
    #[command(subcommand)]
    command: Option<DistillCommand>,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  rocoin distill --teacher teacher.onnx --data data --fleet fleet.toml --out bundle
  rocoin distill --teacher teacher.onnx --data data --parts 4 --zoo wrn-10-1,wrn-16-1 --out bundle
  rocoin distill --teacher teacher.onnx --data data --list-feature-tensors

Parts on several machines:
  rocoin distill … --part 0 --out a
  rocoin distill … --part 1 --out b
  rocoin distill merge a.work b.work --teacher teacher.onnx --data data --out bundle

Another head for the students of a bundle:
  rocoin distill head bundle --teacher teacher.onnx --data data --part-dropout 0.5 --out bundle2";

#[derive(Debug, Subcommand)]
enum DistillCommand {
    /// Joins work folders in which parts were trained alone (--part) and makes the bundle
    ///
    /// Copy the work folders to one machine first. They have to be of the same teacher, data and settings, and every part has to be in one
    /// of them; what is not finished is trained here.
    Merge(MergeArgs),
    /// Trains the head of a bundle anew, notably with another --part-dropout; its students stay as they are
    ///
    /// A head that has often seen parts missing loses less when they are missing, and is a little worse when none is. Teacher and data are
    /// those that the bundle was made with; no work folder is needed. Takes one pass of teacher and students over the training images.
    Head(HeadArgs),
}

#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
struct HeadArgs {
    /// The bundle of f32 students: a folder or a .tar; it is only read
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The new bundle: a folder, or a file if it ends in .tar
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    finish: BundleArgs,
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
    /// Fleet file (TOML): the planner decides parts and their sizes, and their students unless --zoo does
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Number of knowledge parts; needed without --fleet, and overrides the number in that file
    #[arg(long, value_name = "K", required_unless_present_any = ["fleet", "list_feature_tensors"])]
    parts: Option<usize>,
    /// Students of every part, e.g. wrn-10-1,wrn-16-1 (or wrn-22-1, wrn-16-2); several make several sizes of each part; needed without --fleet
    #[arg(long, value_delimiter = ',', value_name = "ARCH", required_unless_present_any = ["fleet", "list_feature_tensors"])]
    zoo: Vec<Architecture>,
    /// How the teacher's filters are divided: ncut (every filter in a part, parts of the sizes wanted) or nonn (after NoNN, to compare with:
    /// communities of the strongest filters; the others are in no part)
    #[arg(long, default_value = "ncut", value_name = "WAY")]
    division: Division,
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
    /// Images become (x · SCALE − mean) / std, for teacher and students [default: as they are for the teacher, standardised for students]
    #[arg(long)]
    scale: Option<f32>,
    /// See --scale; one number, or one a channel
    #[arg(long, value_delimiter = ',', allow_negative_numbers = true)]
    mean: Vec<f32>,
    /// See --scale; one number, or one a channel
    #[arg(long, value_delimiter = ',')]
    std: Vec<f32>,
    /// Start of all randomness: the same seed gives the same parts, views and first weights
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
    /// Goes on where an earlier run with the same settings ended
    #[arg(long)]
    resume: bool,
    /// Trains this part (from 0) alone and stops; `distill merge` joins the parts
    #[arg(long, value_name = "N")]
    part: Option<usize>,
}

#[derive(Debug, Args)]
struct BundleArgs {
    /// The teacher, an ONNX classifier
    #[arg(long, value_name = "ONNX", required = true)]
    teacher: Option<PathBuf>,
    /// Directory with IDX files, CIFAR batches, train/CLASS and test/CLASS of images, or an .npz; or the .npz
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// The model's name [default: the data's; for a head trained anew the bundle's]
    #[arg(long)]
    name: Option<String>,
    /// The model's version: dotted numbers [default: 1; for a head trained anew the bundle's]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// How often a part is left out while the head is trained
    #[arg(long, default_value_t = 0.3, value_name = "Q")]
    part_dropout: f32,
    /// Threads, and so students trained side by side [default: one a CPU]
    #[arg(long)]
    jobs: Option<usize>,
    /// Puts the bundle in the place of one that is there
    #[arg(long)]
    replace: bool,
    /// Print JSON (schema rocoin.distill/1) at the end; progress and the table go to standard error
    #[arg(long)]
    json: bool,
}

/// Distils or merges.
///
/// # Errors
/// That this build has no training.
#[cfg(not(feature = "distill"))]
pub fn run(_: DistillArgs) -> anyhow::Result<()> {
    anyhow::bail!(
        "this build has no training, which doubles the build; get it with: cargo run --release --features distill -- distill …"
    )
}
