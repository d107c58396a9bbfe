//! The same for many, in some threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// `work` of 0 to `count`, in order, computed by `jobs` threads.
pub(super) fn each<T: Send>(count: usize, jobs: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    // The receiver outlives the threads.
                    if index >= count || send.send((index, work(index))).is_err() {
                        return;
                    }
                }
            });
        }
    });
    drop(send);
    let mut done: Vec<(usize, T)> = receive.into_iter().collect();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        for jobs in [0, 1, 3, 50] {
            assert_eq!(each(20, jobs, |index| index * index), (0..20).map(|i| i * i).collect::<Vec<_>>());
        }
        assert!(each(0, 2, |index| index).is_empty());
    }
}
