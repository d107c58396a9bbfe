//! Training one student by itself, in the calling thread, from checkpoint to checkpoint.
//!
//! The student has a head of its own, which is thrown away later: it carries the label and the teacher's logits to the body, and
//! tells on the validation images which epoch was the best. The order of images and the views depend on seed and epoch alone, so
//! a run that is resumed gives the same numbers as one that never stopped.

use std::ops::ControlFlow;
use std::path::Path;

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use rocoin::bundle::Preprocess;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::checkpoint::{Checkpoint, CheckpointError, Section};
use super::loss::{Mixture, Targets};
use super::samples::Samples;
use super::sgd::{OneCycle, Sgd};
use super::views::{TeacherViews, ViewsError};
use crate::zoo::random::Random;
use crate::zoo::{Architecture, PartialHead, Student, StudentError, Training, extent, ops};

/// Stream numbers of the seed: the zoo's initialisation uses the small ones.
const ORDER_STREAM: u64 = 1 << 32;
const HEAD_STREAM: u64 = 1 << 33;

/// Validation images in one go.
const VALIDATION_CHUNK: usize = 256;

/// How a student is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainOptions {
    /// Times every image is seen. Epoch e sees view e mod V.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,
    /// α: the teacher's share against the label's.
    pub alpha: f32,
    /// T: how soft the logits are compared.
    pub temperature: f32,
    /// β: weight of the squared distance of the maps, each normalised per image.
    pub beta: f32,
    /// Peak of the one-cycle learning rate.
    pub learning_rate: f32,
    /// Nesterov's.
    pub momentum: f32,
    /// Of convolutions and the head's weights; norms and constants do not decay.
    pub weight_decay: f32,
    /// Of initialisation and order.
    pub seed: u64,
}

impl Default for TrainOptions {
    /// α and T are NoNN's; the others were tried with another framework on Fashion-MNIST and CIFAR-10.
    fn default() -> Self {
        Self {
            epochs: 12,
            batch: 128,
            alpha: 0.9,
            temperature: 4.0,
            beta: 50.0,
            learning_rate: 0.1,
            momentum: 0.9,
            weight_decay: 5e-4,
            seed: 0,
        }
    }
}

/// One student to train.
#[derive(Clone, Copy)]
pub struct StudentJob<'a> {
    /// Which of the zoo.
    pub architecture: Architecture,
    /// The teacher's filters of its part.
    pub filters: &'a [usize],
    /// What it does to a raw image first.
    pub preprocess: &'a Preprocess,
    /// What the views are of, in their order.
    pub training: &'a dyn Samples,
    /// What the best epoch is chosen on.
    pub validation: &'a dyn Samples,
    /// The teacher's answers.
    pub views: &'a TeacherViews,
    /// How it is trained.
    pub options: &'a TrainOptions,
    /// Where its state is kept after every epoch; if there is one of this job, training goes on from it.
    pub checkpoint: &'a Path,
}

impl std::fmt::Debug for StudentJob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StudentJob")
            .field("architecture", &self.architecture)
            .field("filters", &self.filters)
            .field("options", self.options)
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

/// How an epoch went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 0.
    pub epoch: usize,
    /// Mean over its batches.
    pub loss: f32,
    /// Of the student with its own head on the validation images, 0 to 1.
    pub accuracy: f64,
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// After a batch.
    Batch {
        /// From 0.
        epoch: usize,
        /// From 0.
        batch: usize,
        /// In the epoch.
        batches: usize,
        /// Of this batch.
        loss: f32,
        /// Over the epoch so far.
        images_per_s: f64,
    },
    /// After an epoch, its checkpoint written.
    Epoch(EpochRecord),
}

/// A student at its best epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedStudent {
    /// Its network.
    pub student: Student,
    /// The head it was trained with; not for use with other parts.
    pub head: PartialHead,
    /// The best epoch's record.
    pub best: EpochRecord,
    /// All epochs.
    pub history: Vec<EpochRecord>,
}

/// Training that did not end. The last checkpoint is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The network cannot be.
    #[error(transparent)]
    Student(#[from] StudentError),
    /// The teacher's answers cannot be read.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The job contradicts itself.
    #[error("cannot train {architecture}: {reason}")]
    Job {
        /// The student's.
        architecture: Architecture,
        /// What is wrong.
        reason: String,
    },
    /// The loss is no longer a number.
    #[error(
        "{architecture} diverged in epoch {epoch}, batch {batch}: the loss is {loss}; lower the learning rate or beta"
    )]
    Diverged {
        /// The student's.
        architecture: Architecture,
        /// From 0.
        epoch: usize,
        /// From 0.
        batch: usize,
        /// NaN or infinite.
        loss: f32,
    },
    /// The progress callback asked for it.
    #[error("training was stopped; the same command goes on from the last whole epoch")]
    Stopped,
}

/// Trains a student, or goes on where its checkpoint ends; a finished one is only read.
///
/// # Errors
/// [`TrainError`]; at most the epoch in work is lost.
pub fn train_student(
    job: &StudentJob<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrainedStudent, TrainError> {
    job.check()?;
    let mut run = Run::new(job)?;
    if let Some(checkpoint) = Checkpoint::load(job.checkpoint, &job.description())? {
        run.restore(checkpoint).ok_or_else(|| CheckpointError::Damaged(job.checkpoint.to_owned()))?;
    }
    for epoch in run.history.len()..job.options.epochs {
        let loss = run.epoch(job, epoch, progress)?;
        let record = EpochRecord { epoch, loss, accuracy: accuracy(&run.student, &run.head, job.validation) };
        run.finish(record);
        run.checkpoint(job).save(job.checkpoint)?;
        if progress(Progress::Epoch(record)).is_break() && epoch + 1 < job.options.epochs {
            return Err(TrainError::Stopped);
        }
    }
    let Run { mut student, best, history, .. } = run;
    let (best, head, trained, running) = best.ok_or_else(|| job.error("there is no epoch to train"))?;
    (student.weights.trained, student.weights.running) = (trained, running);
    Ok(TrainedStudent { student, head, best, history })
}

/// Share of samples whose largest logit, by a student alone, is at their label.
pub fn accuracy(student: &Student, head: &PartialHead, samples: &dyn Samples) -> f64 {
    let indices: Vec<usize> = (0..samples.len()).collect();
    let mut right = 0;
    for chunk in indices.chunks(VALIDATION_CHUNK) {
        let images: Vec<f32> = chunk.iter().flat_map(|&index| image(samples, index)).collect();
        let logits = head.partial_logits(&student.features(&images));
        let answers = logits.chunks_exact(head.classes()).map(argmax);
        right += chunk.iter().zip(answers).filter(|(index, answer)| samples.label(**index) == *answer).count();
    }
    right as f64 / samples.len() as f64
}

pub(crate) fn image(samples: &dyn Samples, index: usize) -> Vec<f32> {
    let mut image = vec![0.0; samples.shape().iter().product()];
    samples.image(index, &mut image);
    image
}

pub(crate) fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
}

impl StudentJob<'_> {
    fn error(&self, reason: impl Into<String>) -> TrainError {
        TrainError::Job { architecture: self.architecture, reason: reason.into() }
    }

    fn check(&self) -> Result<(), TrainError> {
        let spec = self.views.spec();
        if self.training.len() < 2 || self.validation.is_empty() || self.options.batch < 2 {
            return Err(
                self.error("it takes two training images, one validation image and two images a batch at least")
            );
        }
        if self.training.len() != self.views.images() || self.training.shape() != self.validation.shape() {
            return Err(self
                .error("the training images, the teacher's answers and the validation images do not belong together"));
        }
        if let Some(filter) = self.filters.iter().find(|&&filter| filter >= spec.filters) {
            return Err(self.error(format!("filter {filter} is none of the teacher's {}", spec.filters)));
        }
        for (what, samples) in [("training", self.training), ("validation", self.validation)] {
            if let Some(index) = (0..samples.len()).find(|&index| samples.label(index) >= spec.classes) {
                let label = samples.label(index);
                return Err(self
                    .error(format!("{what} image {index} has label {label}, but there are {} classes", spec.classes)));
            }
        }
        Ok(())
    }

    /// Everything the result depends on.
    fn description(&self) -> serde_json::Value {
        json!({
            "architecture": self.architecture.to_string(),
            "filters": self.filters,
            "preprocess": self.preprocess,
            "validation": self.validation.len(),
            "views": self.views.spec(),
            "options": self.options,
        })
    }
}

type Best = (EpochRecord, PartialHead, Section, Section);

/// A training run between two batches.
struct Run {
    student: Student,
    head: PartialHead,
    sgd: Sgd,
    history: Vec<EpochRecord>,
    best: Option<Best>,
}

#[derive(Serialize, Deserialize)]
struct Facts {
    history: Vec<EpochRecord>,
    best: Option<EpochRecord>,
}

impl Run {
    fn new(job: &StudentJob<'_>) -> Result<Self, TrainError> {
        let TrainOptions { seed, momentum, weight_decay, .. } = *job.options;
        let filters = job.filters.len();
        let student = Student::new(job.architecture, job.training.shape(), job.preprocess.clone(), filters, seed)?;
        let classes = job.views.spec().classes;
        let mut random = Random::new(seed, HEAD_STREAM);
        let deviation = (1.0 / filters as f32).sqrt();
        let weight = (0..classes * filters).map(|_| deviation * random.normal()).collect();
        let head = PartialHead { weight, constant: vec![0.0; classes] };
        let mut run =
            Self { student, head, sgd: Sgd::new(&[], momentum, weight_decay), history: Vec::new(), best: None };
        run.sgd = Sgd::new(&run.parameters(), momentum, weight_decay);
        Ok(run)
    }

    /// All trained numbers: the student's, then the head's.
    fn parameters(&self) -> Section {
        let head = [self.head.weight.clone(), self.head.constant.clone()];
        self.student.weights.trained.iter().cloned().chain(head).collect()
    }

    fn epoch(
        &mut self,
        job: &StudentJob<'_>,
        epoch: usize,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<f32, TrainError> {
        let start = Instant::now();
        let mut order: Vec<usize> = (0..job.training.len()).collect();
        Random::new(job.options.seed, ORDER_STREAM | epoch as u64).shuffle(&mut order);
        // The last images that fill no batch are left out: the order changes with every epoch.
        let size = job.options.batch.min(order.len());
        let batches = order.len() / size;
        let cycle = OneCycle { peak: job.options.learning_rate, steps: batches * job.options.epochs };
        let view = u32::try_from(epoch % job.views.spec().views as usize).expect("below the number of views");
        let mut sum = 0.0;
        for (batch, indices) in order.chunks_exact(size).enumerate() {
            let loss = self.step(job, indices, view, cycle.rate(epoch * batches + batch))?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { architecture: job.architecture, epoch, batch, loss });
            }
            sum += loss;
            let images_per_s = ((batch + 1) * size) as f64 / start.elapsed().as_secs_f64();
            if progress(Progress::Batch { epoch, batch, batches, loss, images_per_s }).is_break() {
                return Err(TrainError::Stopped);
            }
        }
        Ok(sum / batches as f32)
    }

    /// One batch: its loss, before the step.
    fn step(&mut self, job: &StudentJob<'_>, indices: &[usize], view: u32, rate: f32) -> Result<f32, TrainError> {
        let device = Device::flex().autodiff();
        let mut images: Vec<f32> =
            indices.iter().flat_map(|&index| job.views.image(job.training, view, index)).collect();
        self.student.preprocess(&mut images);
        let [channels, height, width] = extent(job.training.shape()).expect("the student has this shape");
        let net = self.student.net();
        let mut layers = Training::new(net, &self.student.weights, &device);
        let map = net.walk(&mut layers, ops::maps(images, [indices.len(), channels, height, width], &device));

        let classes = self.head.classes();
        let weight = TensorData::new(self.head.weight.clone(), [classes, net.filters()]);
        let weight = Tensor::<2>::from_data(weight, &device).require_grad();
        let constant = TensorData::new(self.head.constant.clone(), [1, classes]);
        let constant = Tensor::<2>::from_data(constant, &device).require_grad();
        let logits = ops::pool(map.clone()).matmul(weight.clone().transpose()) + constant.clone();

        let teacher = job.views.batch(view, indices, job.filters)?;
        let (theirs, ours) = (job.views.spec().extent, net.map_extent([height, width]));
        let smaller = [0, 1].map(|axis| theirs[axis].min(ours[axis]));
        let target = ops::maps(teacher.maps, [indices.len(), job.filters.len(), theirs[0], theirs[1]], &device);
        let labels: Vec<usize> = indices.iter().map(|&index| job.training.label(index)).collect();
        let targets = Targets::new(&labels, teacher.logits, ops::shrink(target, smaller), &device);
        let TrainOptions { alpha, temperature, beta, .. } = *job.options;
        let terms = targets.terms(logits, ops::shrink(map, smaller), temperature);
        let loss = terms.total(&Mixture { alpha, temperature, beta });

        let value = ops::numbers(loss.clone())[0];
        if value.is_finite() {
            let mut gradients = loss.backward();
            let convs = layers.convs.iter().map(|leaf| leaf.grad_remove(&mut gradients).map(ops::numbers));
            let mut lists: Vec<Option<Vec<f32>>> = convs.collect();
            lists.extend(layers.norms.iter().map(|leaf| leaf.grad_remove(&mut gradients).map(ops::numbers)));
            lists.extend([weight, constant].iter().map(|leaf| leaf.grad_remove(&mut gradients).map(ops::numbers)));
            self.update(&lists, rate);
            for (norm, statistics) in layers.statistics.into_iter().enumerate() {
                let [mean, variance] = statistics.expect("the walk passes every norm").map(ops::numbers);
                self.student.weights.update_running(norm, &mean, &variance);
            }
        }
        Ok(value)
    }

    fn update(&mut self, gradients: &[Option<Vec<f32>>], rate: f32) {
        let convs = self.student.weights.conv_count();
        let head = self.student.weights.trained.len();
        let lists = self.student.weights.trained.iter_mut().chain([&mut self.head.weight, &mut self.head.constant]);
        for (index, (values, gradient)) in lists.zip(gradients).enumerate() {
            let gradient = gradient.as_ref().expect("every parameter is in the graph of the loss");
            self.sgd.step(index, values, gradient, rate, index < convs || index == head);
        }
    }

    fn finish(&mut self, record: EpochRecord) {
        self.history.push(record);
        if self.best.as_ref().is_none_or(|(best, ..)| record.accuracy > best.accuracy) {
            let weights = &self.student.weights;
            self.best = Some((record, self.head.clone(), weights.trained.clone(), weights.running.clone()));
        }
    }

    fn checkpoint(&self, job: &StudentJob<'_>) -> Checkpoint {
        let mut sections = vec![self.parameters(), self.student.weights.running.clone(), self.sgd.velocity.clone()];
        if let Some((_, head, trained, running)) = &self.best {
            sections.extend([trained.clone(), running.clone(), vec![head.weight.clone(), head.constant.clone()]]);
        }
        let facts = Facts { history: self.history.clone(), best: self.best.as_ref().map(|(record, ..)| *record) };
        let facts = serde_json::to_value(facts).expect("facts are plain data");
        Checkpoint { job: job.description(), facts, sections }
    }

    /// `None`, if the checkpoint is not of this shape.
    fn restore(&mut self, checkpoint: Checkpoint) -> Option<()> {
        let facts: Facts = serde_json::from_value(checkpoint.facts).ok()?;
        let mut sections = checkpoint.sections.into_iter();
        let mut like = |shape: &Section| {
            let section = sections.next()?;
            let same = section.len() == shape.len() && section.iter().zip(shape).all(|(a, b)| a.len() == b.len());
            same.then_some(section)
        };
        let (parameters, running) = (self.parameters(), self.student.weights.running.clone());
        let mut trained = like(&parameters)?;
        self.student.weights.running = like(&running)?;
        self.sgd.velocity = like(&parameters)?;
        let head = trained.split_off(trained.len() - 2);
        self.best = match facts.best {
            Some(record) => {
                let (trained, running) = (like(&trained)?, like(&running)?);
                Some((record, partial_head(like(&head)?)?, trained, running))
            }
            None => None,
        };
        self.head = partial_head(head)?;
        self.student.weights.trained = trained;
        self.history = facts.history;
        Some(())
    }
}

fn partial_head(section: Section) -> Option<PartialHead> {
    let [weight, constant] = section.try_into().ok()?;
    Some(PartialHead { weight, constant })
}

#[cfg(test)]
mod tests;
