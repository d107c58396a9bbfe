//! Stages 2 and 3: the teacher's answers to every view of the training images, then every student, several side by side.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rocoin::id::{Digest, PartId};

use super::prepare::Prepared;
use super::work::{WorkDir, checkpoint_name};
use super::{DistillError, Progress};
use crate::train::student::{Progress as Step, StudentJob, TrainError, TrainOptions, TrainedStudent, train_student};
use crate::train::views::{TeacherOutput, TeacherViews, ViewsSpec};
use crate::train::{Augment, Samples};
use crate::zoo::{Architecture, Wrn};

/// A trained student and where it belongs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) part: PartId,
    pub(super) arch: String,
    pub(super) trained: TrainedStudent,
}

/// All students with the teacher's answers they were trained on.
#[derive(Debug)]
pub(super) struct Trained {
    /// In part order, each part's in the order of its share.
    pub(super) members: Vec<Member>,
    pub(super) views: TeacherViews,
}

/// One student to train.
#[derive(Debug, Clone)]
struct Task {
    part: usize,
    arch: String,
    architecture: Architecture,
}

/// Trains every student, or those of part `only`; what is finished is only read.
pub(super) fn train(
    prepared: &Prepared,
    work: &WorkDir,
    filters: &[Vec<usize>],
    only: Option<usize>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Trained, DistillError> {
    let views = teacher_views(prepared, work, jobs, progress)?;
    let tasks = tasks(prepared, only)?;
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    // The largest first, so that no thread is left with a large one at the end.
    let weight =
        |task: &Task| Wrn::new(task.architecture, prepared.settings.shape[0], filters[task.part].len()).params();
    order.sort_by_key(|&at| weight(&tasks[at]));
    let queue = Mutex::new(order);
    let results: Mutex<Vec<Option<TrainedStudent>>> = Mutex::new(tasks.iter().map(|_| None).collect());
    let (stop, failure) = (AtomicBool::new(false), Mutex::new(None));
    // A function of its own, so that the queue's lock is not held while a student trains.
    let next = || locked(&queue).pop().filter(|_| !stop.load(Ordering::Relaxed));
    let worker = || {
        while let Some(at) = next() {
            match train_one(prepared, work, &views, filters, &tasks[at], &stop, progress) {
                Ok(student) => locked(&results)[at] = Some(student),
                Err(error) => {
                    // The others stop because of this one; theirs is not the reason.
                    if !stop.swap(true, Ordering::Relaxed) {
                        *locked(&failure) = Some(error);
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, tasks.len().max(1)) {
            scope.spawn(worker);
        }
    });
    if let Some(error) = locked(&failure).take() {
        return Err(error);
    }
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let members = tasks.into_iter().zip(results).filter_map(|(task, trained)| {
        let part = PartId(u16::try_from(task.part).ok()?);
        Some(Member { part, arch: task.arch, trained: trained? })
    });
    Ok(Trained { members: members.collect(), views })
}

/// Takes the checkpoints of `other` that `work` has not.
pub(super) fn collect(prepared: &Prepared, work: &WorkDir, other: &Path) -> Result<(), DistillError> {
    for task in tasks(prepared, None)? {
        let name = checkpoint_name(task.part, &task.arch);
        let (from, to) = (other.join(&name), work.at(&name));
        if from.exists() && !to.exists() {
            let partial = to.with_added_extension("partial");
            let copied = fs::copy(&from, &partial).and_then(|_| fs::rename(&partial, &to));
            copied.map_err(|error| DistillError::Io { path: to.clone(), error })?;
        }
    }
    Ok(())
}

/// Whether every student has a checkpoint; merging is not the time to train one from nothing.
pub(super) fn check_all_started(prepared: &Prepared, work: &WorkDir) -> Result<(), DistillError> {
    let missing: Vec<String> = tasks(prepared, None)?
        .into_iter()
        .filter(|task| !work.at(&checkpoint_name(task.part, &task.arch)).exists())
        .map(|task| format!("part {} {}", task.part, task.arch))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(DistillError::Unfinished { missing }) }
}

fn tasks(prepared: &Prepared, only: Option<usize>) -> Result<Vec<Task>, DistillError> {
    let shares = &prepared.settings.shares;
    let parts = shares.iter().enumerate().filter(|(part, _)| only.is_none_or(|only| only == *part));
    let named = parts.flat_map(|(part, share)| share.students.iter().map(move |arch| (part, arch)));
    named
        .map(|(part, arch)| {
            let architecture = arch.parse().map_err(|error| DistillError::Options(format!("{error}")))?;
            Ok(Task { part, arch: arch.clone(), architecture })
        })
        .collect()
}

fn teacher_views(
    prepared: &Prepared,
    work: &WorkDir,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<TeacherViews, DistillError> {
    let Prepared { teacher, settings, .. } = prepared;
    let extent = match *teacher.map_shape() {
        [height, width] => [height, width],
        ref other => [1, other.iter().product()],
    };
    let preprocess = serde_json::to_string(&settings.teacher_preprocess).unwrap_or_default();
    let spec = ViewsSpec {
        key: format!("{} {} {:?} {preprocess}", settings.teacher, settings.data, settings.validation),
        views: settings.views,
        augment: Augment::usual(&settings.shape),
        seed: settings.train.seed,
        classes: settings.classes,
        filters: teacher.filters(),
        extent,
    };
    let forward = |image: &[f32]| {
        let output = teacher.forward(image).map_err(|error| error.to_string())?;
        Ok(TeacherOutput { logits: output.logits, map: output.map })
    };
    let views = settings.views;
    let report = |step: crate::train::views::ViewsProgress| {
        let done = step.view as u64 * step.images as u64 + step.done as u64;
        progress.advance("teacher's answers", done, u64::from(views) * step.images as u64, "");
    };
    Ok(TeacherViews::prepare(&work.at("views"), spec, &prepared.training(), &forward, jobs, &report)?)
}

fn train_one(
    prepared: &Prepared,
    work: &WorkDir,
    views: &TeacherViews,
    filters: &[Vec<usize>],
    task: &Task,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Result<TrainedStudent, DistillError> {
    let Task { part, arch, architecture } = task;
    let settings = &prepared.settings;
    let (training, validation) = (prepared.training(), prepared.validation());
    let options = TrainOptions { seed: seed_of(settings.train.seed, *part, arch), ..settings.train.clone() };
    let job = StudentJob {
        architecture: *architecture,
        filters: &filters[*part],
        preprocess: &settings.preprocess,
        training: &training,
        validation: &validation,
        views,
        options: &options,
        checkpoint: &work.at(&checkpoint_name(*part, arch)),
    };
    let name = format!("part {part} {arch}");
    let images = training.len() as u64;
    let total = images * options.epochs as u64;
    let mut started = Instant::now();
    let mut log_error = None;
    let mut last = String::new();
    let trained = train_student(&job, &mut |step| {
        match step {
            Step::Batch { epoch, batch, batches, loss, images_per_s } => {
                let done = images * epoch as u64 + images * (batch as u64 + 1) / batches as u64;
                let note = format!("epoch {}, loss {loss:.3}, {images_per_s:.0} images/s{last}", epoch + 1);
                progress.advance(&name, done.min(total - 1), total, &note);
            }
            Step::Epoch(record) => {
                let (epoch, loss, accuracy) = (record.epoch + 1, record.loss, record.accuracy);
                let seconds = started.elapsed().as_secs_f64();
                started = Instant::now();
                last = format!(", {:.2} % after epoch {epoch}", 100.0 * accuracy);
                let line = format!("student {part} {arch} {epoch} {loss:.5} {accuracy:.5} {seconds:.1}");
                log_error = work.log(&line).err();
                progress.advance(&name, images * epoch as u64, total, &format!("loss {loss:.3}{last}"));
            }
        }
        if log_error.is_some() || stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    match (trained, log_error) {
        (Err(TrainError::Stopped), Some(error)) => Err(error),
        (trained, _) => {
            let trained = trained?;
            let best = &trained.best;
            progress.advance(
                &name,
                total,
                total,
                &format!("{:.2} % at epoch {}", 100.0 * best.accuracy, best.epoch + 1),
            );
            Ok(trained)
        }
    }
}

/// Students that start alike and see images in one order would err alike: each has a seed of its own.
fn seed_of(seed: u64, part: usize, arch: &str) -> u64 {
    let Digest(bytes) = Digest::of(format!("{seed} {part} {arch}").as_bytes());
    bytes[..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
