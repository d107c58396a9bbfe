//! What planning produces, and what it is asked for.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::PartId;

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The time within which, with probability ρ, every part has been answered.
    #[default]
    Rho,
    /// The slowest part's fastest replica, with no failure.
    Nominal,
}

/// How the plan is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Ours: local search from follow-the-leader, on the real objective.
    #[default]
    Search,
    /// After RoCoIn: follow-the-leader groups, Kuhn–Munkres.
    Rocoin,
    /// RoCoIn's groups with the bottleneck assignment.
    Bottleneck,
    /// The optimum; small fleets only.
    Exhaustive,
    /// RoCoIn-G: RoCoIn's groups, parts and students given out one after the other.
    RocoinG,
    /// After NoNN: equal students, each on a device of its own, no replica.
    Nonn,
    /// HetNoNN: the same, but each device has the student that suits it.
    HetNonn,
}

/// A text that is none of the names it could be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is none of {}", known.join(", "))]
pub struct ParseNameError {
    found: String,
    known: Vec<&'static str>,
}

macro_rules! named {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every one, in the order in which they are listed to people.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As fleet files, commands and reports write it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                Self::ALL.iter().copied().find(|one| one.name() == text).ok_or_else(|| ParseNameError {
                    found: text.to_owned(),
                    known: Self::ALL.iter().map(|one| one.name()).collect(),
                })
            }
        }
    };
}

named!(Objective { Rho = "rho", Nominal = "nominal" });
named!(Strategy {
    Search = "search",
    Rocoin = "rocoin",
    Bottleneck = "bottleneck",
    Exhaustive = "exhaustive",
    RocoinG = "rocoin-g",
    Nonn = "nonn",
    HetNonn = "het-nonn",
});

/// The `[plan]` table of a fleet file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanOptions {
    /// p_th: the most that the product of a group's failure probabilities may be.
    pub group_failure_max: f64,
    /// ρ of the ρ-latency.
    pub rho: f64,
    /// K, where the students do not exist yet; `None`: the planner's choice.
    pub parts: Option<usize>,
    /// What is minimised.
    pub objective: Objective,
    /// Points of expected accuracy that may be given up for speed.
    pub accuracy_drop_max: f64,
    /// Instead of `accuracy_drop_max`: the most accurate plan that is no slower than this, seconds.
    pub latency_max_s: Option<f64>,
    /// How the plan is sought.
    pub strategy: Strategy,
    /// Whether the input's transfer counts (the paper's model leaves it out).
    pub count_input: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            group_failure_max: 0.05,
            rho: 0.99,
            parts: None,
            objective: Objective::default(),
            accuracy_drop_max: 1.0,
            latency_max_s: None,
            strategy: Strategy::default(),
            count_input: true,
        }
    }
}

/// A plan with what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How it was sought.
    pub strategy: Strategy,
    /// What was minimised.
    pub objective: Objective,
    /// One a part, in part order.
    pub groups: Vec<Group>,
    /// Slowest part's fastest replica, s.
    pub latency_s: f64,
    /// ρ-latency, s; `None` where availability < ρ.
    pub latency_rho_s: Option<f64>,
    /// ρ.
    pub rho: f64,
    /// Probability that every part has an alive replica.
    pub availability: f64,
    /// Test accuracy with every part answered; `None` without a bundle.
    pub accuracy: Option<f64>,
    /// Over device failures, exactly; `None` without a bundle.
    pub expected_accuracy: Option<f64>,
    /// No plan with these students can be faster than this, s.
    pub latency_lower_bound_s: f64,
    /// Whether every constraint holds; if not, this is the best effort.
    pub feasible: bool,
    /// Why it is not feasible, for people.
    pub reasons: Vec<String>,
}

/// A part on a device, with the student that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holding {
    /// The part.
    pub part: PartId,
    /// Which student: an index into the part's candidates.
    pub student: usize,
}

impl Plan {
    /// What each of the fleet's `devices` devices holds.
    pub fn holdings(&self, devices: usize) -> Vec<BTreeSet<Holding>> {
        let mut holdings = vec![BTreeSet::new(); devices];
        for group in &self.groups {
            for replica in &group.replicas {
                holdings[replica.device].insert(Holding { part: group.part, student: group.student });
            }
        }
        holdings
    }
}

/// The devices that hold one part redundantly.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The part they hold.
    pub part: PartId,
    /// Which student: an index into the part's candidates (a bundle's `students`, or the zoo).
    pub student: usize,
    /// Its architecture.
    pub arch: String,
    /// Its precision.
    pub precision: String,
    /// The devices, fastest first.
    pub replicas: Vec<Replica>,
    /// Product of the members' failure probabilities.
    pub failure_probability: f64,
}

/// One member of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replica {
    /// Index into the fleet's devices.
    pub device: usize,
    /// Until its answer for this part is there, s.
    pub latency_s: f64,
}
