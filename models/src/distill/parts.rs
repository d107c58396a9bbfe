//! Stage 1: which of the teacher's filters belong to which knowledge part; `parts.json`.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use rocoin::planner::knowledge::{ActivityGraph, Division, activity, split, split_by_communities, strongest};

use super::prepare::Prepared;
use super::work::WorkDir;
use super::{DistillError, Progress};

/// Images the knowledge graph is built from at least, if there are as many: enough that the graph of another sample is nearly
/// the same (ours).
const IMAGES_MIN: usize = 2_000;

const PRODUCT: &str = "parts.json";

/// The filters of each part, ascending; read if they are known already.
pub(super) fn divide(
    prepared: &Prepared,
    work: &WorkDir,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<usize>>, DistillError> {
    let parts: Vec<Vec<usize>> = match work.read_json(PRODUCT)? {
        Some(parts) => parts,
        None => {
            let parts = divide_anew(prepared, jobs, progress)?;
            work.write_json(PRODUCT, &parts)?;
            parts
        }
    };
    for (part, (filters, share)) in parts.iter().zip(&prepared.settings.shares).enumerate() {
        progress.notice(&format!("part {part}: {} filters, students {}", filters.len(), share.students.join(", ")));
    }
    Ok(parts)
}

/// The graph is of the validation images, and of training images where those are too few; never of test images.
fn divide_anew(prepared: &Prepared, jobs: usize, progress: &dyn Progress) -> Result<Vec<Vec<usize>>, DistillError> {
    let (holdout, settings) = (&prepared.holdout, &prepared.settings);
    let missing = IMAGES_MIN.saturating_sub(holdout.validation.len());
    let images: Vec<usize> = holdout.validation.iter().chain(holdout.train.iter().take(missing)).copied().collect();
    let mut graph = ActivityGraph::new(prepared.teacher.filters());
    let activities = activities(prepared, &images, jobs, progress)?;
    match settings.division {
        Division::Ncut => {
            activities.iter().for_each(|activities| graph.add(activities));
            let sizes: Vec<usize> = settings.shares.iter().map(|share| share.filters).collect();
            Ok(split(&graph, &sizes, settings.train.seed))
        }
        Division::Nonn => {
            activities.iter().for_each(|activities| graph.add(&strongest(activities)));
            let count = settings.shares.len();
            split_by_communities(&graph, count).ok_or_else(|| {
                DistillError::Options(format!(
                    "--division nonn: the teacher's filters do not fall into {} communities, of which the largest is left out; ask for fewer \
                     --parts, or take --division ncut", count + 1
                ))
            })
        }
    }
}

/// How active every filter is, for each image in order.
fn activities(
    prepared: &Prepared,
    images: &[usize],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<f32>>, DistillError> {
    let filters = prepared.teacher.filters();
    let positions: usize = prepared.teacher.map_shape().iter().product();
    let done = AtomicU64::new(0);
    let activities_of = |&index: &usize| -> Result<Vec<f32>, DistillError> {
        let output = prepared.teacher.forward(&prepared.data.train.image_vec(index))?;
        progress.advance("knowledge parts", done.fetch_add(1, Ordering::Relaxed) + 1, images.len() as u64, "");
        Ok(activity(&output.map, filters, positions))
    };
    pool(jobs)?.install(|| images.par_iter().map(activities_of).collect())
}

/// So many threads.
pub(super) fn pool(jobs: usize) -> Result<rayon::ThreadPool, DistillError> {
    let built = rayon::ThreadPoolBuilder::new().num_threads(jobs.max(1)).build();
    built.map_err(|error| DistillError::Options(format!("--jobs {jobs}: {error}")))
}
