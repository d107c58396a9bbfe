//! `rocoin quantize`: from a bundle of f32 students to one that has them in 8 bits too.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use rocoin::bundle::{Manifest, StudentCard};
use rocoin::id::Digest;
use rocoin::planner::Students;
use rocoin_models::evaluate::{Selection, selections};
use rocoin_models::quantize::{IMAGES, PRECISION, QuantizeOptions, quantize};
use serde_json::{Value, json};

use super::text::{aligned, megabytes, percent, print, print_json};

/// The schema of `--json`.
const SCHEMA: &str = "rocoin.quantize/1";

/// Makes students of 8 bits of a bundle's f32 students, and writes a bundle with both
///
/// A student's file shrinks to about a quarter, its memory to about a half or two thirds; it runs about as fast as before. Nothing is trained:
/// weights are rounded, activations get the range that they have on training images. Accuracy is measured anew on the test images, for every
/// combination of students of both precisions, so that the planner can choose. The new bundle appears whole or not at all.
///
/// Takes the data that the bundle was made with. A few minutes for four parts of two sizes.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub struct QuantizeArgs {
    /// The bundle of f32 students, a folder or .tar; it is only read
    #[arg(long)]
    bundle: PathBuf,
    /// The data that the bundle was made with
    #[arg(long)]
    data: PathBuf,
    /// The new bundle: a folder, or a file if it ends in .tar
    #[arg(long)]
    out: PathBuf,
    /// Training images to calibrate with, spread evenly [default: 512, or all if there are fewer]
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Leaves the f32 students out of the new bundle
    #[arg(long)]
    int8_only: bool,
    /// The new bundle's version [default: the old one's]
    #[arg(long)]
    version: Option<String>,
    /// Threads [default: one a CPU]
    #[arg(long)]
    jobs: Option<usize>,
    /// Puts the bundle in the place of one that is there
    #[arg(long)]
    replace: bool,
    /// Print JSON (schema rocoin.quantize/1) at the end; progress goes to standard error
    #[arg(long)]
    json: bool,
}

/// Quantises.
///
/// # Errors
/// Whatever keeps the bundle from being made.
pub fn run(args: QuantizeArgs) -> anyhow::Result<()> {
    let json = args.json;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let options = QuantizeOptions {
        bundle: args.bundle,
        data: args.data,
        out: args.out,
        replace: args.replace,
        images: args.images,
        jobs: args.jobs.unwrap_or(cpus),
        int8_only: args.int8_only,
        version: args.version,
        command: command(args.images.unwrap_or(IMAGES), args.int8_only),
    };
    let bundle = quantize(&options, &|text| eprintln!("{text}"))?;
    let manifest = bundle.manifest();
    let students = Students::from_manifest(manifest).with_context(|| format!("bundle {}", bundle.path().display()))?;
    let rows = selections(&students);
    if json {
        return print_json(&to_json(bundle.digest(), &bundle.path().display().to_string(), manifest, &rows));
    }
    print(&text(manifest, &rows))?;
    print(&format!("bundle {}, digest {}\n", bundle.path().display(), bundle.digest()))
}

/// What is kept in the manifest: without paths and threads, which change nothing.
fn command(images: usize, int8_only: bool) -> String {
    format!("rocoin quantize --images {images}{}", if int8_only { " --int8-only" } else { "" })
}

fn cards(manifest: &Manifest) -> impl Iterator<Item = &StudentCard> {
    manifest.parts.iter().flat_map(|part| &part.students)
}

/// Schema `rocoin.quantize/1`.
fn to_json(bundle: Digest, path: &str, manifest: &Manifest, rows: &[Selection]) -> Value {
    let students = cards(manifest).map(|card| {
        json!({"file": card.file, "arch": card.arch, "precision": card.precision, "bytes": card.bytes,
            "memory_bytes": card.memory_bytes, "flops": card.flops})
    });
    let accuracy = rows.iter().map(|row| {
        let [all, _] = row.by_missing[0];
        json!({"students": row.students, "all": all, "expected_accuracy": row.expected})
    });
    json!({
        "schema": SCHEMA, "bundle": bundle, "path": path, "combinations": manifest.accuracy.len(),
        "students": students.collect::<Vec<_>>(), "accuracy": accuracy.collect::<Vec<_>>(),
    })
}

/// For people: each student, then each architecture in each precision.
fn text(manifest: &Manifest, rows: &[Selection]) -> String {
    let head = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let mut files = vec![head(&["student", "file", "memory"])];
    files.extend(
        cards(manifest).map(|card| vec![card.file.clone(), megabytes(card.bytes), megabytes(card.memory_bytes)]),
    );
    let mut accuracy = vec![head(&["students", "all parts", "one missing, at worst"])];
    for row in rows {
        let worst = row.by_missing.get(1).map_or_else(String::new, |[lowest, _]| percent(*lowest));
        accuracy.push(vec![row.name.clone(), percent(row.by_missing[0][0]), worst]);
    }
    let quantised = cards(manifest).filter(|card| card.precision == PRECISION).count();
    format!(
        "{}\n{}\n{quantised} students of 8 bits, {} combinations measured\n",
        aligned(&files),
        aligned(&accuracy),
        manifest.accuracy.len()
    )
}
