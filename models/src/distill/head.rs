//! Stage 4: the head over all students.

use rocoin::id::PartId;

use super::prepare::Prepared;
use super::{DistillError, FinishOptions, Progress};
use crate::train::head::{HeadOptions, HeadStudent, HeadTargets, JointHead, train_head};

/// What a student makes of the images that are trained on and chosen by.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) part: PartId,
    pub(super) filters: usize,
    /// `[training images, filters]`.
    pub(super) training: Vec<f32>,
    /// `[validation images, filters]`.
    pub(super) validation: Vec<f32>,
}

impl Features {
    fn student(&self) -> HeadStudent<'_> {
        HeadStudent { part: self.part, filters: self.filters, training: &self.training, validation: &self.validation }
    }
}

/// How the head is trained: as the students were, but for the part dropout.
pub(super) fn options(prepared: &Prepared, finish: &FinishOptions) -> HeadOptions {
    let train = &prepared.settings.train;
    HeadOptions {
        part_dropout: finish.part_dropout,
        alpha: train.alpha,
        temperature: train.temperature,
        seed: train.seed,
        ..HeadOptions::default()
    }
}

/// Trains the head; `log` gets a line an epoch. `teacher_logits`: the teacher's of each training image, as it is.
pub(super) fn train(
    prepared: &Prepared,
    features: &[Features],
    teacher_logits: &[f32],
    options: &HeadOptions,
    log: &mut dyn FnMut(&str) -> Result<(), DistillError>,
    progress: &dyn Progress,
) -> Result<JointHead, DistillError> {
    let students: Vec<HeadStudent<'_>> = features.iter().map(Features::student).collect();
    let (labels, validation_labels) = (prepared.training().labels(), prepared.validation().labels());
    let targets = HeadTargets {
        labels: &labels,
        teacher_logits,
        validation_labels: &validation_labels,
        classes: prepared.settings.classes,
    };
    let mut log_error = None;
    let head = train_head(&students, &targets, options, &mut |step| {
        let (epoch, loss, accuracy) = (step.epoch + 1, step.loss, step.accuracy);
        log_error = log(&format!("head - - {epoch} {loss:.5} {accuracy:.5} -")).err().or(log_error.take());
        let note = format!("loss {loss:.3}, mean over combinations {:.2} %", 100.0 * accuracy);
        progress.advance("head", epoch as u64, options.epochs as u64, &note);
    })?;
    match log_error {
        Some(error) => Err(error),
        None => Ok(head),
    }
}
