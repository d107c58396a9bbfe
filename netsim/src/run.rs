//! One run: a phase in which things go wrong and only safety is demanded, then one in which the mesh has to recover.

use std::collections::BTreeMap;

use rocoin::time::{Duration, Instant};
use serde::Serialize;

use crate::fact::{AskId, Entry, Fact, Outcome};
use crate::fault::Fault;
use crate::invariant::{Checker, Violation};
use crate::planned::{Agreement, Planned};
use crate::world::{Setup, Stats, World};

/// Fresh requests that have to be answered in full, one after the other, before the mesh counts as recovered: one of each node where there
/// are no more than the latter, and so many at least.
const FRESH_REQUESTS: (usize, usize) = (5, 12);
/// While the mesh recovers one client asks, so often at most, 1/s, and waits so long for an answer, s: an overload is over with all else,
/// and that slow devices take their time is no failure of the mesh. (Ours: the most patience that the swarm draws.)
const FRESH_RATE: f64 = 5.0;
const FRESH_DEADLINE_S: f64 = 10.0;
/// Requests that were begun in time have so long to be answered.
const FRESH_WITHIN: Duration = Duration::from_secs(30);
/// A mesh that begins in the middle has found together by then.
const TOGETHER: Duration = Duration::from_secs(30);
/// How the last invariant is called: the one of the second phase.
pub const RECOVERS: &str = "recovers";

/// What is run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The world.
    pub setup: Setup,
    /// How long things go wrong.
    pub safety: Duration,
    /// What is demanded then.
    pub recovery: Option<Recovery>,
}

/// What is demanded once faults are over.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// Hosts that fail for good at the end of the first phase.
    pub without: Vec<u32>,
    /// The mesh has so long to recover.
    pub within: Duration,
}

/// How the requests of a run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tally {
    /// By outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Those that needed a second try.
    pub retried: u64,
    /// Answers that named the right class.
    pub right: u64,
    /// Of each answer, in the order in which they ended.
    #[serde(skip)]
    pub latencies: Vec<Duration>,
}

impl Tally {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Those that were answered.
    pub fn answered(&self) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| outcome.is_answer()).map(|(_, count)| count).sum()
    }

    /// Those that were answered with every part.
    pub fn complete(&self) -> u64 {
        self.outcomes.get(&Outcome::Complete).copied().unwrap_or(0)
    }

    fn observe(&mut self, fact: &Fact) {
        if let Fact::Over { outcome, took, retries, right, .. } = fact {
            *self.outcomes.entry(*outcome).or_default() += 1;
            self.retried += u64::from(*retries > 0);
            self.right += u64::from(*right);
            if outcome.is_answer() {
                self.latencies.push(*took);
            }
        }
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(*outcome).or_default() += count;
        }
        self.retried += other.retried;
        self.right += other.right;
        self.latencies.extend(&other.latencies);
    }

    /// The latency that this share of the answers did not exceed.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(index).copied()
    }
}

/// What requests and answers cost on the links, over all hosts; messages of a node to itself cost nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Sent and received.
    pub inference_messages: u64,
    /// Sent and received.
    pub inference_bytes: u64,
}

impl Traffic {
    fn of(stats: &Stats) -> Self {
        stats.hosts().iter().fold(Self::default(), |sum, host| {
            sum.plus(Self { inference_messages: host.inference_messages, inference_bytes: host.inference_bytes })
        })
    }

    /// Both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            inference_messages: self.inference_messages + other.inference_messages,
            inference_bytes: self.inference_bytes + other.inference_bytes,
        }
    }
}

/// How the mesh recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// From the end of faults on.
    pub after: Duration,
    /// Whether requests were answered in full: at every node (twelve at most), from the bundle deployed last, where that can still be served;
    /// else at those that see all parts of what they serve. Where at the end there is no such node faults destroyed what there was to
    /// serve, and one leader and one plan were all that could be demanded.
    pub serves: bool,
}

/// How a run went.
#[derive(Debug, Clone)]
pub struct Report {
    /// The first invariant that did not hold; the run ended there.
    pub violation: Option<Violation>,
    /// The requests.
    pub tally: Tally,
    /// What they cost on the links.
    pub traffic: Traffic,
    /// World time at the end.
    pub ended: Instant,
    /// `None` if that was not demanded or did not happen.
    pub recovered: Option<Recovered>,
    /// How the planner's promise compares, where runs fail by chance.
    pub agreement: Option<Agreement>,
}

/// Runs a plan; `record` sees every fact in order.
pub fn run(plan: Plan, record: &mut dyn FnMut(&Entry)) -> Report {
    let Plan { setup, safety, recovery } = plan;
    let checker = Checker::new(&setup.models);
    let (planned, acquainted) = (Planned::new(&setup), setup.acquainted);
    let mut run =
        Run { world: World::new(setup), checker, tally: Tally::default(), record, fresh: Fresh::default(), planned };
    let mut recovered = None;
    let together = if acquainted { run.find_together() } else { Ok(()) };
    let outcome = together.and_then(|()| run.until(Instant::ZERO + safety, |_| false)).and_then(|_| {
        recovered = match recovery {
            Some(recovery) => run.recover(&recovery)?,
            None => None,
        };
        Ok(())
    });
    let agreement = run.planned.agreement();
    Report {
        violation: outcome.err().map(|v| *v),
        tally: run.tally,
        traffic: Traffic::of(run.world.stats()),
        ended: run.world.now(),
        recovered,
        agreement,
    }
}

/// Requests asked since the mesh looked well.
#[derive(Debug, Default)]
struct Fresh {
    first: Option<AskId>,
    /// So many are to be answered.
    demanded: usize,
    in_full: usize,
    not_in_full: Option<(AskId, Outcome)>,
}

struct Run<'a> {
    world: World,
    checker: Checker,
    tally: Tally,
    record: &'a mut dyn FnMut(&Entry),
    fresh: Fresh,
    planned: Planned,
}

impl Run<'_> {
    /// Lets the world go on until then, or until `enough`, asked after each look at the views; true if it was.
    fn until(&mut self, end: Instant, enough: impl Fn(&Self) -> bool) -> Result<bool, Box<Violation>> {
        loop {
            let went_on = self.world.step(end);
            let mut looked = false;
            let facts: Vec<_> = self.world.take_facts().collect();
            for entry in facts {
                (self.record)(&entry);
                self.tally.observe(&entry.fact);
                self.fresh.observe(&entry.fact);
                self.planned.observe(&entry.fact);
                looked |= matches!(entry.fact, Fact::View { .. });
                self.checker.observe(entry).map_err(Box::new)?;
            }
            if looked && enough(self) {
                return Ok(true);
            }
            if !went_on {
                return Ok(false);
            }
        }
    }

    /// The mesh begins in the middle; the first fault ends that. Without one it has to be one by then.
    fn find_together(&mut self) -> Result<(), Box<Violation>> {
        let latest = Instant::ZERO + TOGETHER;
        let end = self.world.first_fault().map_or(latest, |first| first.min(latest));
        let found = self.world.find_together(end);
        self.until(self.world.now(), |_| false)?;
        if found || end < latest {
            return Ok(());
        }
        let trouble = self.world.trouble().unwrap_or_else(|| "no plan".to_owned());
        let evidence = format!("a mesh that begins in the middle is not one after {TOGETHER:?}: {trouble}");
        Err(Box::new(self.checker.violation(RECOVERS, evidence)))
    }

    /// Faults are over; the mesh has so long to be one again.
    fn recover(&mut self, recovery: &Recovery) -> Result<Option<Recovered>, Box<Violation>> {
        let began = self.world.now();
        let end = began + recovery.within;
        self.world.set_single_client(FRESH_RATE, FRESH_DEADLINE_S, end + FRESH_WITHIN);
        self.world.apply(&Fault::Calm { without: recovery.without.clone() });
        let mut agreed = None;
        while self.until(end, |run| run.world.trouble().is_none())? {
            let after = self.world.now().since(began);
            agreed.get_or_insert(after);
            let is_sighted = |run: &Self| run.world.sighted().next().is_some();
            self.until(end, |run| is_sighted(run) || run.world.trouble().is_some())?;
            if !is_sighted(self) || self.world.trouble().is_some() {
                continue;
            }
            let demanded = self.world.sighted().count().clamp(FRESH_REQUESTS.0, FRESH_REQUESTS.1);
            self.fresh = Fresh { first: Some(self.world.next_ask()), demanded, ..Fresh::default() };
            let enough = |run: &Self| run.fresh.in_full >= run.fresh.demanded || run.fresh.not_in_full.is_some();
            let is_answered = self.until(end + FRESH_WITHIN, enough)? && self.fresh.not_in_full.is_none();
            if is_answered && self.world.trouble().is_none() {
                return Ok(Some(Recovered { after, serves: true }));
            }
        }
        let trouble = self.world.trouble();
        let may_serve = self.world.can_be_served().is_some() || self.world.sighted().next().is_some();
        if let (None, false, Some(after)) = (&trouble, may_serve, agreed) {
            return Ok(Some(Recovered { after, serves: false }));
        }
        let trouble = trouble.unwrap_or_else(|| match self.fresh.not_in_full {
            Some((ask, outcome)) => format!("request {} ended as {outcome:?}", ask.0),
            None => "no fresh request was answered in full".to_owned(),
        });
        let evidence = format!("{:?} after faults were over: {trouble}", recovery.within);
        Err(Box::new(self.checker.violation(RECOVERS, evidence)))
    }
}

impl Fresh {
    fn observe(&mut self, fact: &Fact) {
        let (Some(first), Fact::Over { ask, outcome, .. }) = (self.first, fact) else { return };
        if *ask >= first {
            if *outcome == Outcome::Complete {
                self.in_full += 1;
            } else {
                self.not_in_full = Some((*ask, *outcome));
            }
        }
    }
}
