//! How many of a part's replicas are asked, and when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a coordinator asks the replicas of a part. `docs/requests.md` has the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every replica at once; the first answer counts.
    #[default]
    All,
    /// The best replica, and the next one when an answer is overdue; the first answer counts.
    Hedged,
    /// Every replica at once; answers of the same student are compared, and the majority counts.
    Verify,
}

impl Mode {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::All, Self::Hedged, Self::Verify];

    /// As commands, requests and files write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Hedged => "hedged",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode: write all, hedged or verify")]
pub struct ParseModeError(String);

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, ParseModeError> {
        Self::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| ParseModeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_read_back_from_its_name_and_nothing_else_is() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let error = "Hedged".parse::<Mode>().unwrap_err().to_string();
        assert!(error.contains("all, hedged or verify"), "{error}");
    }
}
