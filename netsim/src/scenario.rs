//! Scenario files: a world, what goes wrong in it, and what is expected of it, as TOML.
//!
//! Reading is strict: an unknown key, an impossible value, a host that does not exist or a time after the end is an error that
//! names the line. A scenario and a seed make a [`Plan`]. Files and paths are the caller's; so is the bundle, unless it is the
//! made-up one.

mod error;
mod expect;
mod frozen;
mod hosts;
mod node;
mod proves;
mod schedule;
mod shipped;
mod source;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rocoin::time::Duration;
use serde::{Deserialize, Serialize};

pub use self::error::{FreezeError, ScenarioError};
pub use self::expect::Expect;
pub use self::frozen::{Title, freeze};
use self::hosts::Hosts;
use self::node::NodeSpec;
pub use self::proves::Proves;
use self::proves::ProvesSpec;
use self::schedule::Limits;
pub use self::shipped::SHIPPED;
use self::source::Source;
use crate::fault::{Fault, Scheduled, seconds};
use crate::model::Model;
use crate::random::Random;
use crate::run::{Plan, Recovery};
use crate::world::{LoadSpec, NetworkSpec, Setup};

/// The schema of scenario files.
pub const SCHEMA: &str = "rocoin.scenario/1";
/// The name of the made-up bundle.
const SYNTHETIC: &str = "synthetic";
/// Versions of the made-up bundle that a scenario can deploy one after the other.
const VERSIONS_MAX: usize = 8;
/// What a machine may be able to hold.
const HOSTS_MAX: u64 = 100_000;
/// A week.
const DURATION_S_MAX: f64 = 604_800.0;

/// A scenario, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Short; files and commands use it.
    pub name: String,
    /// What it shows, for people.
    pub description: String,
    /// Where nobody names another.
    pub seed: u64,
    /// How long things go wrong.
    pub duration: Duration,
    /// The bundle that is served.
    pub bundle: Bundle,
    /// What is expected of a run.
    pub expect: Expect,
    /// The known bug that it is kept for.
    pub proves: Option<Proves>,
    /// The file, as results state it.
    pub configuration: toml::Table,
    file: File,
    schedule: Vec<Scheduled>,
}

/// The bundle that a scenario's mesh serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bundle {
    /// The made-up one.
    Synthetic {
        /// Its knowledge parts.
        parts: u16,
        /// Which of all made-up bundles the first version is; the next version is the next one.
        variant: u64,
        /// Its versions; the first is deployed at the start.
        versions: u64,
    },
    /// A real one, in a folder.
    Folder(String),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    name: String,
    description: String,
    #[serde(default)]
    seed: u64,
    duration_s: f64,
    #[serde(default = "synthetic")]
    bundle: String,
    parts: Option<u16>,
    variant: Option<u64>,
    #[serde(default)]
    in_place: bool,
    #[serde(default)]
    acquainted: bool,
    #[serde(default)]
    runs_fail: bool,
    hosts: Vec<Hosts>,
    #[serde(default)]
    network: NetworkSpec,
    #[serde(default)]
    load: LoadSpec,
    #[serde(default)]
    node: NodeSpec,
    #[serde(default)]
    at: Vec<toml::Table>,
    recovery: Option<RecoverySpec>,
    #[serde(default)]
    expect: Expect,
    proves: Option<ProvesSpec>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoverySpec {
    within_s: f64,
    #[serde(default)]
    without: Vec<u32>,
}

fn synthetic() -> String {
    SYNTHETIC.to_owned()
}

impl Scenario {
    /// Reads and checks a scenario file.
    ///
    /// # Errors
    /// [`ScenarioError`], naming the line.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let source = Source::new(text)?;
        let configuration: toml::Table = toml::from_str(text).map_err(|error| source::form(text, &error))?;
        check_schema(&source, &configuration)?;
        let file: File = toml::from_str(text).map_err(|error| source::form(text, &error))?;
        file.check(&source)?;
        let proves = file.proves.as_ref().map(|proves| proves.check(&source)).transpose()?;
        let schedule = schedule::read(&source, &file.at, file.limits())?;
        let newest = schedule.iter().map(|line| if let Fault::Deploy { bundle, .. } = line.fault { bundle } else { 0 });
        let bundle = match file.parts() {
            Some(parts) => {
                let versions = 1 + newest.max().unwrap_or(0) as u64;
                Bundle::Synthetic { parts, variant: file.variant.unwrap_or(0), versions }
            }
            None => Bundle::Folder(file.bundle.clone()),
        };
        Ok(Self {
            name: file.name.clone(),
            description: file.description.clone(),
            seed: file.seed,
            duration: seconds(file.duration_s),
            bundle,
            expect: file.expect,
            proves,
            configuration,
            file,
            schedule,
        })
    }

    /// Devices in it.
    pub fn hosts(&self) -> u32 {
        self.file.count()
    }

    /// The made-up bundles that it serves; `None` if it serves a real one.
    pub fn synthetic(&self) -> Option<Vec<Arc<Model>>> {
        match &self.bundle {
            Bundle::Synthetic { parts, variant, versions } => {
                let version = |version| Arc::new(Model::synthetic(*parts, variant.saturating_add(version)));
                Some((0..*versions).map(version).collect())
            }
            Bundle::Folder(_) => None,
        }
    }

    /// What is run: the world of this seed, serving these bundles.
    pub fn plan(&self, seed: u64, models: Vec<Arc<Model>>) -> Plan {
        let file = &self.file;
        let mut random = Random::new(seed, "hosts");
        let setup = Setup {
            seed,
            hosts: file.hosts.iter().flat_map(|hosts| hosts.draw(&mut random, file.network.delay_s)).collect(),
            network: file.network.clone(),
            node: file.node.config(),
            models,
            in_place: file.in_place,
            acquainted: file.acquainted,
            runs_fail: file.runs_fail,
            load: file.load.clone(),
            schedule: self.schedule.clone(),
            bugs: rocoin::bugs::Bugs::default(),
        };
        let recovery = file.recovery.as_ref();
        let recovery = recovery.map(|r| Recovery { without: r.without.clone(), within: seconds(r.within_s) });
        Plan { setup, safety: self.duration, recovery }
    }
}

/// First of all, so that a file of a later version is called that, and not full of unknown keys.
fn check_schema(source: &Source<'_>, table: &toml::Table) -> Result<(), ScenarioError> {
    match table.get("schema") {
        Some(toml::Value::String(schema)) if schema == SCHEMA => Ok(()),
        Some(other) => Err(source.impossible("schema", other, format!("\"{SCHEMA}\""))),
        None => Err(source.form("schema", format!("missing key `schema`: write schema = \"{SCHEMA}\" first"))),
    }
}

impl File {
    fn count(&self) -> u32 {
        let hosts: u64 = self.hosts.iter().map(|hosts| u64::from(hosts.count)).sum();
        u32::try_from(hosts).unwrap_or(u32::MAX)
    }

    /// Of the made-up bundle.
    fn parts(&self) -> Option<u16> {
        (self.bundle == SYNTHETIC).then_some(self.parts.unwrap_or(3))
    }

    fn limits(&self) -> Limits {
        let bundles = if self.parts().is_some() { VERSIONS_MAX } else { 1 };
        Limits { hosts: self.count(), duration_s: self.duration_s, parts: self.parts(), bundles }
    }

    fn check(&self, source: &Source<'_>) -> Result<(), ScenarioError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(source.impossible(
                "name",
                format!("{:?}", self.name),
                "lower-case letters, digits and hyphens",
            ));
        }
        let duration = format!("greater than 0 and at most {DURATION_S_MAX} seconds");
        source.check("duration_s", self.duration_s, &duration, |s| s > 0.0 && s <= DURATION_S_MAX)?;
        if self.variant.is_some() && self.bundle != SYNTHETIC {
            return Err(
                source.form("variant", "a variant is for bundle = \"synthetic\"; a folder's bundle is what it is")
            );
        }
        match self.parts {
            Some(_) if self.bundle != SYNTHETIC => {
                return Err(source.form("parts", "parts are for bundle = \"synthetic\"; a folder's bundle has its own"));
            }
            Some(parts) if !(1..=6).contains(&parts) => return Err(source.impossible("parts", parts, "1 to 6")),
            _ => {}
        }
        self.check_hosts(source)?;
        self.check_network(source)?;
        self.check_load(source)?;
        self.node.check(source, self.count())?;
        self.check_recovery(source)?;
        self.expect.check(source, self.recovery.is_some(), self.runs_fail)
    }

    fn check_hosts(&self, source: &Source<'_>) -> Result<(), ScenarioError> {
        for (i, hosts) in self.hosts.iter().enumerate() {
            hosts.check(source, &format!("hosts.{i}"))?;
        }
        let count: u64 = self.hosts.iter().map(|hosts| u64::from(hosts.count)).sum();
        if !(1..=HOSTS_MAX).contains(&count) {
            return Err(source.impossible("hosts", format!("{count} hosts"), format!("1 to {HOSTS_MAX} hosts")));
        }
        Ok(())
    }

    fn check_network(&self, source: &Source<'_>) -> Result<(), ScenarioError> {
        let n = &self.network;
        let shares = [("loss", n.loss), ("drop", n.drop), ("duplicate", n.duplicate), ("reorder", n.reorder)];
        for (name, share) in shares {
            let possible = |x: f64| (0.0..1.0).contains(&x);
            source.check(&format!("network.{name}"), share, "at least 0 and less than 1", possible)?;
        }
        let times = [
            ("delay_s", n.delay_s),
            ("jitter_s", n.jitter_s),
            ("break_after_s", n.break_after_s),
            ("discovery_s", n.discovery_s),
        ];
        for (name, time) in times {
            source.check(&format!("network.{name}"), time, "0 to 3600 seconds", |x| (0.0..=3600.0).contains(&x))?;
        }
        source.check("network.rate_bits_per_s", n.rate_bits_per_s, "0 or more bit/s", |x| x >= 0.0)
    }

    fn check_load(&self, source: &Source<'_>) -> Result<(), ScenarioError> {
        let load = &self.load;
        source.check("load.rate_per_s", load.rate_per_s, "0 to 100000", |x| (0.0..=1e5).contains(&x))?;
        self.check_load_times(source)?;
        let longest = rocoin::inference::coordinator::Config::default().deadline_max.as_secs_f64();
        let deadline = format!("greater than 0 and at most {longest} seconds");
        source.check("load.deadline_s", load.deadline_s, &deadline, |x| x > 0.0 && x <= longest)?;
        if load.min_parts == 0 || self.parts().is_some_and(|parts| load.min_parts > usize::from(parts)) {
            return Err(source.impossible("load.min_parts", load.min_parts, "1 to the parts of the bundle"));
        }
        match load.to.iter().find(|host| **host >= self.count()) {
            Some(host) => Err(source.impossible("load.to", host, format!("hosts below {}", self.count()))),
            None => Ok(()),
        }
    }

    /// Where nothing is said the load begins by itself early, and lasts to the end.
    fn check_load_times(&self, source: &Source<'_>) -> Result<(), ScenarioError> {
        let (load, end) = (&self.load, self.duration_s);
        if load.rate_per_s > 0.0 || source.has("load", "from_s") {
            let expected = format!("0 to the scenario's duration_s, {end}");
            source.check("load.from_s", load.from_s, &expected, |s| (0.0..=end).contains(&s))?;
        }
        if source.has("load", "until_s") {
            let expected = format!("from_s, {}, to the scenario's duration_s, {end}", load.from_s);
            source.check("load.until_s", load.until_s, &expected, |s| (load.from_s..=end).contains(&s))?;
        }
        Ok(())
    }

    fn check_recovery(&self, source: &Source<'_>) -> Result<(), ScenarioError> {
        let Some(recovery) = &self.recovery else { return Ok(()) };
        let possible = |s: f64| s > 0.0 && s <= DURATION_S_MAX;
        source.check("recovery.within_s", recovery.within_s, "a number of seconds greater than 0", possible)?;
        let mut without = recovery.without.clone();
        without.sort_unstable();
        without.dedup();
        if let Some(host) = without.iter().find(|host| **host >= self.count()) {
            return Err(source.impossible("recovery.without", host, format!("hosts below {}", self.count())));
        }
        if without.len() as u64 >= u64::from(self.count()) {
            return Err(source.impossible("recovery.without", "every host", "fewer than all hosts"));
        }
        Ok(())
    }
}
