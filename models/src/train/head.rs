//! One head over all students, trained after them: nobody knows which parts will answer, so it learns with parts missing.
//!
//! `logits = b + Σ_k (W_k · features_k + c_k)` over the parts present. For every batch and part either one of its students is drawn
//! or, with probability q (**part dropout**, ours), none; each student has a W and c of its own, b is shared. The loss is NoNN's
//! without its map term. Features are standardised while training and the standardisation is folded into W and c, so that an
//! absent part takes its constant with it. A linear model this small needs no tensor library.

use rocoin::id::PartId;
use serde::{Deserialize, Serialize};

use super::sgd::{OneCycle, Sgd};
use super::student::argmax;
use crate::zoo::PartialHead;
use crate::zoo::random::Random;

/// Combinations of students on which an epoch is judged, at most; more are sampled.
const COMBINATIONS_MAX: usize = 256;

/// Nesterov's momentum and the weight decay, as for students.
const MOMENTUM: f32 = 0.9;
const WEIGHT_DECAY: f32 = 5e-4;

/// How the head is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadOptions {
    /// q: how often a part is absent in training.
    pub part_dropout: f32,
    /// Times every row of features is seen.
    pub epochs: usize,
    /// Rows a step.
    pub batch: usize,
    /// α: the teacher's share against the label's.
    pub alpha: f32,
    /// T: how soft the logits are compared.
    pub temperature: f32,
    /// Peak of the one-cycle learning rate.
    pub learning_rate: f32,
    /// Of the order and of what is absent.
    pub seed: u64,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self { part_dropout: 0.3, epochs: 15, batch: 128, alpha: 0.9, temperature: 4.0, learning_rate: 0.02, seed: 0 }
    }
}

/// What the head sees of one student.
#[derive(Debug, Clone, Copy)]
pub struct HeadStudent<'a> {
    /// The part it holds.
    pub part: PartId,
    /// Width of its features.
    pub filters: usize,
    /// `[training rows, filters]`.
    pub training: &'a [f32],
    /// `[validation rows, filters]`.
    pub validation: &'a [f32],
}

/// What the head is to learn; rows may be several views of an image.
#[derive(Debug, Clone, Copy)]
pub struct HeadTargets<'a> {
    /// A label a training row.
    pub labels: &'a [usize],
    /// The teacher's, `[training rows, classes]`.
    pub teacher_logits: &'a [f32],
    /// A label a validation row.
    pub validation_labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
}

/// A head over all students.
#[derive(Debug, Clone, PartialEq)]
pub struct JointHead {
    /// b, `[classes]`.
    pub bias: Vec<f32>,
    /// W and c of each student, in the order given.
    pub students: Vec<PartialHead>,
    /// The epoch it is of, from 0.
    pub epoch: usize,
    /// Accuracy on the validation rows, mean over the combinations with at least one part, 0 to 1.
    pub accuracy: f64,
}

/// A head that cannot be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Lengths that do not belong together.
    #[error("cannot train the head: {0}")]
    Input(String),
    /// The loss is no longer a number.
    #[error("the head diverged in epoch {epoch}; lower its learning rate")]
    Diverged {
        /// From 0.
        epoch: usize,
    },
}

/// After an epoch of the head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadProgress {
    /// From 0.
    pub epoch: usize,
    /// Mean over the epoch.
    pub loss: f32,
    /// As [`JointHead::accuracy`].
    pub accuracy: f64,
}

/// Trains the head over `students`; the parts are those they name.
///
/// # Errors
/// [`HeadError`].
pub fn train_head(
    students: &[HeadStudent<'_>],
    targets: &HeadTargets<'_>,
    options: &HeadOptions,
    progress: &mut dyn FnMut(HeadProgress),
) -> Result<JointHead, HeadError> {
    check(students, targets, options)?;
    let standard: Vec<Standard> = students.iter().map(Standard::new).collect();
    let features: Vec<Vec<f32>> = students.iter().zip(&standard).map(|(s, by)| by.apply(s.training)).collect();
    let mut head = Raw::new(students, targets.classes);
    let mut random = Random::new(options.seed, 0);
    let groups = by_part(students);
    let combinations = combinations(&groups, &mut random);
    let mut order: Vec<usize> = (0..targets.labels.len()).collect();
    let size = options.batch.min(order.len());
    let steps = order.len() / size;
    let cycle = OneCycle { peak: options.learning_rate, steps: steps * options.epochs };
    let mut best: Option<JointHead> = None;
    for epoch in 0..options.epochs {
        random.shuffle(&mut order);
        let mut sum = 0.0;
        for (step, rows) in order.chunks_exact(size).enumerate() {
            let present = draw(&groups, options.part_dropout, &mut random);
            sum += head.step(&features, targets, options, rows, &present, cycle.rate(epoch * steps + step));
        }
        let loss = sum / steps as f32;
        if !loss.is_finite() {
            return Err(HeadError::Diverged { epoch });
        }
        let folded = head.folded(&standard);
        let accuracy = mean_accuracy(&folded, &head.parameters[0], students, targets, &combinations);
        progress(HeadProgress { epoch, loss, accuracy });
        if best.as_ref().is_none_or(|best| accuracy > best.accuracy) {
            best = Some(JointHead { bias: head.parameters[0].clone(), students: folded, epoch, accuracy });
        }
    }
    best.ok_or_else(|| HeadError::Input("there is no epoch to train".to_owned()))
}

fn check(students: &[HeadStudent<'_>], targets: &HeadTargets<'_>, options: &HeadOptions) -> Result<(), HeadError> {
    let [rows, validation] = [targets.labels.len(), targets.validation_labels.len()];
    let fits =
        |s: &HeadStudent<'_>| s.training.len() == rows * s.filters && s.validation.len() == validation * s.filters;
    let labels = targets.labels.iter().chain(targets.validation_labels).all(|&label| label < targets.classes);
    let wrong = if students.is_empty() || rows == 0 || validation == 0 {
        "there are no students, no training rows or no validation rows"
    } else if targets.teacher_logits.len() != rows * targets.classes || !students.iter().all(fits) {
        "features, labels and the teacher's logits are not of the same number of rows"
    } else if !labels {
        "a label is not below the number of classes"
    } else if options.batch == 0 || !(0.0..1.0).contains(&options.part_dropout) {
        "the batch must be at least 1 and the part dropout at least 0 and below 1"
    } else {
        return Ok(());
    };
    Err(HeadError::Input(wrong.to_owned()))
}

/// The students of each part, by their index.
fn by_part(students: &[HeadStudent<'_>]) -> Vec<Vec<usize>> {
    let mut parts: Vec<PartId> = students.iter().map(|student| student.part).collect();
    parts.sort_unstable();
    parts.dedup();
    parts.iter().map(|part| (0..students.len()).filter(|&i| students[i].part == *part).collect()).collect()
}

/// For each part one of its students or none, but not none of all.
fn draw(groups: &[Vec<usize>], dropout: f32, random: &mut Random) -> Vec<usize> {
    loop {
        let mut present = Vec::new();
        for group in groups {
            let student = group[random.below(group.len())];
            if random.unit() >= dropout {
                present.push(student);
            }
        }
        if !present.is_empty() {
            return present;
        }
    }
}

/// Every combination with at least one part, or a sample of them.
fn combinations(groups: &[Vec<usize>], random: &mut Random) -> Vec<Vec<usize>> {
    let total = groups.iter().try_fold(1_usize, |product, group| product.checked_mul(group.len() + 1));
    if total.is_none_or(|total| total > COMBINATIONS_MAX + 1) {
        return (0..COMBINATIONS_MAX).map(|_| draw(groups, 0.5, random)).collect();
    }
    let mut all = vec![Vec::new()];
    for group in groups {
        let with =
            |student: &usize| all.iter().map(|c: &Vec<usize>| [c.as_slice(), &[*student]].concat()).collect::<Vec<_>>();
        let longer: Vec<Vec<usize>> = group.iter().flat_map(with).collect();
        all.extend(longer);
    }
    all.retain(|combination| !combination.is_empty());
    all
}

fn mean_accuracy(
    heads: &[PartialHead],
    bias: &[f32],
    students: &[HeadStudent<'_>],
    targets: &HeadTargets<'_>,
    combinations: &[Vec<usize>],
) -> f64 {
    let partial: Vec<Vec<f32>> = heads.iter().zip(students).map(|(h, s)| h.partial_logits(s.validation)).collect();
    let mut right = 0;
    for combination in combinations {
        for (row, &label) in targets.validation_labels.iter().enumerate() {
            let mut logits = bias.to_vec();
            for &student in combination {
                add(&mut logits, &partial[student][row * targets.classes..][..targets.classes], 1.0);
            }
            right += usize::from(argmax(&logits) == label);
        }
    }
    right as f64 / (combinations.len() * targets.validation_labels.len()) as f64
}

/// Mean and deviation of each feature of a student.
struct Standard {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Standard {
    fn new(student: &HeadStudent<'_>) -> Self {
        let rows = (student.training.len() / student.filters) as f64;
        let moment = |feature: usize, about: f64, power: i32| {
            let column = student.training.iter().skip(feature).step_by(student.filters);
            column.map(|&x| (f64::from(x) - about).powi(power)).sum::<f64>() / rows
        };
        let (mean, deviation) = (0..student.filters)
            .map(|feature| {
                let mean = moment(feature, 0.0, 1);
                let deviation = moment(feature, mean, 2).sqrt();
                // A dead feature says nothing: it is not to be blown up.
                (single(mean), if deviation > 1e-6 { single(deviation) } else { 1.0 })
            })
            .unzip();
        Self { mean, deviation }
    }

    fn apply(&self, features: &[f32]) -> Vec<f32> {
        let by = self.mean.iter().zip(&self.deviation).cycle();
        features.iter().zip(by).map(|(x, (mean, deviation))| (x - mean) / deviation).collect()
    }

    /// The same function of the features as they are.
    fn fold(&self, weight: &[f32], constant: &[f32]) -> PartialHead {
        let by = self.deviation.iter().cycle();
        let weight: Vec<f32> = weight.iter().zip(by).map(|(w, deviation)| w / deviation).collect();
        let shift = |row: &[f32]| row.iter().zip(&self.mean).map(|(w, mean)| w * mean).sum::<f32>();
        let constant =
            constant.iter().zip(weight.chunks_exact(self.mean.len())).map(|(c, row)| c - shift(row)).collect();
        PartialHead { weight, constant }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a sum was taken in double precision to be rounded once")]
fn single(value: f64) -> f32 {
    value as f32
}

/// The head on standardised features: b, then W and c of each student.
struct Raw {
    parameters: Vec<Vec<f32>>,
    sgd: Sgd,
    filters: Vec<usize>,
}

impl Raw {
    fn new(students: &[HeadStudent<'_>], classes: usize) -> Self {
        let mut parameters = vec![vec![0.0; classes]];
        for student in students {
            parameters.extend([vec![0.0; classes * student.filters], vec![0.0; classes]]);
        }
        let sgd = Sgd::new(&parameters, MOMENTUM, WEIGHT_DECAY);
        Self { parameters, sgd, filters: students.iter().map(|student| student.filters).collect() }
    }

    fn folded(&self, standard: &[Standard]) -> Vec<PartialHead> {
        let pairs = self.parameters[1..].as_chunks::<2>().0.iter().zip(standard);
        pairs.map(|([weight, constant], standard)| standard.fold(weight, constant)).collect()
    }

    /// One batch: its mean loss, before the step.
    fn step(
        &mut self,
        features: &[Vec<f32>],
        targets: &HeadTargets<'_>,
        options: &HeadOptions,
        rows: &[usize],
        present: &[usize],
        rate: f32,
    ) -> f32 {
        let mut touched = vec![0];
        touched.extend(present.iter().flat_map(|student| [1 + 2 * student, 2 + 2 * student]));
        let mut gradients: Vec<Vec<f32>> = touched.iter().map(|&list| vec![0.0; self.parameters[list].len()]).collect();
        let share = 1.0 / rows.len() as f32;
        let mut sum = 0.0;
        for &row in rows {
            let inputs: Vec<&[f32]> =
                present.iter().map(|&s| &features[s][row * self.filters[s]..][..self.filters[s]]).collect();
            let logits = self.logits(present, &inputs);
            let teacher = &targets.teacher_logits[row * targets.classes..][..targets.classes];
            let (loss, slope) = loss(&logits, targets.labels[row], teacher, options);
            sum += loss * share;
            add(&mut gradients[0], &slope, share);
            for (pair, input) in gradients[1..].as_chunks_mut::<2>().0.iter_mut().zip(&inputs) {
                for (weights, slope) in pair[0].chunks_exact_mut(input.len()).zip(&slope) {
                    add(weights, input, slope * share);
                }
                add(&mut pair[1], &slope, share);
            }
        }
        for (list, gradient) in touched.into_iter().zip(&gradients) {
            // W's are the odd ones: biases and constants do not decay.
            self.sgd.step(list, &mut self.parameters[list], gradient, rate, list % 2 == 1);
        }
        sum
    }

    fn logits(&self, present: &[usize], inputs: &[&[f32]]) -> Vec<f32> {
        let mut logits = self.parameters[0].clone();
        for (student, input) in present.iter().zip(inputs) {
            let rows = self.parameters[1 + 2 * student].chunks_exact(input.len());
            for ((logit, row), constant) in logits.iter_mut().zip(rows).zip(&self.parameters[2 + 2 * student]) {
                *logit += constant + row.iter().zip(*input).map(|(w, x)| w * x).sum::<f32>();
            }
        }
        logits
    }
}

fn add(to: &mut [f32], what: &[f32], times: f32) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

/// Loss of one row and its derivative by the logits.
fn loss(logits: &[f32], label: usize, teacher: &[f32], options: &HeadOptions) -> (f32, Vec<f32>) {
    let HeadOptions { alpha, temperature, .. } = *options;
    let (hard, hard_log) = softmax(logits, 1.0);
    let (soft, soft_log) = softmax(logits, temperature);
    let (target, target_log) = softmax(teacher, temperature);
    let divergence: f32 =
        target.iter().zip(target_log.iter().zip(&soft_log)).map(|(p, (log_p, log_q))| p * (log_p - log_q)).sum();
    let loss = (alpha - 1.0) * hard_log[label] + alpha * temperature * temperature * divergence;
    let slope = (0..logits.len()).map(|class| {
        let one_hot = if class == label { 1.0 } else { 0.0 };
        (1.0 - alpha) * (hard[class] - one_hot) + alpha * temperature * (soft[class] - target[class])
    });
    (loss, slope.collect())
}

/// Softmax at a temperature, and its logarithm.
fn softmax(logits: &[f32], temperature: f32) -> (Vec<f32>, Vec<f32>) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scaled: Vec<f32> = logits.iter().map(|logit| (logit - largest) / temperature).collect();
    let log_sum = scaled.iter().map(|x| x.exp()).sum::<f32>().ln();
    let logs: Vec<f32> = scaled.iter().map(|x| x - log_sum).collect();
    (logs.iter().map(|x| x.exp()).collect(), logs)
}

#[cfg(test)]
mod tests;
