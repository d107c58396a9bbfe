//! Everything that is read and checked before anything is trained.

use rocoin::bundle::{self, Preprocess};
use rocoin::planner::knowledge::Division;
use rocoin::planner::zoo::{Architecture, ZOO};
use rocoin::planner::{PARTS_MAX, Task, prospect};

use super::settings::{SCHEMA, Settings, Share};
use super::subset::Subset;
use super::{Choice, DistillError, DistillOptions, FinishOptions, Progress, VIEWS_DEFAULT};
use crate::data::{Dataset, Holdout};
use crate::teacher::{Teacher, TeacherOptions};

/// Data, teacher and settings, checked against each other.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) data: Dataset,
    pub(super) teacher: Teacher,
    pub(super) holdout: Holdout,
    pub(super) settings: Settings,
}

impl Prepared {
    /// For a run with these options.
    pub(super) fn new(options: &DistillOptions, progress: &dyn Progress) -> Result<Self, DistillError> {
        check_options(options)?;
        let finish = &options.finish;
        let data = load(finish)?;
        check_name(finish.name.as_deref().unwrap_or(&data.name))?;
        let preprocess =
            options.teacher.preprocess.as_ref().map(|given| per_channel(given, data.shape()[0])).transpose()?;
        let teacher_options = TeacherOptions { preprocess: preprocess.clone(), ..options.teacher.clone() };
        let teacher = Teacher::open(&finish.teacher, data.shape(), &teacher_options)?;
        check_classes(&data, &teacher)?;
        let (map, tensor) = (teacher.map_shape(), teacher.feature_tensor());
        progress.notice(&format!("teacher: feature map {tensor:?}, {} filters of {map:?}", teacher.filters()));
        if let Some(notice) = teacher.ending().notice() {
            progress.notice(notice);
        }
        let holdout = Holdout::new(&data.train, options.validation, options.train.seed)?;
        let (training, kept, test) = (holdout.train.len(), holdout.validation.len(), data.test.len());
        progress.notice(&format!("data: {training} images to train on, {kept} to choose by, {test} to test with"));
        let standardise = || {
            let (mean, std) = data.train.channel_statistics(&holdout.train);
            Preprocess { scale: 1.0, mean, std }
        };
        let epochs = u32::try_from(options.train.epochs).unwrap_or(u32::MAX);
        let settings = Settings {
            schema: SCHEMA.to_owned(),
            teacher: teacher.sha256().to_owned(),
            feature_tensor: tensor.to_owned(),
            layout: teacher.layout(),
            teacher_preprocess: preprocess.clone(),
            data: data.sha256.clone(),
            shape: data.shape().to_vec(),
            classes: data.classes,
            validation: options.validation,
            preprocess: preprocess.unwrap_or_else(standardise),
            views: options.views.unwrap_or(VIEWS_DEFAULT).min(epochs).max(1),
            division: options.division,
            shares: shares(&options.choice, &teacher, &data)?,
            train: options.train.clone(),
        };
        Ok(Self { data, teacher, holdout, settings })
    }

    /// For the settings of a work folder, with the same teacher and data found anew.
    pub(super) fn again(settings: Settings, finish: &FinishOptions) -> Result<Self, DistillError> {
        check_finish(finish)?;
        let data = load(finish)?;
        check_name(finish.name.as_deref().unwrap_or(&data.name))?;
        let options = TeacherOptions {
            feature_tensor: Some(settings.feature_tensor.clone()),
            layout: Some(settings.layout),
            preprocess: settings.teacher_preprocess.clone(),
        };
        let teacher = Teacher::open(&finish.teacher, data.shape(), &options)?;
        for (what, given, wanted) in
            [("--teacher", teacher.sha256(), &settings.teacher), ("--data", &data.sha256, &settings.data)]
        {
            if given != wanted {
                return Err(DistillError::Options(format!(
                    "{what} has SHA-256 {given}, the students were trained with {wanted}; give the same"
                )));
            }
        }
        check_classes(&data, &teacher)?;
        let holdout = Holdout::new(&data.train, settings.validation, settings.train.seed)?;
        Ok(Self { data, teacher, holdout, settings })
    }

    /// What students are trained on.
    pub(super) fn training(&self) -> Subset<'_> {
        Subset { split: &self.data.train, indices: &self.holdout.train }
    }

    /// What is chosen by.
    pub(super) fn validation(&self) -> Subset<'_> {
        Subset { split: &self.data.train, indices: &self.holdout.validation }
    }
}

fn load(finish: &FinishOptions) -> Result<Dataset, DistillError> {
    let data = Dataset::load(&finish.data)?;
    // [N,A,B] are images of one channel or series: what the teacher takes decides.
    let rank = Teacher::input_rank(&finish.teacher)?;
    Ok(if rank == Some(3) { data.into_images() } else { data })
}

/// The manifest would be refused for its name after all the training.
fn check_name(name: &str) -> Result<(), DistillError> {
    if bundle::is_name(name) {
        return Ok(());
    }
    Err(DistillError::Options(format!(
        "{name:?} cannot be the model's name: give another with --name, 1 to 64 letters, digits, points, hyphens or underscores"
    )))
}

fn check_classes(data: &Dataset, teacher: &Teacher) -> Result<(), DistillError> {
    if teacher.classes() == data.classes {
        return Ok(());
    }
    Err(DistillError::Classes { teacher: teacher.classes(), data: data.classes })
}

/// The numbers of `given`, each one a channel; a single one stands for all channels.
fn per_channel(given: &Preprocess, channels: usize) -> Result<Preprocess, DistillError> {
    let spread = |values: &[f32]| if values.len() == 1 { vec![values[0]; channels] } else { values.to_vec() };
    let (scale, mean, std) = (given.scale, spread(&given.mean), spread(&given.std));
    let finite = [scale].iter().chain(&mean).chain(&std).all(|value| value.is_finite());
    if finite && scale != 0.0 && mean.len() == channels && std.len() == channels && !std.contains(&0.0) {
        return Ok(Preprocess { scale, mean, std });
    }
    Err(DistillError::Options(format!(
        "--scale, --mean and --std: give one number or {channels}, one a channel of the data, to --mean and to --std, no scale or \
         deviation zero"
    )))
}

/// What would otherwise be found out after hours.
fn check_options(options: &DistillOptions) -> Result<(), DistillError> {
    let train = &options.train;
    let checks = [
        (train.epochs >= 1, "--epochs: at least 1"),
        (train.batch >= 2, "--batch: at least 2"),
        ((0.0..=1.0).contains(&train.alpha), "--alpha: from 0 to 1"),
        (train.temperature > 0.0 && train.temperature.is_finite(), "--temperature: above 0"),
        (train.beta >= 0.0 && train.beta.is_finite(), "--beta: at least 0"),
        (train.learning_rate > 0.0 && train.learning_rate.is_finite(), "--learning-rate: above 0"),
    ];
    all_hold(&checks)?;
    if options.division == Division::Nonn && matches!(options.choice, Choice::Planned { .. }) {
        let problem = "--division nonn: its parts have the sizes that they have, not those planned for --fleet; give --parts and --zoo";
        return Err(DistillError::Options(problem.to_owned()));
    }
    check_finish(&options.finish)
}

fn check_finish(finish: &FinishOptions) -> Result<(), DistillError> {
    let checks = [
        ((0.0..1.0).contains(&finish.part_dropout), "--part-dropout: at least 0 and below 1"),
        (finish.jobs >= 1, "--jobs: at least 1"),
        (
            finish.version.as_deref().is_none_or(bundle::is_version),
            "--version: numbers with dots between, e.g. 1 or 1.2; at most 32 characters",
        ),
    ];
    all_hold(&checks)
}

fn all_hold(checks: &[(bool, &str)]) -> Result<(), DistillError> {
    match checks.iter().find(|(holds, _)| !holds) {
        Some((_, problem)) => Err(DistillError::Options((*problem).to_owned())),
        None => Ok(()),
    }
}

fn shares(choice: &Choice, teacher: &Teacher, data: &Dataset) -> Result<Vec<Share>, DistillError> {
    let filters = teacher.filters();
    match choice {
        Choice::Fixed { parts, zoo } => {
            let parts = *parts;
            if parts == 0 || parts > filters.min(PARTS_MAX) {
                return Err(DistillError::Parts { parts, filters });
            }
            let students = smallest_first(zoo, data);
            let size = |part| filters / parts + usize::from(part < filters % parts);
            Ok((0..parts).map(|part| Share { filters: size(part), students: students.clone() }).collect())
        }
        Choice::Planned { fleet, zoo } => {
            let task = Task { input_shape: data.shape(), classes: data.classes, filters };
            let prospect = prospect(fleet, task, if zoo.is_empty() { &ZOO } else { zoo })?;
            let groups = prospect.plan.groups.into_iter().zip(prospect.part_sizes);
            let students = |planned| if zoo.is_empty() { vec![planned] } else { smallest_first(zoo, data) };
            Ok(groups.map(|(group, filters)| Share { filters, students: students(group.arch) }).collect())
        }
    }
}

fn smallest_first(zoo: &[Architecture], data: &Dataset) -> Vec<String> {
    let mut zoo = zoo.to_vec();
    zoo.sort_by_key(|architecture| architecture.plain_cost(data.shape(), data.classes).params);
    zoo.dedup();
    zoo.iter().map(ToString::to_string).collect()
}
