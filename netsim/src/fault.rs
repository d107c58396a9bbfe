//! What can go wrong, as scenario files write it.

use rocoin::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use crate::fact::Kept;

/// A fault and when it comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// World time.
    pub at: Instant,
    /// What.
    pub fault: Fault,
}

/// Whom a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The host of this number.
    Host(u32),
    /// Whoever leads now, in the eyes of most.
    Leader,
    /// Any running host.
    Random,
    /// Every host.
    All,
    /// So many running hosts, at random.
    Some(u32),
    /// Every running member of the group that holds this part, by the leader's plan.
    Group(u16),
}

/// What goes wrong, or is put right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The node is gone at once. With `silent`, its peers are not told by its kernel: the power or the net failed.
    Crash {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
        /// What its disk keeps.
        #[serde(default = "all")]
        disk: Kept,
        /// Power loss rather than `kill -9`.
        #[serde(default)]
        silent: bool,
    },
    /// The node starts, with what its disk kept; nothing if it runs.
    Restart {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
    },
    /// The node is told to leave, finishes what it has, and ends.
    Drain {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
    },
    /// The host stands still; its connections stay.
    Pause {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
    },
    /// It goes on with all that came meanwhile.
    Resume {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
    },
    /// It computes so many times slower; 1 is its own speed.
    Slow {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
        /// At least 1.
        factor: f64,
    },
    /// It is starved of processor time: it stands still again and again, for up to `stall_s`, with up to `run_s` between; a
    /// `stall_s` of 0 ends it.
    Starve {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
        /// Longest standstill, s.
        stall_s: f64,
        /// Longest run between two, s.
        #[serde(default = "second")]
        run_s: f64,
    },
    /// Hosts of different sides do not hear each other; a host that is not named is on the first side.
    Partition {
        /// The sides.
        sides: Vec<Vec<u32>>,
    },
    /// Two random halves.
    Halves,
    /// One host against all others.
    Isolate {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
    },
    /// Nothing gets from `from` to `to`; the other way is open.
    Cut {
        /// The sender.
        #[serde(with = "target")]
        from: Target,
        /// The receiver.
        #[serde(with = "target")]
        to: Target,
    },
    /// Every partition and cut is over.
    Heal,
    /// The host's link is so many times slower, in rate and delay; 1 is its own speed.
    Clog {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
        /// At least 1.
        factor: f64,
    },
    /// The host's link goes down and up, `times` times, each for `down_s` and `up_s`.
    Flap {
        /// Whom.
        #[serde(with = "target")]
        on: Target,
        /// How often.
        times: u32,
        /// Down so long, s.
        down_s: f64,
        /// Up so long, s.
        up_s: f64,
    },
    /// Its students answer with wrong partial logits, other ones than any other host's; it says nothing of it.
    Lie {
        /// Who.
        #[serde(with = "target")]
        on: Target,
        /// False: it tells the truth again.
        #[serde(default = "yes")]
        lies: bool,
    },
    /// A bit of one of the artifacts on its disk turns.
    CorruptArtifact {
        /// Whose.
        #[serde(with = "target")]
        on: Target,
    },
    /// Nothing more can be written to its disk.
    DiskFull {
        /// Whose.
        #[serde(with = "target")]
        on: Target,
        /// False: there is room again.
        #[serde(default = "yes")]
        full: bool,
    },
    /// Its disk is so many times slower; 1 is its own speed.
    DiskSlow {
        /// Whose.
        #[serde(with = "target")]
        on: Target,
        /// At least 1.
        factor: f64,
    },
    /// Its clock jumps forward, as after a suspend.
    ClockJump {
        /// Whose.
        #[serde(with = "target")]
        on: Target,
        /// By so much, s.
        by_s: f64,
    },
    /// `to` becomes a copy of `from`: its disk, its identity; both run.
    Clone {
        /// The original.
        #[serde(with = "target")]
        from: Target,
        /// The copy; what it was is gone.
        #[serde(with = "target")]
        to: Target,
    },
    /// A bundle is given to a node.
    Deploy {
        /// To whom.
        #[serde(with = "target")]
        on: Target,
        /// Which of the scenario's bundles; 0 is the one deployed at the start.
        bundle: usize,
    },
    /// Everything is put right: partitions heal, links lose nothing, all hosts run at their own speed, disks have room.
    Calm {
        /// But these hosts fail for good.
        #[serde(default)]
        without: Vec<u32>,
    },
}

fn all() -> Kept {
    Kept::All
}

fn yes() -> bool {
    true
}

fn second() -> f64 {
    1.0
}

/// Seconds as a time, cut to what a time can be.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(if seconds > 0.0 { Duration::MAX } else { Duration::ZERO })
}

/// A target as text: `n3`, `leader`, `random`, `all`, `some(2)`, `group(1)`.
mod target {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Target;

    pub(super) fn serialize<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(target)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(f, "n{host}"),
            Self::Leader => f.write_str("leader"),
            Self::Random => f.write_str("random"),
            Self::All => f.write_str("all"),
            Self::Some(count) => write!(f, "some({count})"),
            Self::Group(part) => write!(f, "group({part})"),
        }
    }
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no host: write n0, n1, …, leader, random, all, some(2), or group(0)")]
pub struct ParseTargetError(String);

impl std::str::FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        let error = || ParseTargetError(text.to_owned());
        let argument = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        match text {
            "leader" => Ok(Self::Leader),
            "random" => Ok(Self::Random),
            "all" => Ok(Self::All),
            _ => {
                if let Some(count) = argument("some") {
                    count.parse().map(Self::Some).map_err(|_| error())
                } else if let Some(part) = argument("group") {
                    part.parse().map(Self::Group).map_err(|_| error())
                } else {
                    text.strip_prefix('n').and_then(|n| n.parse().ok()).map(Self::Host).ok_or_else(error)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_read_back_from_its_text() {
        let targets =
            [Target::Host(12), Target::Leader, Target::Random, Target::All, Target::Some(3), Target::Group(1)];
        for target in targets {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for text in ["", "n", "x3", "some", "some(x)", "group(1"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_is_read_from_toml_and_an_unknown_key_is_refused() {
        let fault: Fault = toml::from_str("fault = \"crash\"\non = \"leader\"\nsilent = true").unwrap();
        assert_eq!(fault, Fault::Crash { on: Target::Leader, disk: Kept::All, silent: true });
        let error = toml::from_str::<Fault>("fault = \"pause\"\non = \"n1\"\nfor = 3").unwrap_err();
        assert!(error.to_string().contains("for"), "{error}");
    }
}
