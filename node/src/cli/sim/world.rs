//! What is simulated: a scenario with its bundle, or the swarm.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocoin::inference::Mode;
use rocoin_netsim::model::Model;
use rocoin_netsim::run::Plan;
use rocoin_netsim::scenario::{Bundle, Expect, SHIPPED, Scenario};
use rocoin_netsim::swarm;
use serde_json::{Value, json};

use super::bundle;
use crate::config::ConfigError;

/// Worlds, one a seed.
#[derive(Debug)]
pub(super) struct Worlds {
    what: What,
    /// As the command named it.
    mode: Option<Mode>,
}

#[derive(Debug)]
enum What {
    Swarm,
    Scenario(Box<Played>),
}

/// A scenario with the bundles that it serves.
#[derive(Debug)]
struct Played {
    /// As the command named it.
    argument: String,
    scenario: Scenario,
    models: Vec<Arc<Model>>,
    /// As the command named it.
    bundle: Option<PathBuf>,
}

impl Worlds {
    /// The swarm, or a scenario by its name or its file.
    pub(super) fn open(scenario: Option<&str>, bundle: Option<&Path>) -> anyhow::Result<Self> {
        let Some(argument) = scenario else {
            return match bundle {
                None => Ok(Self::of(What::Swarm)),
                Some(_) => Err(wrong("--bundle is for a scenario; the swarm makes up its own").into()),
            };
        };
        let shipped = SHIPPED.iter().find(|(name, _)| *name == argument).map(|(_, text)| (*text).to_owned());
        let text = match shipped {
            Some(text) => text,
            None => std::fs::read_to_string(argument).map_err(|error| wrong(&unreadable(argument, &error)))?,
        };
        let scenario = Scenario::parse(&text).map_err(|error| wrong(&format!("scenario {argument}: {error}")))?;
        let models = match (bundle, scenario.synthetic()) {
            (None, Some(models)) => models,
            (Some(path), _) => vec![served(path)?],
            (None, None) => vec![served(&folder(&scenario, Path::new(argument))?)?],
        };
        let (argument, bundle) = (argument.to_owned(), bundle.map(Path::to_owned));
        Ok(Self::of(What::Scenario(Box::new(Played { argument, scenario, models, bundle }))))
    }

    fn of(what: What) -> Self {
        Self { what, mode: None }
    }

    /// The same, with replicas asked in that mode.
    pub(super) fn in_mode(self, mode: Option<Mode>) -> Self {
        Self { mode, ..self }
    }

    /// The seed where nobody names one.
    pub(super) fn seed(&self) -> Option<u64> {
        match &self.what {
            What::Swarm => None,
            What::Scenario(played) => Some(played.scenario.seed),
        }
    }

    pub(super) fn plan(&self, seed: u64) -> Plan {
        let mut plan = match &self.what {
            What::Swarm => swarm::plan(seed, rocoin::bugs::Bugs::default()),
            What::Scenario(played) => played.scenario.plan(seed, played.models.clone()),
        };
        plan.setup.load.mode = self.mode.unwrap_or(plan.setup.load.mode);
        plan
    }

    /// What is expected of each run besides the invariants.
    pub(super) fn expect(&self) -> Expect {
        match &self.what {
            What::Swarm => Expect::default(),
            What::Scenario(played) => played.scenario.expect,
        }
    }

    /// The command that runs this seed again.
    pub(super) fn reproduce(&self, seed: u64) -> String {
        let mut command = "rocoin sim reproduce".to_owned();
        if let What::Scenario(played) = &self.what {
            _ = write!(command, " {}", quoted(&played.argument));
            if let Some(bundle) = &played.bundle {
                _ = write!(command, " --bundle {}", quoted(&bundle.display().to_string()));
            }
        }
        if let Some(mode) = self.mode {
            _ = write!(command, " --mode {mode}");
        }
        command + &format!(" --seed {seed}")
    }

    pub(super) fn title(&self, seed: u64) -> String {
        let name = match &self.what {
            What::Swarm => "swarm",
            What::Scenario(played) => &played.scenario.name,
        };
        format!("{name}, seed {seed}")
    }

    pub(super) fn subtitle(&self) -> String {
        match &self.what {
            What::Swarm => "a world drawn from its seed".to_owned(),
            What::Scenario(played) => played.scenario.description.clone(),
        }
    }

    /// For results.
    pub(super) fn configuration(&self) -> Value {
        let mut configuration = match &self.what {
            What::Swarm => json!({"swarm": true}),
            What::Scenario(played) => json!({
                "scenario": played.scenario.configuration,
                "bundles": played.models.iter().map(|model| model.digest().to_string()).collect::<Vec<_>>(),
            }),
        };
        if let Some(mode) = self.mode {
            configuration["mode"] = json!(mode);
        }
        configuration
    }
}

/// Where a scenario's bundle is: from here, beside the scenario's file, or in the checkout.
fn folder(scenario: &Scenario, file: &Path) -> Result<PathBuf, ConfigError> {
    let Bundle::Folder(folder) = &scenario.bundle else {
        return Err(wrong(&format!("{} serves the made-up bundle", scenario.name)));
    };
    let beside = file.parent().unwrap_or(Path::new("")).join(folder);
    let checkout = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../")).join(folder);
    let found = [PathBuf::from(folder), beside, checkout].into_iter().find(|path| path.exists());
    let missing = || format!("there is no {folder} here; name the bundle of {} with --bundle", scenario.name);
    found.ok_or_else(|| wrong(&missing()))
}

/// A bundle that is not there or not whole is a wrong file.
fn served(path: &Path) -> Result<Arc<Model>, ConfigError> {
    bundle::open(path).map(Arc::new).map_err(|error| wrong(&format!("{error:#}")))
}

fn unreadable(argument: &str, error: &std::io::Error) -> String {
    let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
    format!("cannot read the scenario {argument}: {error}; give a file, or one of {}", names.join(", "))
}

fn wrong(text: &str) -> ConfigError {
    ConfigError::Wrong(text.to_owned())
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
