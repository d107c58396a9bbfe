//! The `[proves]` table of a scenario: the known bug that it is kept for.

use rocoin::bugs::Bug;
use serde::Deserialize;

use super::ScenarioError;
use super::source::Source;
use crate::caught::NO_PANIC;
use crate::invariant::Checker;
use crate::run::RECOVERS;

/// Without this bug the scenario holds, with it an invariant breaks. Plain runs do without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proves {
    /// The bug.
    pub bug: Bug,
    /// The invariant that breaks.
    pub breaks: String,
}

/// As the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvesSpec {
    bug: String,
    breaks: String,
}

impl ProvesSpec {
    pub(super) fn check(&self, source: &Source<'_>) -> Result<Proves, ScenarioError> {
        let known = Bug::ALL.iter().find(|bug| bug.name() == self.bug);
        let Some(bug) = known else {
            let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            let expected = format!("a known bug: {}", names.join(", "));
            return Err(source.impossible("proves.bug", format!("{:?}", self.bug), expected));
        };
        let mut names = Checker::new(&[]).names();
        names.extend([RECOVERS, NO_PANIC]);
        if !names.contains(&self.breaks.as_str()) {
            let expected = format!("an invariant: {}", names.join(", "));
            return Err(source.impossible("proves.breaks", format!("{:?}", self.breaks), expected));
        }
        Ok(Proves { bug: *bug, breaks: self.breaks.clone() })
    }
}
