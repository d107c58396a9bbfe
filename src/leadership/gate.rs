//! Nothing is acted on that is not on disk: the gate between what this node wants to promise and what it has promised.

use std::sync::Arc;

use super::change::PlanChange;
use super::plan::EpochPlan;
use super::port::Promise;
use crate::bugs::{Bug, Bugs};
use crate::id::Term;
use crate::time::{Duration, Instant};

/// Between a write that failed and the next. Ours: a full disk is looked after by people, not within a probe period.
const RETRY: Duration = Duration::from_secs(1);

/// What is promised, and what is to be. Both only rise.
#[derive(Debug)]
pub(super) struct Gate {
    written: Promise,
    wanted: Promise,
    writing: Option<Promise>,
    /// What was told to change to `wanted`, if it was told so.
    told: Option<Arc<PlanChange>>,
    /// What `written` changed of the plan before it.
    step: Option<Arc<PlanChange>>,
    retry_at: Instant,
    bugs: Bugs,
}

impl Gate {
    pub(super) fn new(mut written: Promise, bugs: Bugs, now: Instant) -> Self {
        let plan_term = written.plan.as_ref().map_or(Term::default(), |p| p.epoch.term);
        written.term = written.term.max(plan_term);
        Self { wanted: written.clone(), written, writing: None, told: None, step: None, retry_at: now, bugs }
    }

    /// Asks for a term to be promised; a smaller one than before changes nothing.
    pub(super) fn raise(&mut self, term: Term) {
        self.wanted.term = self.wanted.term.max(term);
    }

    /// Asks for a plan to be adopted; false if it is not greater than the one before.
    pub(super) fn propose(&mut self, plan: Arc<EpochPlan>) -> bool {
        let is_known = |known: &Arc<EpochPlan>| {
            let (known, new) = (known.epoch, plan.epoch);
            let is_known = if self.bugs.has(Bug::CompareTermsOnly) { known.term > new.term } else { known >= new };
            is_known && !(self.bugs.has(Bug::AcceptEqualEpoch) && known == new)
        };
        if self.wanted.plan.as_ref().is_some_and(is_known) {
            return false;
        }
        self.raise(plan.epoch.term);
        self.wanted.plan = Some(plan);
        self.told = None;
        true
    }

    /// The same for a plan that was told as what it changes of the greatest; `None` if it makes no sense.
    pub(super) fn propose_change(&mut self, change: Arc<PlanChange>) -> Option<bool> {
        let plan = change.apply(self.wanted.plan.as_ref()?, self.bugs).filter(EpochPlan::is_well_formed)?;
        let is_new = self.propose(Arc::new(plan));
        self.told = is_new.then_some(change);
        Some(is_new)
    }

    /// What to write now, if anything.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Promise> {
        if self.due()? > now {
            return None;
        }
        self.writing = Some(self.wanted.clone());
        self.writing.clone()
    }

    /// When to write.
    pub(super) fn due(&self) -> Option<Instant> {
        let differ = self.wanted.term != self.written.term || self.differ(&self.wanted, &self.written);
        (self.writing.is_none() && differ).then_some(self.retry_at)
    }

    /// The open write is on disk: the plan it adopts, if any.
    pub(super) fn written(&mut self) -> Option<Arc<EpochPlan>> {
        let promise = self.writing.take()?;
        let adopted = promise.plan.clone().filter(|_| self.differ(&promise, &self.written));
        if let Some(plan) = &adopted {
            let before = self.written.plan.as_ref();
            let is_step =
                |told: &&Arc<PlanChange>| told.epoch == plan.epoch && Some(told.base) == before.map(|p| p.epoch);
            let between = || Some(Arc::new(PlanChange::between(before?, plan)?));
            self.step = self.told.as_ref().filter(is_step).cloned().or_else(between);
        }
        self.written = promise;
        adopted
    }

    /// The open write failed; it is tried again later.
    pub(super) fn failed(&mut self, now: Instant) {
        self.writing = None;
        self.retry_at = now + RETRY;
    }

    /// Whether their plans do; those of one epoch are the same.
    fn differ(&self, one: &Promise, other: &Promise) -> bool {
        let epoch = |promise: &Promise| promise.plan.as_ref().map(|plan| plan.epoch);
        epoch(one) != epoch(other) || self.bugs.has(Bug::AcceptEqualEpoch) && one.plan != other.plan
    }

    /// When it is worth writing again.
    pub(super) fn open_at(&self) -> Instant {
        self.retry_at
    }

    /// The highest term promised: what may be acted on.
    pub(super) fn term(&self) -> Term {
        self.written.term
    }

    /// The plan adopted.
    pub(super) fn plan(&self) -> Option<&Arc<EpochPlan>> {
        self.written.plan.as_ref()
    }

    /// What the plan adopted changed of the one before, if that is known and worth telling.
    pub(super) fn step(&self) -> Option<&Arc<PlanChange>> {
        self.step.as_ref()
    }

    /// The highest term seen, promised or not yet.
    pub(super) fn highest_term(&self) -> Term {
        self.wanted.term
    }

    /// The greatest plan seen, adopted or about to be.
    pub(super) fn greatest_plan(&self) -> Option<&Arc<EpochPlan>> {
        self.wanted.plan.as_ref()
    }
}
