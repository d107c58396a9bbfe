//! Everything that is read and checked before anything is trained.

use rocoin::bundle::Preprocess;
use rocoin::planner::zoo::ZOO;
use rocoin::planner::{Task, prospect};

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
        let finish = &options.finish;
        let data = load(finish)?;
        if let Some(preprocess) = &options.teacher.preprocess {
            check_preprocess(preprocess, data.shape()[0])?;
        }
        let teacher = Teacher::open(&finish.teacher, data.shape(), &options.teacher)?;
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
            teacher_preprocess: options.teacher.preprocess.clone(),
            data: data.sha256.clone(),
            shape: data.shape().to_vec(),
            classes: data.classes,
            validation: options.validation,
            preprocess: options.teacher.preprocess.clone().unwrap_or_else(standardise),
            views: options.views.unwrap_or(VIEWS_DEFAULT).min(epochs).max(1),
            shares: shares(&options.choice, &teacher, &data)?,
            train: options.train.clone(),
        };
        for (part, share) in settings.shares.iter().enumerate() {
            progress.notice(&format!("part {part}: {} filters, students {}", share.filters, share.students.join(", ")));
        }
        Ok(Self { data, teacher, holdout, settings })
    }

    /// For the settings of a work folder, with the same teacher and data found anew.
    pub(super) fn again(settings: Settings, finish: &FinishOptions) -> Result<Self, DistillError> {
        let data = load(finish)?;
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
                    "{what} has SHA-256 {given}, the work folder was made with {wanted}; give the same"
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

fn check_classes(data: &Dataset, teacher: &Teacher) -> Result<(), DistillError> {
    if teacher.classes() == data.classes {
        return Ok(());
    }
    Err(DistillError::Classes { teacher: teacher.classes(), data: data.classes })
}

fn check_preprocess(preprocess: &Preprocess, channels: usize) -> Result<(), DistillError> {
    let Preprocess { scale, mean, std } = preprocess;
    let sound = mean.len() == channels
        && std.len() == channels
        && std.iter().all(|deviation| *deviation != 0.0)
        && [scale].into_iter().chain(mean).chain(std).all(|value| value.is_finite());
    if sound {
        return Ok(());
    }
    Err(DistillError::Options(format!(
        "--scale, --mean and --std: the data has {channels} channels; give as many numbers to --mean and to --std, no deviation zero"
    )))
}

fn shares(choice: &Choice, teacher: &Teacher, data: &Dataset) -> Result<Vec<Share>, DistillError> {
    let filters = teacher.filters();
    match choice {
        Choice::Fixed { parts, zoo } => {
            let parts = *parts;
            if parts == 0 || parts > filters {
                return Err(DistillError::Parts { parts, filters });
            }
            let mut zoo = zoo.clone();
            zoo.sort_by_key(|architecture| architecture.plain_cost(data.shape(), data.classes).params);
            zoo.dedup();
            let students: Vec<String> = zoo.iter().map(ToString::to_string).collect();
            let size = |part| filters / parts + usize::from(part < filters % parts);
            Ok((0..parts).map(|part| Share { filters: size(part), students: students.clone() }).collect())
        }
        Choice::Planned(fleet) => {
            let task = Task { input_shape: data.shape(), classes: data.classes, filters };
            let prospect = prospect(fleet, task, &ZOO)?;
            let groups = prospect.plan.groups.into_iter().zip(prospect.part_sizes);
            Ok(groups.map(|(group, filters)| Share { filters, students: vec![group.arch] }).collect())
        }
    }
}
