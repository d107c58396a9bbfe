//! Work that is the same for each of many images, on several threads.

use std::ops::Range;

/// Gives `work` the numbers below `count` in stretches, `jobs` of them at a time, and what it made of them in order.
pub(super) fn on_threads<T: Send>(count: usize, jobs: usize, work: &(dyn Fn(Range<usize>) -> T + Sync)) -> Vec<T> {
    let stretch = count.div_ceil(jobs.max(1)).max(1);
    std::thread::scope(|scope| {
        let starts = (0..count).step_by(stretch);
        let threads: Vec<_> =
            starts.map(|start| scope.spawn(move || work(start..(start + stretch).min(count)))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
