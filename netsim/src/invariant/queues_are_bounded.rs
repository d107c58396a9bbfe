//! Every queue stays within its bound.

use rocoin::queue::Queue;

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// Every queue stays within its bound.
#[derive(Debug)]
pub(super) struct QueuesAreBounded;

impl Invariant for QueuesAreBounded {
    fn name(&self) -> &'static str {
        "queues-are-bounded"
    }

    fn observe(&mut self, entry: &Entry, _: &Physics) -> Result<(), String> {
        let Fact::Load { host, queues } = &entry.fact else { return Ok(()) };
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
        let judge_load = |requests, news| {
            let queue = |name, length| Queue { name, length, bound: 7 };
            let load =
                Fact::Load { host: host(0), queues: vec![queue("open requests", requests), queue("news", news)] };
            judge(&mut QueuesAreBounded, vec![(0.0, load)])
        };
        assert_eq!(judge_load(7, 7), Ok(()));
        assert!(judge_load(8, 0).unwrap_err().contains("8 open requests"));
        assert!(judge_load(0, 8).unwrap_err().contains("8 news"));
    }
}
