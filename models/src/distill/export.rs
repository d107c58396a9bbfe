//! Stages 4 to 6: the head, the ONNX files, what they are worth together, the bundle.

use rayon::prelude::*;
use rocoin::bundle::{DataCard, InputSpec, Manifest, Merge, Part, SCHEMA, StudentCard, StudentRef, TeacherCard};
use rocoin::id::{Digest, PartId};
use rocoin::planner::zoo::Architecture as Costs;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::head::{self, Features};
use super::parts::pool;
use super::prepare::Prepared;
use super::students::{Member, Trained};
use super::subset::Subset;
use super::work::WorkDir;
use super::{DistillError, FinishOptions, Progress};
use crate::bundle_dir::{BundleDir, BundleWriter, PARTIAL_LOGITS_FILE, TRAINING_LOG_FILE};
use crate::evaluate::{PartialLogits, accuracy, best, combinations};
use crate::session::Session;
use crate::train::Samples;
use crate::train::head::{HeadOptions, JointHead};
use crate::zoo::PartialHead;
use crate::zoo::export::{INPUT, compare, export_student};

/// What every student of a bundle is: weights as trained.
pub(super) const PRECISION: &str = "f32";

/// The version of a new bundle.
const VERSION_DEFAULT: &str = "1";

/// Real images on which every exported student is compared with the trained one.
pub(super) const COMPARED_IMAGES: usize = 64;

/// The most an exported student may differ, as a share of the largest logit: rounding, nothing else.
pub(super) const DIFFERENCE_MAX: f32 = 1e-4;

/// Images a thread takes at a time.
const CHUNK: usize = 256;

const HEAD_PRODUCT: &str = "head.json";

/// Makes the bundle of the trained students.
pub(super) fn bundle(
    prepared: &Prepared,
    work: &WorkDir,
    filters: &[Vec<usize>],
    trained: Trained,
    finish: &FinishOptions,
    progress: &dyn Progress,
) -> Result<BundleDir, DistillError> {
    let pool = pool(finish.jobs)?;
    let head = pool.install(|| joint_head(prepared, work, &trained, finish, progress))?;
    let exported: Vec<Exported> = pool.install(|| {
        let pairs = trained.members.par_iter().zip(&head.students);
        pairs.map(|(member, head)| Exported::new(prepared, member, head)).collect::<Result<_, _>>()
    })?;
    let logits = pool.install(|| partial_logits(prepared, &exported, progress))?;
    let teacher = pool.install(|| teacher_accuracy(prepared, progress))?;
    let manifest = manifest(prepared, filters, &trained.members, &exported, &head, &logits, teacher, finish);
    if let Some(best) = best(&manifest.accuracy) {
        let share = 100.0 * best.accuracy;
        progress.notice(&format!(
            "teacher {:.2} %, best combination {share:.2} % on {} test images",
            100.0 * teacher,
            best.samples
        ));
    }
    write(finish, &exported, &logits, Some(log(&trained.members).as_bytes()), &manifest)
}

/// Writes a bundle, whole or not at all.
pub(super) fn write(
    finish: &FinishOptions,
    exported: &[Exported],
    logits: &PartialLogits,
    log: Option<&[u8]>,
    manifest: &Manifest,
) -> Result<BundleDir, DistillError> {
    let writer = BundleWriter::create(&finish.out, finish.replace)?;
    for student in exported {
        writer.write(&student.card.file, &student.onnx)?;
    }
    writer.write(PARTIAL_LOGITS_FILE, &logits.to_npz()?)?;
    if let Some(log) = log {
        writer.write(TRAINING_LOG_FILE, log)?;
    }
    Ok(writer.finish(manifest)?)
}

/// A line for each epoch of each student, wherever it was trained.
fn log(members: &[Member]) -> String {
    let lines = members.iter().flat_map(|member| {
        let Member { part, arch, trained } = member;
        trained.history.iter().map(move |record| {
            format!("student {part} {arch} {} {:.5} {:.5}\n", record.epoch + 1, record.loss, record.accuracy)
        })
    });
    lines.fold("# student part arch epoch loss val-accuracy\n".to_owned(), |log, line| log + &line)
}

/// `head.json`: a head and how it was trained; whose it is, the work folder's settings say.
#[derive(Serialize, Deserialize)]
struct HeadProduct {
    options: HeadOptions,
    bias: Vec<f32>,
    students: Vec<PartialHead>,
    epoch: usize,
    accuracy: f64,
}

/// The head over all students, read if it was trained with the same options already.
fn joint_head(
    prepared: &Prepared,
    work: &WorkDir,
    trained: &Trained,
    finish: &FinishOptions,
    progress: &dyn Progress,
) -> Result<JointHead, DistillError> {
    let options = head::options(prepared, finish);
    let known: Option<HeadProduct> = work.read_json(HEAD_PRODUCT)?;
    if let Some(HeadProduct { bias, students, epoch, accuracy, .. }) = known.filter(|known| known.options == options) {
        return Ok(JointHead { bias, students, epoch, accuracy });
    }
    let (training, validation, members) = (prepared.training(), prepared.validation(), trained.members.len() as u64);
    let features_of = |(at, member): (usize, &Member)| {
        progress.advance("features", at as u64, members, &member.arch);
        Features {
            part: member.part,
            filters: member.trained.student.filters(),
            training: features(member, &training),
            validation: features(member, &validation),
        }
    };
    let features: Vec<Features> = trained.members.iter().enumerate().map(features_of).collect();
    progress.advance("features", members, members, "");
    let teacher_logits = trained.views.logits(0)?;
    let head = head::train(prepared, &features, &teacher_logits, &options, &mut |line| work.log(line), progress)?;
    let JointHead { bias, students, epoch, accuracy } = head.clone();
    work.write_json(HEAD_PRODUCT, &HeadProduct { options, bias, students, epoch, accuracy })?;
    Ok(head)
}

/// A student's features of all `samples`, row by row.
fn features(member: &Member, samples: &Subset<'_>) -> Vec<f32> {
    let starts: Vec<usize> = (0..samples.len()).step_by(CHUNK).collect();
    let rows = starts.par_iter().map(|&start| {
        let end = (start + CHUNK).min(samples.len());
        member.trained.student.features(&samples.images(start..end))
    });
    rows.collect::<Vec<_>>().concat()
}

/// A student's file, its card and the file loaded again.
pub(super) struct Exported {
    pub(super) card: StudentCard,
    pub(super) reference: StudentRef,
    pub(super) onnx: Vec<u8>,
    pub(super) session: Session,
}

impl Exported {
    /// Exports a student and compares the file, run by tract, with the student as trained.
    fn new(prepared: &Prepared, member: &Member, head: &PartialHead) -> Result<Self, DistillError> {
        let student = &member.trained.student;
        let onnx = export_student(student, head)?;
        let session = Session::load(&onnx, &prepared.settings.shape)?;
        let samples = prepared.validation();
        let count = COMPARED_IMAGES.min(samples.len());
        // A session that fails gives no logits, which is as different as can be.
        let run = |image: &[f32]| session.run(image).unwrap_or_default();
        let relative = compare(student, head, &samples.images(0..count), &run).relative();
        if relative.is_nan() || relative > DIFFERENCE_MAX {
            let (part, arch) = (usize::from(member.part.0), member.arch.clone());
            return Err(DistillError::ExportDiffers { part, arch, relative, limit: DIFFERENCE_MAX, images: count });
        }
        let costs: Costs = member.arch.parse().map_err(|error| DistillError::Options(format!("{error}")))?;
        let cost = costs.cost(&prepared.settings.shape, student.filters(), prepared.settings.classes);
        let card = StudentCard {
            arch: member.arch.clone(),
            precision: PRECISION.to_owned(),
            file: format!("part{}-{}-{PRECISION}.onnx", member.part, member.arch),
            digest: Digest::of(&onnx),
            bytes: onnx.len() as u64,
            memory_bytes: cost.memory_bytes,
            flops: cost.flops,
            params: cost.params,
        };
        let reference = StudentRef { part: member.part, arch: member.arch.clone(), precision: PRECISION.to_owned() };
        Ok(Self { card, reference, onnx, session })
    }
}

/// Every exported student on every test image.
pub(super) fn partial_logits(
    prepared: &Prepared,
    exported: &[Exported],
    progress: &dyn Progress,
) -> Result<PartialLogits, DistillError> {
    let test = &prepared.data.test;
    let mut students = Vec::with_capacity(exported.len());
    for (at, student) in exported.iter().enumerate() {
        progress.advance("test images", at as u64, exported.len() as u64, &student.card.file);
        let rows = (0..test.len()).into_par_iter().map(|index| student.session.run(&test.image_vec(index)));
        let rows: Vec<Vec<f32>> = rows.collect::<Result<_, _>>()?;
        students.push((student.reference.clone(), rows.concat()));
    }
    progress.advance("test images", exported.len() as u64, exported.len() as u64, "");
    Ok(PartialLogits { classes: prepared.settings.classes, labels: test.labels.clone(), students })
}

fn teacher_accuracy(prepared: &Prepared, progress: &dyn Progress) -> Result<f64, DistillError> {
    let test = &prepared.data.test;
    progress.advance("teacher on test images", 0, 1, "");
    let rows = (0..test.len()).into_par_iter().map(|index| prepared.teacher.forward(&test.image_vec(index)));
    let rows: Vec<Vec<f32>> = rows.map(|output| output.map(|output| output.logits)).collect::<Result<_, _>>()?;
    progress.advance("teacher on test images", 1, 1, "");
    Ok(accuracy(&rows.concat(), &test.labels, prepared.settings.classes))
}

#[expect(clippy::too_many_arguments, reason = "a manifest is where everything comes together")]
fn manifest(
    prepared: &Prepared,
    filters: &[Vec<usize>],
    members: &[Member],
    exported: &[Exported],
    head: &JointHead,
    logits: &PartialLogits,
    teacher_accuracy: f64,
    finish: &FinishOptions,
) -> Manifest {
    let Prepared { data, settings, .. } = prepared;
    let parts = (0..).zip(filters).map(|(part, filters)| {
        let of_part = exported.iter().filter(|student| student.reference.part == PartId(part));
        Part {
            part: PartId(part),
            filters: filters.clone(),
            students: of_part.map(|student| student.card.clone()).collect(),
        }
    });
    let best_epochs: Vec<_> = members
        .iter()
        .map(|member| {
            let best = &member.trained.best;
            json!({ "part": member.part, "arch": member.arch, "epoch": best.epoch + 1, "validation_accuracy": best.accuracy })
        })
        .collect();
    Manifest {
        schema: SCHEMA.to_owned(),
        name: finish.name.clone().unwrap_or_else(|| data.name.clone()),
        version: finish.version.clone().unwrap_or_else(|| VERSION_DEFAULT.to_owned()),
        classes: data.classes,
        labels: data.labels.clone(),
        input: InputSpec {
            name: INPUT.to_owned(),
            shape: settings.shape.clone(),
            dtype: "FP32".to_owned(),
            preprocess: settings.preprocess.clone(),
        },
        teacher: TeacherCard { sha256: settings.teacher.clone(), accuracy: teacher_accuracy },
        data: DataCard { name: data.name.clone(), sha256: settings.data.clone() },
        parts: parts.collect(),
        merge: Merge { kind: "sum".to_owned(), bias: head.bias.clone() },
        accuracy: combinations(logits, &head.bias),
        training: json!({
            "command": finish.command,
            "settings": settings,
            "part_dropout": finish.part_dropout,
            "students": best_epochs,
            "head": { "epoch": head.epoch + 1, "validation_accuracy": head.accuracy },
        }),
    }
}
