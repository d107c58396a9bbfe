//! What must be on disk before it is acted on.

use super::{Durable, WriteId};
use crate::leadership;
use crate::membership::Deployment;

/// The durable state as it is to be, and which write the leadership waits for.
#[derive(Debug)]
pub(super) struct Promises {
    durable: Durable,
    last: WriteId,
    /// The write that carries leadership's open promise.
    awaited: Option<WriteId>,
}

impl Promises {
    pub(super) fn new(durable: Durable) -> Self {
        Self { durable, last: WriteId(0), awaited: None }
    }

    /// Leadership wants this on disk before it goes on.
    pub(super) fn promise(&mut self, promise: leadership::Promise) -> (WriteId, Durable) {
        self.durable.term = promise.term;
        self.durable.plan = promise.plan;
        let write = self.next();
        self.awaited = Some(write.0);
        write
    }

    /// The deployment wanted changed; nobody waits for its write.
    pub(super) fn desire(&mut self, desired: Option<Deployment>) -> Option<(WriteId, Durable)> {
        if self.durable.desired == desired {
            return None;
        }
        self.durable.desired = desired;
        Some(self.next())
    }

    /// Whether leadership waits for just this write, and so reports its failure itself.
    pub(super) fn awaits(&self, write: WriteId) -> bool {
        self.awaited == Some(write)
    }

    /// A write is finished. Writes contain all of earlier ones, so a later success keeps the promise too.
    pub(super) fn confirm(&mut self, write: WriteId, result: Result<(), String>) -> Option<leadership::Input> {
        let awaited = self.awaited?;
        match result {
            Ok(()) if write >= awaited => {
                self.awaited = None;
                Some(leadership::Input::Persisted)
            }
            Err(reason) if write == awaited => {
                self.awaited = None;
                Some(leadership::Input::PersistFailed { reason })
            }
            Ok(()) | Err(_) => None,
        }
    }

    fn next(&mut self) -> (WriteId, Durable) {
        self.last.0 += 1;
        (self.last, self.durable.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Term;

    fn promise(term: u64) -> leadership::Promise {
        leadership::Promise { term: Term(term), plan: None }
    }

    #[test]
    fn an_older_write_does_not_keep_a_newer_promise() {
        let mut promises = Promises::new(Durable::default());
        let desired = Deployment {
            sequence: 1,
            bundle: crate::id::Digest([1; 32]),
            name: "m".to_owned(),
            version: "1".to_owned(),
        };
        let (older, _) = promises.desire(Some(desired)).unwrap();
        let (newer, durable) = promises.promise(promise(7));
        assert_eq!(durable.term, Term(7));
        assert!(promises.confirm(older, Ok(())).is_none());
        assert!(matches!(promises.confirm(newer, Ok(())), Some(leadership::Input::Persisted)));
        assert!(promises.confirm(newer, Ok(())).is_none(), "confirmed once only");
    }

    #[test]
    fn a_failed_write_fails_its_promise_only() {
        let mut promises = Promises::new(Durable::default());
        let (write, _) = promises.promise(promise(1));
        assert!(promises.confirm(WriteId(write.0 - 1), Err("full".to_owned())).is_none());
        let failed = promises.confirm(write, Err("full".to_owned()));
        assert!(matches!(failed, Some(leadership::Input::PersistFailed { .. })));
    }
}
