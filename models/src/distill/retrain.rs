//! The head of a bundle trained anew; its students stay as they are.

use std::path::Path;

use rayon::prelude::*;
use rocoin::bundle::{Manifest, Merge, Part, StudentCard, StudentRef};
use rocoin::id::{Digest, PartId};
use serde_json::{Value, json};

use super::export::{Exported, PRECISION, partial_logits};
use super::head::{self, Features};
use super::parts::pool;
use super::prepare::Prepared;
use super::subset::Subset;
use super::{DistillError, FinishOptions, Progress, Settings};
use crate::bundle_dir::{BundleDir, BundleWriter, PARTIAL_LOGITS_FILE, TRAINING_LOG_FILE};
use crate::evaluate::combinations;
use crate::session::{OnnxGraph, Session, SessionError};
use crate::train::Samples as _;
use crate::train::head::JointHead;
use crate::zoo::export::StudentFile;

/// Trains the head of the bundle at `path` anew, as `finish` says (its part dropout, above all), and makes a new bundle of the same students.
///
/// Takes the features from the students' files, so that no work folder is needed: one pass of teacher and students over the training images.
///
/// # Errors
/// [`DistillError`], notably [`DistillError::NotDistilled`] and [`DistillError::Quantised`]; nothing was written then.
pub fn retrain_head(path: &Path, finish: &FinishOptions, progress: &dyn Progress) -> Result<BundleDir, DistillError> {
    BundleWriter::check_free(&finish.out, finish.replace)?;
    let bundle = BundleDir::open(path)?;
    let manifest = bundle.manifest();
    check_precisions(&bundle)?;
    let finish = FinishOptions { name: finish.name.clone().or_else(|| Some(manifest.name.clone())), ..finish.clone() };
    let prepared = Prepared::again(settings(&bundle)?, &finish)?;
    let pool = pool(finish.jobs)?;
    let students = students(&bundle)?;
    let features = pool.install(|| features(&prepared, &students, progress))?;
    let teacher_logits = pool.install(|| teacher_logits(&prepared, progress))?;
    let options = head::options(&prepared, &finish);
    let head = head::train(&prepared, &features, &teacher_logits, &options, &mut |_| Ok(()), progress)?;
    let exported = with_head(&prepared, students, &head)?;
    let logits = pool.install(|| partial_logits(&prepared, &exported, progress))?;

    let parts = manifest.parts.iter().map(|part| {
        let of_part = exported.iter().filter(|student| student.reference.part == part.part);
        Part { students: of_part.map(|student| student.card.clone()).collect(), ..part.clone() }
    });
    let retrained = Manifest {
        name: finish.name.clone().unwrap_or_default(),
        version: finish.version.clone().unwrap_or_else(|| manifest.version.clone()),
        parts: parts.collect(),
        merge: Merge { bias: head.bias.clone(), ..manifest.merge.clone() },
        accuracy: combinations(&logits, &head.bias),
        training: training(&bundle, &finish, &head),
        ..manifest.clone()
    };
    let writer = BundleWriter::create(&finish.out, finish.replace)?;
    for student in &exported {
        writer.write(&student.card.file, &student.onnx)?;
    }
    writer.write(PARTIAL_LOGITS_FILE, &logits.to_npz()?)?;
    if let Some(log) = bundle.read_if_there(TRAINING_LOG_FILE)? {
        writer.write(TRAINING_LOG_FILE, &log)?;
    }
    Ok(writer.finish(&retrained)?)
}

fn check_precisions(bundle: &BundleDir) -> Result<(), DistillError> {
    let cards = bundle.manifest().parts.iter().flat_map(|part| &part.students);
    let files: Vec<String> = cards.filter(|card| card.precision != PRECISION).map(|card| card.file.clone()).collect();
    if files.is_empty() { Ok(()) } else { Err(DistillError::Quantised { path: bundle.path().to_owned(), files }) }
}

fn settings(bundle: &BundleDir) -> Result<Settings, DistillError> {
    let settings = bundle.manifest().training.get("settings").cloned().unwrap_or_default();
    serde_json::from_value(settings)
        .map_err(|error| DistillError::NotDistilled { path: bundle.path().to_owned(), reason: error.to_string() })
}

/// What the manifest says of the training: all that still holds, and the new head.
fn training(bundle: &BundleDir, finish: &FinishOptions, head: &JointHead) -> Value {
    let mut training = bundle.manifest().training.clone();
    let before = training["command"].take();
    training["command"] = json!(finish.command);
    training["part_dropout"] = json!(finish.part_dropout);
    training["head"] = json!({ "epoch": head.epoch + 1, "validation_accuracy": head.accuracy });
    training["students_of"] = json!({ "bundle": bundle.digest(), "command": before });
    training
}

/// A student of the bundle.
struct Student<'a> {
    part: PartId,
    card: &'a StudentCard,
    onnx: Vec<u8>,
    file: StudentFile,
}

fn students(bundle: &BundleDir) -> Result<Vec<Student<'_>>, DistillError> {
    let parts = bundle.manifest().parts.iter();
    let cards = parts.flat_map(|part| part.students.iter().map(move |card| (part.part, card)));
    cards
        .map(|(part, card)| {
            let onnx = bundle.student(card)?;
            let file = StudentFile::parse(&onnx)?;
            Ok(Student { part, card, onnx, file })
        })
        .collect()
}

/// What every student makes of the images, by its file up to the head.
fn features(
    prepared: &Prepared,
    students: &[Student<'_>],
    progress: &dyn Progress,
) -> Result<Vec<Features>, DistillError> {
    let count = students.len() as u64;
    let features_of = |(at, student): (usize, &Student<'_>)| {
        progress.advance("features", at as u64, count, &student.card.file);
        let graph = OnnxGraph::parse(&student.onnx)?;
        let session = graph.into_session(&prepared.settings.shape, Some(&[student.file.features()]))?;
        let run = |samples: &Subset<'_>| run_all(&session, samples);
        let (training, validation) = (run(&prepared.training())?, run(&prepared.validation())?);
        Ok(Features { part: student.part, filters: student.file.filters(), training, validation })
    };
    let features = students.iter().enumerate().map(features_of).collect::<Result<_, DistillError>>()?;
    progress.advance("features", count, count, "");
    Ok(features)
}

/// The first output for every image, row by row.
fn run_all(session: &Session, samples: &Subset<'_>) -> Result<Vec<f32>, SessionError> {
    let rows = (0..samples.len()).into_par_iter().map(|index| session.run(&samples.images(index..index + 1)));
    Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
}

fn teacher_logits(prepared: &Prepared, progress: &dyn Progress) -> Result<Vec<f32>, DistillError> {
    let samples = prepared.training();
    progress.advance("teacher's answers", 0, 1, "");
    let rows =
        (0..samples.len()).into_par_iter().map(|index| prepared.teacher.forward(&samples.images(index..index + 1)));
    let rows: Vec<Vec<f32>> = rows.map(|output| output.map(|output| output.logits)).collect::<Result<_, _>>()?;
    progress.advance("teacher's answers", 1, 1, "");
    Ok(rows.concat())
}

/// The students' files with the new head in them.
fn with_head(prepared: &Prepared, students: Vec<Student<'_>>, head: &JointHead) -> Result<Vec<Exported>, DistillError> {
    let pairs = students.into_iter().zip(&head.students);
    pairs
        .map(|(student, head)| {
            let Student { part, card, file, .. } = student;
            let onnx = file.with_head(head)?;
            let session = Session::load(&onnx, &prepared.settings.shape)?;
            let reference = StudentRef { part, arch: card.arch.clone(), precision: card.precision.clone() };
            let card = StudentCard { digest: Digest::of(&onnx), bytes: onnx.len() as u64, ..card.clone() };
            Ok(Exported { card, reference, onnx, session })
        })
        .collect()
}
