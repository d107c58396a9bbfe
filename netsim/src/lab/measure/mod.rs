//! The mesh's targets, each measured by a file of its own.
//!
//! A measurement gives series of numbers with limits, and counts with limits. Which of them are met is decided here, and nowhere else.

mod false_deaths;
mod group_loss;
mod healing;
mod idle_traffic;
mod kill_noticed;
mod leader_loss;
mod measured;
mod overhead;
mod pacing;
mod replica_losses;
mod restart;
mod series;
mod silent_death;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rocoin::id::NodeId;
use serde::{Serialize, Serializer};

pub use self::measured::{Count, Measured};
pub(super) use self::series::quantile;
pub use self::series::{Limit, Series, Statistic};
use super::{LabError, Site, SiteOptions};
use crate::harness::{Moment, Outcome};
use crate::random::Random;

/// A target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(u8);

impl Target {
    /// All of them.
    pub const ALL: [Self; 11] =
        [Self(1), Self(2), Self(3), Self(4), Self(5), Self(6), Self(7), Self(8), Self(9), Self(10), Self::PACING];

    /// Without a number among the design's.
    const PACING: Self = Self(11);

    /// What is measured.
    pub fn what(self) -> &'static str {
        match self.0 {
            1 => "a node is killed: the others stop routing to it",
            2 => "a node falls silent: it is suspected, and given up by all",
            3 => "nobody dies, idle and with a quarter of the nodes starved: how many are given up",
            4 => "control traffic of an idle node, all control protocols, sent and received",
            5 => "a partition heals: one view and one epoch again",
            6 => "the leader is killed: a new plan",
            7 => "a node is killed and started again: it serves again",
            8 => "one replica of every group is killed at random instants, under load",
            9 => "a whole group is killed, under load: answers are whole again",
            10 => "what the mesh adds to the time of an answer",
            _ => "a bundle is fetched over links of 1 Mbit/s: nobody is suspected, and requests hardly notice",
        }
    }

    /// Whether it has a mesh of its own, and one of the same size always.
    pub fn has_own_mesh(self) -> bool {
        self.0 >= 10
    }

    /// Measures it on a mesh of `site`'s kind. `current` is a mesh that is whole, if one is up already; it is left whole or not at all.
    ///
    /// # Errors
    /// [`LabError`]: nothing was measured. A target that is missed is no error.
    pub fn measure(
        self,
        current: &mut Option<Site>,
        options: &SiteOptions,
        trials: &Trials,
    ) -> Result<Measured, LabError> {
        if self.has_own_mesh() {
            // It wants a quiet machine, too.
            *current = None;
            return if self == Self::PACING {
                pacing::measure(options, trials)
            } else {
                overhead::measure(options, trials)
            };
        }
        let mut site = match current.take() {
            Some(site) => site,
            None => Site::start(options.clone())?,
        };
        let measured = match self.0 {
            1 => kill_noticed::measure(&mut site, trials),
            2 => silent_death::measure(&mut site, trials),
            3 => false_deaths::measure(&mut site, trials),
            4 => idle_traffic::measure(&mut site, trials),
            5 => healing::measure(&mut site, trials),
            6 => leader_loss::measure(&mut site, trials),
            7 => restart::measure(&mut site, trials),
            8 => replica_losses::measure(&mut site, trials),
            _ => group_loss::measure(&mut site, trials),
        }?;
        *current = Some(site);
        Ok(measured)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::PACING { f.pad("pacing") } else { write!(f, "T{}", self.0) }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|target| target.to_string().eq_ignore_ascii_case(text));
        known.ok_or_else(|| format!("{text:?} is none of T1 to T10 and pacing"))
    }
}

/// How often and how long is measured.
#[derive(Debug, Clone, Serialize)]
pub struct Trials {
    /// Of all chance.
    pub seed: u64,
    /// Trials of what is cheap and wanted often: T1, T2, T6, T8.
    pub many: usize,
    /// Trials of the rest: T5, T7, T9.
    pub few: usize,
    /// Requests of T10.
    pub requests: usize,
    /// T3 watches for so long, each way.
    #[serde(rename = "false_deaths_s", serialize_with = "as_seconds")]
    pub false_deaths: Duration,
    /// T4 counts for so long.
    #[serde(rename = "idle_s", serialize_with = "as_seconds")]
    pub idle: Duration,
    /// Pacing watches for so long, without and with a bundle on its way.
    #[serde(rename = "pacing_s", serialize_with = "as_seconds")]
    pub pacing: Duration,
    /// Whether T3 is measured with plain time-outs, too.
    pub ablation: bool,
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Trials {
    /// What the targets ask for.
    pub fn full(seed: u64) -> Self {
        Self {
            seed,
            many: 50,
            few: 10,
            requests: 2000,
            false_deaths: Duration::from_secs(1200),
            idle: Duration::from_secs(60),
            pacing: Duration::from_secs(60),
            ablation: true,
        }
    }

    /// What fits into three minutes.
    pub fn quick(seed: u64) -> Self {
        let [false_deaths, idle, pacing] = [10, 8, 8].map(Duration::from_secs);
        Self { seed, many: 3, few: 1, requests: 200, false_deaths, idle, pacing, ablation: false }
    }

    /// The chance of one target.
    fn random(&self, target: &str) -> Random {
        Random::new(self.seed, target)
    }
}

/// A verdict that does not come within this is missing.
const PATIENCE: Duration = Duration::from_secs(15);

/// When each of `nodes` had noted `event` of `member`, as a time after `since`: the last of them. `None` if one did not within
/// [`PATIENCE`].
fn noted_by_all(
    site: &mut Site,
    nodes: &[usize],
    since: Moment,
    event: &str,
    member: NodeId,
) -> Result<Option<Duration>, LabError> {
    site.watch(PATIENCE, |site| {
        let mut last = since;
        for node in nodes {
            let Some(at) = site.first(*node, since, event, member) else { return Ok(None) };
            last = last.max(at);
        }
        Ok(Some(last.since(since)))
    })
}

/// When the first of `nodes` noted `event` of `member`.
fn noted_first(site: &mut Site, nodes: &[usize], since: Moment, event: &str, member: NodeId) -> Option<Moment> {
    nodes.iter().filter_map(|node| site.first(*node, since, event, member)).min()
}

/// All nodes but these.
fn others(site: &Site, nodes: &[usize]) -> Vec<usize> {
    (0..site.nodes()).filter(|node| !nodes.contains(node)).collect()
}

/// Whom the nodes follow.
fn leader(site: &Site) -> Result<usize, LabError> {
    let leader = site.status()?.leader.and_then(|id| site.mesh().index_of(id));
    leader.ok_or_else(|| LabError::Unmeasured("the mesh follows nobody".to_owned()))
}

/// The epochs that these nodes say they adopted.
fn epochs(site: &Site, nodes: &[usize]) -> BTreeSet<Option<String>> {
    let statuses = site.mesh().statuses();
    statuses.into_iter().filter(|(node, _)| nodes.contains(node)).map(|(_, status)| status.epoch).collect()
}

/// Whether these nodes come to have one epoch: one plan may just be on its way when a measurement ends.
fn agrees(site: &mut Site, nodes: &[usize]) -> Result<bool, LabError> {
    let one = site.watch(PATIENCE, |site| Ok((epochs(site, nodes).len() == 1).then_some(())))?;
    Ok(one.is_some())
}

/// How many requests there were, and of those how many were degraded, failed or retried.
#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    asked: usize,
    degraded: usize,
    failed: usize,
    retried: usize,
}

impl Requests {
    fn add(&mut self, outcomes: &[Outcome]) {
        let count = |of: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
        self.asked += outcomes.len();
        self.degraded += count(Outcome::is_degraded);
        self.failed += count(Outcome::is_failed);
        self.retried += count(|outcome| outcome.retried);
    }

    /// As counts of a measurement. None may fail; how many may be degraded is the target's.
    fn counts(self, degraded_max: Option<u64>) -> [Count; 4] {
        [
            Count::of("requests", self.asked),
            Count::at_most("requests without an answer", self.failed, 0),
            Count { most: degraded_max, ..Count::of("degraded answers", self.degraded) },
            Count::of("requests tried twice", self.retried),
        ]
    }
}

/// Why requests of these were not answered, for people.
fn reasons(outcomes: &[Outcome]) -> BTreeSet<String> {
    let why = |outcome: &Outcome| match &outcome.result {
        crate::harness::Answered::No { why } => Some(why.clone()),
        crate::harness::Answered::Yes { .. } => None,
    };
    outcomes.iter().filter_map(why).take(5).collect()
}

/// A time as people read it.
fn measured_s(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.3} s"))
}
