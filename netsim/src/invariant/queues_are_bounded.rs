//! Every queue stays within its bound.

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
        let Fact::Load { host, open_requests, waiting } = &entry.fact else { return Ok(()) };
        let Bounds { open_requests: open_max, waiting: waiting_max } = self.bounds;
        if *open_requests <= open_max && *waiting <= waiting_max {
            return Ok(());
        }
        Err(format!(
            "{host}: {open_requests} open requests (at most {open_max}), {waiting} waiting runs (at most {waiting_max})"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn a_full_queue_passes_and_a_fuller_one_does_not() {
        let bounds = Bounds { open_requests: 3, waiting: 5 };
        let load = |open_requests, waiting| vec![(0.0, Fact::Load { host: host(0), open_requests, waiting })];
        assert_eq!(judge(&mut QueuesAreBounded::new(bounds), load(3, 5)), Ok(()));
        assert!(judge(&mut QueuesAreBounded::new(bounds), load(4, 0)).is_err());
        assert!(judge(&mut QueuesAreBounded::new(bounds), load(0, 6)).is_err());
    }
}
