//! Every queue stays within its bound.

use rocoin::queue::Queue;

use super::{Bounds, Invariant};
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// Every queue stays within its bound.
#[derive(Debug)]
pub(super) struct QueuesAreBounded {
    bounds: Bounds,
}

impl QueuesAreBounded {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }
}

impl Invariant for QueuesAreBounded {
    fn name(&self) -> &'static str {
        "queues-are-bounded"
    }

    fn observe(&mut self, entry: &Entry, _: &Physics) -> Result<(), String> {
        let Fact::Load { host, open_requests, waiting, queues } = &entry.fact else { return Ok(()) };
        let Bounds { open_requests: open_max, waiting: waiting_max } = self.bounds;
        if *open_requests > open_max || *waiting > waiting_max {
            return Err(format!(
                "{host}: {open_requests} open requests (at most {open_max}), {waiting} waiting runs (at most {waiting_max})"
            ));
        }
        match queues.iter().find(|queue| queue.length > queue.bound) {
            None => Ok(()),
            Some(Queue { name, length, bound }) => Err(format!("{host}: {length} {name} (at most {bound})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn a_full_queue_passes_and_a_fuller_one_does_not() {
        let bounds = Bounds { open_requests: 3, waiting: 5 };
        let judge_load = |open_requests, waiting, news| {
            let queues = vec![Queue { name: "news", length: news, bound: 7 }];
            let load = Fact::Load { host: host(0), open_requests, waiting, queues };
            judge(&mut QueuesAreBounded::new(bounds), vec![(0.0, load)])
        };
        assert_eq!(judge_load(3, 5, 7), Ok(()));
        assert!(judge_load(4, 0, 0).is_err());
        assert!(judge_load(0, 6, 0).is_err());
        assert!(judge_load(0, 0, 8).unwrap_err().contains("8 news"));
    }
}
