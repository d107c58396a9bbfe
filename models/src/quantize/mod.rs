//! Students of 8 bits, made of a bundle's f32 students after training: weights rounded to integers with a scale for each output channel,
//! activations to 8 bits by the range that they have on training images. Nothing is trained, so a build without training can do it.
//!
//! The new bundle holds both precisions, so that the planner can choose; what it chooses by (accuracy of every combination, memory, FLOPs)
//! is measured and counted anew. Test images are for measuring alone: nothing is calibrated or chosen by them.

mod cost;
mod error;
mod layers;
mod ranges;
mod student;
mod threads;

use std::path::PathBuf;

use rocoin::bundle::{MANIFEST_BYTES_MAX, Manifest, Part, StudentCard, StudentRef};
use rocoin::id::{Digest, PartId};
use serde_json::json;

pub use error::QuantizeError;

use self::layers::Layers;
use self::ranges::Ranges;
use self::threads::on_threads;
use crate::bundle_dir::{BundleDir, BundleWriter, PARTIAL_LOGITS_FILE, TRAINING_LOG_FILE};
use crate::data::{Dataset, Split};
use crate::evaluate::{PartialLogits, combinations};
use crate::session::{Network, OnnxGraph, Session, SessionError};

/// What quantised students are called in manifests.
pub const PRECISION: &str = "int8";

/// The name of a student's output.
const OUTPUT: &str = "partial_logits";

/// The most that an int8 student's logits may differ from the f32 student's on the images calibrated with: root mean square, as a share of that
/// of the logits (ours): a defect does more, rounding far less.
const DIFFERENCE_MAX: f64 = 0.1;

/// Bytes of a combination in a manifest, at least: for itself, and for each part.
const COMBINATION_BYTES: u128 = 60;
const STUDENT_BYTES: u128 = 100;

/// What to do.
#[derive(Debug, Clone)]
pub struct QuantizeOptions {
    /// The bundle of f32 students: a folder or a `.tar`. It is only read.
    pub bundle: PathBuf,
    /// The data that it was made with.
    pub data: PathBuf,
    /// Where the new bundle comes to be.
    pub out: PathBuf,
    /// Whether it may take the place of what is there.
    pub replace: bool,
    /// Training images to calibrate with, spread evenly over the training part; fewer where there are fewer. `None`: [`IMAGES`].
    pub images: Option<usize>,
    /// Threads.
    pub jobs: usize,
    /// Whether the new bundle leaves out the f32 students.
    pub int8_only: bool,
    /// The new bundle's version; `None`: the old one's.
    pub version: Option<String>,
    /// How this was asked for, to be kept in the manifest.
    pub command: String,
}

/// Training images that students are calibrated with, unless told otherwise (ours): more change no range by much.
pub const IMAGES: usize = 512;

/// Quantises every student of a bundle and writes the new bundle, whole or not at all. `tell` hears in words what is being done.
///
/// The same bundle, data and options make the same files, whatever the number of threads.
///
/// # Errors
/// [`QuantizeError`]; then nothing was written.
pub fn quantize(options: &QuantizeOptions, tell: &dyn Fn(&str)) -> Result<BundleDir, QuantizeError> {
    BundleWriter::check_free(&options.out, options.replace)?;
    let bundle = BundleDir::open(&options.bundle)?;
    let manifest = bundle.manifest();
    check_precisions(&bundle)?;
    check_room(manifest, options.int8_only)?;
    let data = load(manifest, &options.data)?;
    let images = spread(&data.train, options.images)?;
    let writer = BundleWriter::create(&options.out, options.replace)?;
    let mut parts = Vec::with_capacity(manifest.parts.len());
    let mut logits = Vec::new();
    for part in &manifest.parts {
        let mut students = Vec::new();
        for card in &part.students {
            tell(&format!("{}: calibrating on {} training images", card.file, images.len()));
            let onnx = bundle.student(card)?;
            let named = |error: QuantizeError| error.of_student(&card.file);
            let made = quantize_student(&onnx, manifest, card, &data.train, &images, options.jobs).map_err(named)?;
            students.push((made.card, made.onnx));
            if !options.int8_only {
                students.push((card.clone(), onnx));
            }
        }
        students.sort_by_key(|(card, _)| (card.memory_bytes, card.bytes));
        for (card, onnx) in &students {
            tell(&format!("{}: {} test images", card.file, data.test.len()));
            let rows = run_all(onnx, manifest, &data.test, options.jobs).map_err(|error| session(&card.file, error))?;
            logits.push((reference(part.part, card), rows));
            writer.write(&card.file, onnx)?;
        }
        let students = students.into_iter().map(|(card, _)| card).collect();
        parts.push(Part { part: part.part, filters: part.filters.clone(), students });
    }
    tell("accuracy of every combination");
    let logits = PartialLogits { classes: manifest.classes, labels: data.test.labels, students: logits };
    let training = json!({
        "quantised_from": bundle.digest(), "command": options.command, "calibration_images": images.len(),
        "before": manifest.training,
    });
    let quantised = Manifest {
        version: options.version.clone().unwrap_or_else(|| manifest.version.clone()),
        parts,
        accuracy: combinations(&logits, &manifest.merge.bias),
        training,
        ..manifest.clone()
    };
    writer.write(PARTIAL_LOGITS_FILE, &logits.to_npz()?)?;
    if let Some(log) = bundle.read_if_there(TRAINING_LOG_FILE)? {
        writer.write(TRAINING_LOG_FILE, &log)?;
    }
    Ok(writer.finish(&quantised)?)
}

fn session(file: &str, error: SessionError) -> QuantizeError {
    QuantizeError::Session { file: file.to_owned(), error }
}

fn reference(part: PartId, card: &StudentCard) -> StudentRef {
    StudentRef { part, arch: card.arch.clone(), precision: card.precision.clone() }
}

fn check_precisions(bundle: &BundleDir) -> Result<(), QuantizeError> {
    let files = bundle.files_not_of("f32");
    if files.is_empty() { Ok(()) } else { Err(QuantizeError::Quantised { bundle: bundle.path().to_owned(), files }) }
}

/// Whether a manifest has room for the accuracy of every combination: one more than a part's students, over all parts.
fn check_room(manifest: &Manifest, int8_only: bool) -> Result<(), QuantizeError> {
    let of_part = |part: &Part| 1 + part.students.len() as u128 * if int8_only { 1 } else { 2 };
    let combinations = manifest.parts.iter().map(of_part).fold(1_u128, u128::saturating_mul);
    let bytes = combinations.saturating_mul(COMBINATION_BYTES + STUDENT_BYTES * manifest.parts.len() as u128);
    match bytes <= u128::from(MANIFEST_BYTES_MAX) {
        true => Ok(()),
        false if int8_only => Err(QuantizeError::TooMany { combinations }),
        false => Err(QuantizeError::Combinations { combinations }),
    }
}

fn load(manifest: &Manifest, path: &std::path::Path) -> Result<Dataset, QuantizeError> {
    let mut data = Dataset::load(path)?;
    let expected = &manifest.input.shape;
    if data.shape() != expected.as_slice() {
        data = data.into_images();
    }
    if data.shape() != expected.as_slice() || data.classes != manifest.classes {
        return Err(QuantizeError::Shape {
            expected: expected.clone(),
            classes: manifest.classes,
            found: data.shape().to_vec(),
            found_classes: data.classes,
        });
    }
    if data.sha256 != manifest.data.sha256 {
        let (name, expected) = (manifest.data.name.clone(), manifest.data.sha256.clone());
        return Err(QuantizeError::DataDiffers { name, expected, found: data.sha256 });
    }
    Ok(data)
}

/// Which training images: so many, evenly spread.
fn spread(train: &Split, asked: Option<usize>) -> Result<Vec<usize>, QuantizeError> {
    let available = train.len();
    let count = asked.unwrap_or(IMAGES.min(available));
    if count == 0 || count > available {
        return Err(QuantizeError::Images { asked: count, available });
    }
    Ok((0..count).map(|index| index * available / count).collect())
}

/// A student of 8 bits.
struct Made {
    card: StudentCard,
    onnx: Vec<u8>,
}

fn quantize_student(
    onnx: &[u8],
    manifest: &Manifest,
    card: &StudentCard,
    train: &Split,
    images: &[usize],
    jobs: usize,
) -> Result<Made, QuantizeError> {
    let failed = |error| session(&card.file, error);
    let shape = &manifest.input.shape;
    let layers = Layers::new(Network::parse(onnx).map_err(failed)?, OUTPUT)?;
    let graph = OnnxGraph::parse(onnx).map_err(failed)?;
    let shapes = graph.shapes(shape).map_err(failed)?;
    let inputs: Vec<&str> = layers.convs().map(|conv| conv.input.as_str()).collect();
    let ranges = Ranges::measure(onnx, &inputs, train, images, jobs).map_err(|error| error.of(&card.file))?;
    let made = student::write(&layers, &shapes, &ranges, [&manifest.input.name, OUTPUT], shape, manifest.classes);
    let sample = train.of(images);
    let [expected, found] = [onnx, &made].map(|onnx| run_all(onnx, manifest, &sample, jobs));
    let relative = difference(&expected.map_err(failed)?, &found.map_err(failed)?);
    if relative.is_nan() || relative > DIFFERENCE_MAX {
        let (file, images) = (card.file.clone(), images.len());
        return Err(QuantizeError::Differs { file, relative, limit: DIFFERENCE_MAX, images });
    }
    let part = card.file.strip_suffix("-f32.onnx").or(card.file.strip_suffix(".onnx")).unwrap_or(&card.file);
    let card = StudentCard {
        precision: PRECISION.to_owned(),
        file: format!("{part}-{PRECISION}.onnx"),
        digest: Digest::of(&made),
        bytes: made.len() as u64,
        memory_bytes: cost::memory_bytes(&layers, &shapes),
        ..card.clone()
    };
    Ok(Made { card, onnx: made })
}

/// The logits of every image, in order.
fn run_all(onnx: &[u8], manifest: &Manifest, split: &Split, jobs: usize) -> Result<Vec<f32>, SessionError> {
    let session = Session::load(onnx, &manifest.input.shape)?;
    let run = |range: std::ops::Range<usize>| -> Result<Vec<f32>, SessionError> {
        let rows = range.map(|image| session.run(&split.image_vec(image)));
        Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
    };
    Ok(on_threads(split.len(), jobs, &run).into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

/// Root mean square of the difference, as a share of that of what is expected.
fn difference(expected: &[f32], found: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
    let apart = squares(&mut expected.iter().zip(found).map(|(expected, found)| expected - found));
    (apart / squares(&mut expected.iter().copied()).max(f64::MIN_POSITIVE)).sqrt()
}

#[cfg(test)]
mod tests;
