//! How often models were asked at this node, and how long it took: the statistics extension.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocoin::bundle::Manifest;
use rocoin::inference::Answer;

use super::Answers;
use super::messages::{InferStatistics, ModelStatistics, StatisticDuration};

/// Models of which something is kept; of more than these, the one asked least lately is forgotten. Ours: bundles change rarely.
const MODELS_MAX: usize = 16;

/// What was asked since this node started, by model and version. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Statistics(Arc<Mutex<BTreeMap<(String, String), Counts>>>);

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    last_ms: u64,
    images: u64,
    success: Total,
    fail: Total,
    queue: Total,
    run: Total,
}

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    count: u64,
    time: Duration,
}

impl Total {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.time += time;
    }

    fn told(self) -> StatisticDuration {
        StatisticDuration { count: self.count, ns: u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX) }
    }
}

impl Statistics {
    /// A request was answered, `took` after it was read.
    pub(crate) fn answered(&self, answers: &Answers, took: Duration) {
        self.note(&answers.manifest, |counts| {
            counts.success.add(took);
            for answer in &answers.answers {
                counts.images += 1;
                let (after, run) = slowest(answer);
                counts.run.add(run);
                counts.queue.add(after.saturating_sub(run));
            }
        });
    }

    /// A request was not answered.
    pub(crate) fn failed(&self, manifest: &Manifest, took: Duration) {
        self.note(manifest, |counts| counts.fail.add(took));
    }

    /// Of these models, one by one; of each that was never asked all is 0.
    pub(crate) fn of(&self, manifest: &Manifest) -> ModelStatistics {
        let key = (manifest.name.clone(), manifest.version.clone());
        let counts = self.lock().get(&key).copied().unwrap_or_default();
        ModelStatistics {
            name: key.0,
            version: key.1,
            last_inference: counts.last_ms,
            inference_count: counts.images,
            execution_count: counts.run.count,
            inference_stats: Some(InferStatistics {
                success: Some(counts.success.told()),
                fail: Some(counts.fail.told()),
                queue: Some(counts.queue.told()),
                compute_input: Some(StatisticDuration::default()),
                compute_infer: Some(counts.run.told()),
                compute_output: Some(StatisticDuration::default()),
                cache_hit: Some(StatisticDuration::default()),
                cache_miss: Some(StatisticDuration::default()),
            }),
        }
    }

    fn note(&self, manifest: &Manifest, change: impl FnOnce(&mut Counts)) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut models = self.lock();
        let counts = models.entry((manifest.name.clone(), manifest.version.clone())).or_default();
        counts.last_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        change(counts);
        while models.len() > MODELS_MAX {
            let oldest = models.iter().min_by_key(|(_, counts)| counts.last_ms).map(|(model, _)| model.clone());
            oldest.and_then(|model| models.remove(&model));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the part that came last: when, and how long its student ran.
fn slowest(answer: &Answer) -> (Duration, Duration) {
    let last = answer.parts.iter().max_by_key(|part| part.after);
    last.map_or_else(Default::default, |part| (part.after, part.run))
}
