//! The head of a bundle trained anew; its students stay as they are.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use rocoin::bundle::{Manifest, Merge, Part, StudentCard, StudentRef};
use rocoin::id::{Digest, PartId};
use serde_json::{Value, json};

use super::export::{COMPARED_IMAGES, DIFFERENCE_MAX, Exported, PRECISION, partial_logits, write};
use super::head::{self, Features};
use super::parts::pool;
use super::prepare::Prepared;
use super::subset::Subset;
use super::{DistillError, FinishOptions, Progress, Settings};
use crate::bundle_dir::{BundleDir, BundleWriter, TRAINING_LOG_FILE};
use crate::evaluate::combinations;
use crate::session::{OnnxGraph, Session, SessionError};
use crate::train::Samples as _;
use crate::train::head::JointHead;
use crate::zoo::PartialHead;
use crate::zoo::export::{Difference, StudentFile};

/// Trains the head of the bundle at `path` anew, as `finish` says (its part dropout, above all), and makes a new bundle of the same students.
///
/// Takes the features from the students' files, so that no work folder is needed: one pass of teacher and students over the training images.
///
/// # Errors
/// [`DistillError`], notably [`DistillError::NotDistilled`] and [`DistillError::Quantised`]; nothing was written then.
pub fn retrain_head(path: &Path, finish: &FinishOptions, progress: &dyn Progress) -> Result<BundleDir, DistillError> {
    check_place(path, finish)?;
    let bundle = BundleDir::open(path)?;
    let manifest = bundle.manifest();
    let quantised = bundle.files_not_of(PRECISION);
    if !quantised.is_empty() {
        return Err(DistillError::Quantised { path: path.to_owned(), files: quantised });
    }
    let name = finish.name.clone().unwrap_or_else(|| manifest.name.clone());
    let finish = FinishOptions { name: Some(name.clone()), ..finish.clone() };
    let settings = settings(&bundle)?;
    let students = students(&bundle)?;
    let prepared = Prepared::again(settings, &finish)?;
    let pool = pool(finish.jobs)?;
    let features = pool.install(|| features(&bundle, &prepared, &students, progress))?;
    let teacher_logits = pool.install(|| teacher_logits(&prepared, progress))?;
    let options = head::options(&prepared, &finish);
    let head = head::train(&prepared, &features, &teacher_logits, &options, &mut |_| Ok(()), progress)?;
    let exported = with_head(&prepared, students, &head, &features)?;
    let logits = pool.install(|| partial_logits(&prepared, &exported, progress))?;

    let parts = manifest.parts.iter().map(|part| {
        let of_part = exported.iter().filter(|student| student.reference.part == part.part);
        Part { students: of_part.map(|student| student.card.clone()).collect(), ..part.clone() }
    });
    let retrained = Manifest {
        name,
        version: finish.version.clone().unwrap_or_else(|| manifest.version.clone()),
        parts: parts.collect(),
        merge: Merge { bias: head.bias.clone(), ..manifest.merge.clone() },
        accuracy: combinations(&logits, &head.bias),
        training: training(&bundle, &finish, &head),
        ..manifest.clone()
    };
    let log = bundle.read_if_there(TRAINING_LOG_FILE)?;
    write(&finish, &exported, &logits, log.as_deref(), &retrained)
}

/// Before all else: the new bundle must not take the place of the old one, which may have more in its folder than a bundle has.
fn check_place(path: &Path, finish: &FinishOptions) -> Result<(), DistillError> {
    let real = |path: &Path| path.canonicalize().ok();
    if real(path).is_some_and(|path| Some(path) == real(&finish.out)) {
        let problem = "--out is the bundle itself, which is only read; give another place, and move it afterwards";
        return Err(DistillError::Options(problem.to_owned()));
    }
    Ok(BundleWriter::check_free(&finish.out, finish.replace)?)
}

/// What the manifest says of the training, if that fits the rest of it.
fn settings(bundle: &BundleDir) -> Result<Settings, DistillError> {
    let manifest = bundle.manifest();
    let refused = |reason: String| DistillError::NotDistilled { path: bundle.path().to_owned(), reason };
    let settings = manifest.training.get("settings").cloned().unwrap_or_default();
    let settings: Settings = serde_json::from_value(settings).map_err(|error| refused(error.to_string()))?;
    let same = [
        ("shape", settings.shape == manifest.input.shape),
        ("classes", settings.classes == manifest.classes),
        ("teacher", settings.teacher == manifest.teacher.sha256),
        ("data", settings.data == manifest.data.sha256),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(refused(format!("its {field} is another than that of the bundle"))),
        None => Ok(settings),
    }
}

/// What the manifest says of the training: all that still holds, the new head, and what the students were first made with.
fn training(bundle: &BundleDir, finish: &FinishOptions, head: &JointHead) -> Value {
    let mut training = bundle.manifest().training.clone();
    let before = training["command"].take();
    if training.get("students_of").is_none() {
        training["students_of"] = json!({ "bundle": bundle.digest(), "command": before });
    }
    training["command"] = json!(finish.command);
    training["part_dropout"] = json!(finish.part_dropout);
    training["head"] = json!({ "epoch": head.epoch + 1, "validation_accuracy": head.accuracy });
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
    let classes = bundle.manifest().classes;
    let parts = bundle.manifest().parts.iter();
    let cards = parts.flat_map(|part| part.students.iter().map(move |card| (part, card)));
    cards
        .map(|(part, card)| {
            let onnx = bundle.student(card)?;
            let refused = |reason: String| DistillError::NoHead {
                path: bundle.path().to_owned(),
                file: card.file.clone(),
                reason,
            };
            let file = StudentFile::parse(&onnx).map_err(|error| refused(error.to_string()))?;
            let (found, expected) = ((file.filters(), file.classes()), (part.filters.len(), classes));
            if found != expected {
                return Err(refused(format!("it has {found:?} features and classes, the manifest {expected:?}")));
            }
            Ok(Student { part: part.part, card, onnx, file })
        })
        .collect()
}

/// What every student makes of the images, by its file up to the head.
fn features(
    bundle: &BundleDir,
    prepared: &Prepared,
    students: &[Student<'_>],
    progress: &dyn Progress,
) -> Result<Vec<Features>, DistillError> {
    let count = students.len() as u64;
    let features_of = |(at, student): (usize, &Student<'_>)| {
        progress.advance("features", at as u64, count, &student.card.file);
        let run = |samples: &[Subset<'_>; 2]| -> Result<[Vec<f32>; 2], SessionError> {
            let graph = OnnxGraph::parse(&student.onnx)?;
            let session = graph.into_session(&prepared.settings.shape, Some(&[student.file.features()]))?;
            Ok([run_all(&session, &samples[0])?, run_all(&session, &samples[1])?])
        };
        let [training, validation] = run(&[prepared.training(), prepared.validation()]).map_err(|error| {
            let (path, file) = (bundle.path().to_owned(), student.card.file.clone());
            DistillError::NoHead { path, file, reason: error.to_string() }
        })?;
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
    let done = AtomicU64::new(0);
    let logits_of = |index: usize| -> Result<Vec<f32>, DistillError> {
        let output = prepared.teacher.forward(&samples.images(index..index + 1))?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress.advance("teacher's answers", done, samples.len() as u64, "");
        Ok(output.logits)
    };
    let rows: Vec<Vec<f32>> = (0..samples.len()).into_par_iter().map(logits_of).collect::<Result<_, _>>()?;
    Ok(rows.concat())
}

/// The students' files with the new head in them, each compared with that head on some images.
fn with_head(
    prepared: &Prepared,
    students: Vec<Student<'_>>,
    head: &JointHead,
    features: &[Features],
) -> Result<Vec<Exported>, DistillError> {
    let each = students.into_iter().zip(&head.students).zip(features);
    each.map(|((student, head), features)| {
        let Student { part, card, file, .. } = student;
        let onnx = file.with_head(head)?;
        let session = Session::load(&onnx, &prepared.settings.shape)?;
        let (relative, images) = difference(prepared, &session, head, features);
        if relative.is_nan() || relative > DIFFERENCE_MAX {
            let (part, arch) = (usize::from(part.0), card.arch.clone());
            return Err(DistillError::ExportDiffers { part, arch, relative, limit: DIFFERENCE_MAX, images });
        }
        let reference = StudentRef { part, arch: card.arch.clone(), precision: card.precision.clone() };
        let card = StudentCard { digest: Digest::of(&onnx), bytes: onnx.len() as u64, ..card.clone() };
        Ok(Exported { card, reference, onnx, session })
    })
    .collect()
}

/// How far the file's partial logits are from the head's of the same features, as a share of the largest; on how many validation images.
fn difference(prepared: &Prepared, session: &Session, head: &PartialHead, features: &Features) -> (f32, usize) {
    let samples = prepared.validation();
    let images = COMPARED_IMAGES.min(samples.len());
    let rows = features.validation.chunks_exact(features.filters).take(images).enumerate();
    // A session that fails gives no logits, which is as different as can be.
    let found = |index: usize| session.run(&samples.images(index..index + 1)).unwrap_or_default();
    (Difference::of(rows.map(|(index, row)| (head.partial_logits(row), found(index)))).relative(), images)
}
