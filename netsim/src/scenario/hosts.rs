//! The devices of a scenario: each by its numbers, or many with numbers drawn from ranges.

use std::fmt;

use rocoin::fleet::Capability;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::ScenarioError;
use super::source::Source;
use crate::random::Random;
use crate::world::HostSpec;

/// What a laptop's SSD takes for a synced write, s.
const SYNC_S: f64 = 0.005;
/// Room for artifacts where nothing is said, bytes.
const DISK_BYTES: f64 = 1e9;
/// The planner's prior.
const FAILURE_PROBABILITY: f64 = 0.05;

/// A number, or a range that it is drawn from: uniform in its logarithm where both ends are above 0, as devices differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    low: f64,
    high: f64,
}

impl Range {
    const fn just(number: f64) -> Self {
        Self { low: number, high: number }
    }

    fn draw(self, random: &mut Random) -> f64 {
        let Self { low, high } = self;
        if low >= high {
            low
        } else if low > 0.0 {
            random.log_between(low, high)
        } else {
            random.between(low, high)
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RangeVisitor)
    }
}

struct RangeVisitor;

impl<'de> de::Visitor<'de> for RangeVisitor {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a range [least, most]")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Range, E> {
        Ok(Range::just(number))
    }

    #[expect(clippy::cast_precision_loss, reason = "no device has numbers above 2^53")]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Range, E> {
        Ok(Range::just(number as f64))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut ends: A) -> Result<Range, A::Error> {
        let mut next = |i| ends.next_element::<f64>()?.ok_or_else(|| de::Error::invalid_length(i, &self));
        let range = Range { low: next(0)?, high: next(1)? };
        match ends.next_element::<f64>()? {
            None => Ok(range),
            Some(_) => Err(de::Error::invalid_length(3, &self)),
        }
    }
}

/// One `[[hosts]]` table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hosts {
    #[serde(default = "one")]
    pub(super) count: u32,
    flops_per_s: Range,
    memory_bytes: Range,
    link_bits_per_s: Range,
    /// Without it, that of the network.
    link_delay_s: Option<Range>,
    #[serde(default = "failure_probability")]
    failure_probability: Range,
    #[serde(default = "disk_bytes")]
    disk_bytes: Range,
    #[serde(default = "sync_s")]
    sync_s: Range,
    #[serde(default)]
    priority: i32,
}

fn one() -> u32 {
    1
}

fn failure_probability() -> Range {
    Range::just(FAILURE_PROBABILITY)
}

fn disk_bytes() -> Range {
    Range::just(DISK_BYTES)
}

fn sync_s() -> Range {
    Range::just(SYNC_S)
}

impl Hosts {
    /// That all of them are possible; `table` is where they stand.
    pub(super) fn check(&self, source: &Source<'_>, table: &str) -> Result<(), ScenarioError> {
        let positive = "a finite number greater than 0, or such a range [least, most]";
        let share = "at least 0 and less than 1, or such a range [least, most]";
        let bytes = "at least 1 byte, or such a range [least, most]";
        let time = "0 to 3600 seconds, or such a range";
        let check = |name: &str, range: Range, expected: &str, possible: &dyn Fn(f64) -> bool| {
            let key = format!("{table}.{name}");
            source.check(&key, range.low, expected, possible)?;
            source.check(&key, range.high, expected, |high| possible(high) && high >= range.low)
        };
        let above_0 = |x: f64| x > 0.0 && x <= 1e18;
        check("flops_per_s", self.flops_per_s, positive, &above_0)?;
        let some_bytes = |x: f64| (1.0..=1e18).contains(&x);
        check("memory_bytes", self.memory_bytes, bytes, &some_bytes)?;
        check("link_bits_per_s", self.link_bits_per_s, positive, &above_0)?;
        if let Some(delay) = self.link_delay_s {
            check("link_delay_s", delay, time, &|x| (0.0..=3600.0).contains(&x))?;
        }
        check("failure_probability", self.failure_probability, share, &|x| (0.0..1.0).contains(&x))?;
        check("disk_bytes", self.disk_bytes, bytes, &some_bytes)?;
        check("sync_s", self.sync_s, "0 to 100 seconds, or such a range", &|x| (0.0..=100.0).contains(&x))
    }

    /// The hosts; `delay_s` is that of the network.
    pub(super) fn draw(&self, random: &mut Random, delay_s: f64) -> Vec<HostSpec> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be at most 1e18")]
        let bytes = |range: Range, random: &mut Random| range.draw(random) as u64;
        let one = |_| HostSpec {
            capability: Capability {
                flops_per_s: self.flops_per_s.draw(random),
                memory_bytes: bytes(self.memory_bytes, random),
                link_bits_per_s: self.link_bits_per_s.draw(random),
                link_delay_s: self.link_delay_s.map_or(delay_s, |delay| delay.draw(random)),
                failure_probability: self.failure_probability.draw(random),
            },
            priority: self.priority,
            disk_bytes: bytes(self.disk_bytes, random),
            sync_s: self.sync_s.draw(random),
        };
        (0..self.count).map(one).collect()
    }
}

/// One host as a `[[hosts]]` table of its own, every number written out.
#[derive(Debug, Serialize)]
pub(super) struct OneHost {
    flops_per_s: f64,
    memory_bytes: u64,
    link_bits_per_s: f64,
    link_delay_s: f64,
    failure_probability: f64,
    disk_bytes: u64,
    sync_s: f64,
    priority: i32,
}

impl From<&HostSpec> for OneHost {
    fn from(host: &HostSpec) -> Self {
        let HostSpec { capability, priority, disk_bytes, sync_s } = *host;
        let Capability { flops_per_s, memory_bytes, link_bits_per_s, link_delay_s, failure_probability } = capability;
        Self {
            flops_per_s,
            memory_bytes,
            link_bits_per_s,
            link_delay_s,
            failure_probability,
            disk_bytes,
            sync_s,
            priority,
        }
    }
}
