//! Stage 1: which of the teacher's filters belong to which knowledge part; `parts.json`.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use rocoin::planner::knowledge::{KnowledgeGraph, split};

use super::prepare::Prepared;
use super::work::WorkDir;
use super::{DistillError, Progress};

/// Images the knowledge graph is built from at least, if there are as many: enough that the graph of another sample is nearly
/// the same (ours).
const IMAGES_MIN: usize = 2_000;

const PRODUCT: &str = "parts.json";

/// The filters of each part, ascending; read if they are known already. The graph is of the validation images, and of training
/// images where those are too few; never of test images.
pub(super) fn divide(
    prepared: &Prepared,
    work: &WorkDir,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<usize>>, DistillError> {
    if let Some(filters) = work.read_json(PRODUCT)? {
        return Ok(filters);
    }
    let holdout = &prepared.holdout;
    let missing = IMAGES_MIN.saturating_sub(holdout.validation.len());
    let images: Vec<usize> = holdout.validation.iter().chain(holdout.train.iter().take(missing)).copied().collect();
    let mut graph = KnowledgeGraph::new(prepared.teacher.filters());
    for means in filter_means(prepared, &images, jobs, progress)? {
        graph.add_image(&means);
    }
    let sizes: Vec<usize> = prepared.settings.shares.iter().map(|share| share.filters).collect();
    let parts = split(&graph, &sizes, prepared.settings.train.seed)
        .map_err(|error| DistillError::Knowledge(error.to_string()))?;
    work.write_json(PRODUCT, &parts)?;
    Ok(parts)
}

/// The mean of every filter's map, for each image in order.
fn filter_means(
    prepared: &Prepared,
    images: &[usize],
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<f32>>, DistillError> {
    let positions: usize = prepared.teacher.map_shape().iter().product();
    let done = AtomicU64::new(0);
    let means = |&index: &usize| -> Result<Vec<f32>, DistillError> {
        let output = prepared.teacher.forward(&prepared.data.train.image_vec(index))?;
        let means = output.map.chunks_exact(positions).map(|plane| plane.iter().sum::<f32>() / positions as f32);
        progress.advance("knowledge parts", done.fetch_add(1, Ordering::Relaxed) + 1, images.len() as u64, "");
        Ok(means.collect())
    };
    pool(jobs)?.install(|| images.par_iter().map(means).collect())
}

/// So many threads.
pub(super) fn pool(jobs: usize) -> Result<rayon::ThreadPool, DistillError> {
    let built = rayon::ThreadPoolBuilder::new().num_threads(jobs.max(1)).build();
    built.map_err(|error| DistillError::Options(format!("--jobs {jobs}: {error}")))
}
