//! From a teacher and data to a bundle, stage by stage: prepare, divide the teacher's filters into parts, note the teacher's answers,
//! train every student, train the head over all of them, export, measure, write.
//!
//! Every stage leaves its product in a work folder beside the bundle's place, so that a run that ends for any reason is gone on
//! with by `--resume` and loses an epoch at most. What a stage does is elsewhere: [`crate::train`], [`crate::zoo`],
//! [`crate::evaluate`], the core's planner. Nothing here knows of devices beyond asking that planner.

mod error;
mod export;
mod head;
mod options;
mod parts;
mod prepare;
mod progress;
mod retrain;
mod settings;
mod students;
mod subset;
mod work;

use std::path::PathBuf;

pub use error::DistillError;
pub use options::{Choice, DistillOptions, FinishOptions, VIEWS_DEFAULT};
pub use progress::{Bars, Lines, Progress, Silent, to_stderr};
pub use retrain::retrain_head;
pub use settings::{Settings, Share};

use crate::bundle_dir::{BundleDir, BundleWriter};
use prepare::Prepared;
use work::WorkDir;

/// What a run ended with.
#[derive(Debug)]
pub enum Outcome {
    /// A bundle under its name.
    Bundle(Box<BundleDir>),
    /// One part's students in the work folder, to be merged with the others.
    Part {
        /// Which part.
        part: usize,
        /// The work folder.
        work: PathBuf,
    },
}

/// Distils, from the start or from where the work folder is.
///
/// # Errors
/// [`DistillError`]; there is no bundle under its name then, and the work folder keeps what is finished.
pub fn distill(options: &DistillOptions, progress: &dyn Progress) -> Result<Outcome, DistillError> {
    let finish = &options.finish;
    if options.part.is_none() {
        BundleWriter::check_free(&finish.out, finish.replace)?;
    }
    let prepared = Prepared::new(options, progress)?;
    let parts = prepared.settings.shares.len();
    if let Some(part) = options.part.filter(|&part| part >= parts) {
        return Err(DistillError::NoSuchPart { part, parts });
    }
    let path = WorkDir::beside(&finish.out);
    let work = WorkDir::open(&path, &prepared.settings, options.resume)?;
    let filters = parts::divide(&prepared, &work, finish.jobs, progress)?;
    let trained = students::train(&prepared, &work, &filters, options.part, finish.jobs, progress)?;
    if let Some(part) = options.part {
        return Ok(Outcome::Part { part, work: path });
    }
    let bundle = export::bundle(&prepared, &work, &filters, trained, finish, progress)?;
    Ok(Outcome::Bundle(Box::new(bundle)))
}

/// Joins work folders in which parts were trained alone into the first of them, and makes the bundle.
///
/// # Errors
/// [`DistillError`], notably [`DistillError::WorkDiffers`] if the folders do not belong together and
/// [`DistillError::Unfinished`] if a part's students are in none of them.
pub fn merge(works: &[PathBuf], finish: &FinishOptions, progress: &dyn Progress) -> Result<BundleDir, DistillError> {
    let Some((first, others)) = works.split_first() else {
        return Err(DistillError::Options("name the work folders to merge".to_owned()));
    };
    BundleWriter::check_free(&finish.out, finish.replace)?;
    let prepared = Prepared::again(WorkDir::settings(first)?, finish)?;
    let work = WorkDir::open(first, &prepared.settings, true)?;
    for other in others {
        let differences = prepared.settings.differences(&WorkDir::settings(other)?);
        if !differences.is_empty() {
            return Err(DistillError::WorkDiffers { path: other.clone(), differences });
        }
        students::collect(&prepared, &work, other)?;
    }
    students::check_all_started(&prepared, &work)?;
    let filters = parts::divide(&prepared, &work, finish.jobs, progress)?;
    let trained = students::train(&prepared, &work, &filters, None, finish.jobs, progress)?;
    export::bundle(&prepared, &work, &filters, trained, finish, progress)
}
