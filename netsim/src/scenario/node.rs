//! The `[node]` table of a scenario: settings of the nodes that are not to be the defaults.

use rocoin::node::Config;
use serde::{Deserialize, Serialize};

use super::ScenarioError;
use super::source::Source;

/// More open requests, or jobs that wait, than any scenario needs.
const QUEUE_MAX: f64 = 1e6;
/// More than any device does at once.
const WORKERS_MAX: f64 = 1e3;

/// The nodes' settings that a scenario may change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NodeSpec {
    /// Nothing is planned with fewer members.
    min_members: Option<usize>,
    /// Waits stretch so many times on a node that finds itself unwell; 1 is plain time-outs.
    health_max: Option<u32>,
    /// ρ of the ρ-latency.
    rho: Option<f64>,
    /// p_th: the most that the product of a group's failure probabilities may be.
    group_failure_max: Option<f64>,
    /// Requests that a node takes at once.
    open_requests_max: Option<usize>,
    /// Jobs that wait at a replica.
    queue_max: Option<usize>,
    /// Runs that a device does at once.
    workers: Option<usize>,
}

impl NodeSpec {
    /// What differs from the defaults.
    pub(super) fn of(config: &Config) -> Self {
        let defaults = Config::default();
        let (plan, default_plan) = (&config.leadership.plan, &defaults.leadership.plan);
        Self {
            min_members: changed(config.leadership.min_members, defaults.leadership.min_members),
            health_max: changed(config.membership.health_max, defaults.membership.health_max),
            rho: changed(plan.rho, default_plan.rho),
            group_failure_max: changed(plan.group_failure_max, default_plan.group_failure_max),
            open_requests_max: changed(config.coordinator.open_requests_max, defaults.coordinator.open_requests_max),
            queue_max: changed(config.replica.queue_max, defaults.replica.queue_max),
            workers: changed(config.replica.workers, defaults.replica.workers),
        }
    }

    /// Whether nothing differs from the defaults.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The settings of every node.
    pub(super) fn config(self) -> Config {
        let mut config = Config::default();
        let plan = &mut config.leadership.plan;
        plan.rho = self.rho.unwrap_or(plan.rho);
        plan.group_failure_max = self.group_failure_max.unwrap_or(plan.group_failure_max);
        config.leadership.min_members = self.min_members.unwrap_or(config.leadership.min_members);
        config.membership.health_max = self.health_max.unwrap_or(config.membership.health_max);
        config.coordinator.open_requests_max = self.open_requests_max.unwrap_or(config.coordinator.open_requests_max);
        config.replica.queue_max = self.queue_max.unwrap_or(config.replica.queue_max);
        config.replica.workers = self.workers.unwrap_or(config.replica.workers);
        config
    }

    /// That all of them are possible, with so many hosts.
    pub(super) fn check(&self, source: &Source<'_>, hosts: u32) -> Result<(), ScenarioError> {
        let number = |name: &str, number: Option<f64>, expected: &str, possible: &dyn Fn(f64) -> bool| {
            number.map_or(Ok(()), |x| source.check(&format!("node.{name}"), x, expected, possible))
        };
        let share = |x: f64| x > 0.0 && x <= 1.0;
        number("rho", self.rho, "greater than 0 and at most 1", &share)?;
        number("group_failure_max", self.group_failure_max, "greater than 0 and at most 1", &share)?;
        number("health_max", self.health_max.map(f64::from), "1 to 100", &|x| (1.0..=100.0).contains(&x))?;
        #[expect(clippy::cast_precision_loss, reason = "compared with a bound far below 2^53")]
        let places = |count: usize| count as f64;
        let queue = |x: f64| (1.0..=QUEUE_MAX).contains(&x);
        number("open_requests_max", self.open_requests_max.map(places), "1 to 1000000", &queue)?;
        number("queue_max", self.queue_max.map(places), "1 to 1000000", &queue)?;
        number("workers", self.workers.map(places), "1 to 1000", &|x| (1.0..=WORKERS_MAX).contains(&x))?;
        let hosts = usize::try_from(hosts).unwrap_or(usize::MAX);
        match self.min_members {
            Some(members) if members == 0 || members > hosts => {
                Err(source.impossible("node.min_members", members, format!("1 to {hosts}, the hosts there are")))
            }
            _ => Ok(()),
        }
    }
}

fn changed<T: PartialEq>(setting: T, default: T) -> Option<T> {
    (setting != default).then_some(setting)
}
