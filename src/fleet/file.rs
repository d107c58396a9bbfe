//! The fleet file: TOML, one `[[device]]` table a device and an optional `[plan]` table.
//!
//! Reading is strict (an unknown key or an impossible value is an error that names the line and the device), so that a
//! typing error never becomes a plan for a fleet that does not exist. Paths and files are the caller's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::{Capability, Device, Fleet};
use crate::planner::{Objective, PlanOptions, Strategy};

/// Where nothing is known: one request in twenty is not answered in time. Also the prior's mean at run time.
const FAILURE_PROBABILITY_DEFAULT: f64 = 0.05;

/// What is wrong with a fleet file. Nothing was taken from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// Not TOML, an unknown or missing key, or a value of the wrong type.
    #[error("line {line}{}: {what}", in_device(.device))]
    Form {
        /// 1-based.
        line: usize,
        /// The device whose table it is in, if it is in one and has a name.
        device: Option<String>,
        /// What the reader found, and what it expected.
        what: String,
    },
    /// Of the right form, but impossible.
    #[error("line {line}{}: {key} is {found}; it must be {expected}", in_device(.device))]
    Impossible {
        /// 1-based.
        line: usize,
        /// The device, if it is about one.
        device: Option<String>,
        /// The key.
        key: &'static str,
        /// The value.
        found: String,
        /// What values are possible.
        expected: &'static str,
    },
    /// Two devices of one name.
    #[error("line {line}: device {device:?} is already on line {first_line}; give each device a name of its own")]
    Duplicate {
        /// The second one's, 1-based.
        line: usize,
        /// The name.
        device: String,
        /// The first one's, 1-based.
        first_line: usize,
    },
    /// No `[[device]]` at all.
    #[error("there is no [[device]] in the file; a fleet has at least one")]
    Empty,
}

fn in_device(device: &Option<String>) -> String {
    device.as_ref().map(|name| format!(", device {name:?}")).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFleet {
    #[serde(default)]
    device: Vec<RawDevice>,
    #[serde(default)]
    plan: RawPlan,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDevice {
    name: Spanned<String>,
    flops_per_s: Spanned<f64>,
    memory_bytes: u64,
    link_bits_per_s: Spanned<f64>,
    link_delay_s: Option<Spanned<f64>>,
    failure_probability: Option<Spanned<f64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    group_failure_max: Option<Spanned<f64>>,
    rho: Option<Spanned<f64>>,
    parts: Option<Spanned<usize>>,
    objective: Option<Objective>,
    accuracy_drop_max: Option<Spanned<f64>>,
    latency_max_s: Option<Spanned<f64>>,
    strategy: Option<Strategy>,
    count_input: Option<bool>,
}

/// The text, for turning offsets into lines and values into errors.
struct Source<'a>(&'a str);

impl Source<'_> {
    fn line(&self, offset: usize) -> usize {
        self.0.bytes().take(offset).filter(|&b| b == b'\n').count() + 1
    }

    /// The name in the `[[device]]` table around `offset`, as far as it can be made out in a file that does not parse.
    fn device_around(&self, offset: usize) -> Option<String> {
        let line = self.line(offset);
        let header = |text: &str| text.trim_start().starts_with('[');
        let lines: Vec<&str> = self.0.lines().collect();
        let start = (0..line.min(lines.len())).rev().find(|&i| header(lines[i]))?;
        lines[start].trim_start().starts_with("[[device]]").then_some(())?;
        let name = lines[start + 1..].iter().take_while(|text| !header(text)).find(|text| {
            text.trim_start().strip_prefix("name").is_some_and(|rest| rest.trim_start().starts_with('='))
        })?;
        name.split(['"', '\'']).nth(1).map(str::to_owned)
    }

    fn form(&self, error: &toml::de::Error) -> FleetError {
        let offset = error.span().map_or(0, |span| span.start);
        FleetError::Form {
            line: self.line(offset),
            device: self.device_around(offset),
            what: error.message().trim().to_owned(),
        }
    }

    fn checked(
        &self,
        value: &Spanned<f64>,
        device: Option<&str>,
        key: &'static str,
        expected: &'static str,
        possible: impl Fn(f64) -> bool,
    ) -> Result<f64, FleetError> {
        let number = *value.get_ref();
        if number.is_finite() && possible(number) {
            return Ok(number);
        }
        Err(FleetError::Impossible {
            line: self.line(value.span().start),
            device: device.map(str::to_owned),
            key,
            found: number.to_string(),
            expected,
        })
    }

    fn device(&self, raw: &RawDevice) -> Result<Device, FleetError> {
        let name = raw.name.get_ref().as_str();
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(FleetError::Impossible {
                line: self.line(raw.name.span().start),
                device: None,
                key: "name",
                found: format!("{name:?}"),
                expected: "a text that can be printed",
            });
        }
        let positive =
            |value, key| self.checked(value, Some(name), key, "a finite number greater than 0", |x: f64| x > 0.0);
        let flops_per_s = positive(&raw.flops_per_s, "flops_per_s")?;
        let link_bits_per_s = positive(&raw.link_bits_per_s, "link_bits_per_s")?;
        let link_delay_s = raw.link_delay_s.as_ref().map_or(Ok(0.0), |value| {
            self.checked(value, Some(name), "link_delay_s", "a finite number, 0 or greater", |x| x >= 0.0)
        })?;
        let failure_probability =
            raw.failure_probability.as_ref().map_or(Ok(FAILURE_PROBABILITY_DEFAULT), |value| {
                let expected = "at least 0 and less than 1";
                self.checked(value, Some(name), "failure_probability", expected, |x| (0.0..1.0).contains(&x))
            })?;
        let memory_bytes = raw.memory_bytes;
        let capability = Capability { flops_per_s, memory_bytes, link_bits_per_s, link_delay_s, failure_probability };
        Ok(Device { name: name.to_owned(), capability })
    }

    fn plan(&self, raw: &RawPlan) -> Result<PlanOptions, FleetError> {
        let defaults = PlanOptions::default();
        let probability = |value: &Option<Spanned<f64>>, key, default| {
            value.as_ref().map_or(Ok(default), |value| {
                self.checked(value, None, key, "greater than 0 and at most 1", |x| x > 0.0 && x <= 1.0)
            })
        };
        if let Some(parts) = raw.parts.as_ref().filter(|parts| *parts.get_ref() == 0) {
            return Err(FleetError::Impossible {
                line: self.line(parts.span().start),
                device: None,
                key: "parts",
                found: "0".to_owned(),
                expected: "at least 1",
            });
        }
        Ok(PlanOptions {
            group_failure_max: probability(&raw.group_failure_max, "group_failure_max", defaults.group_failure_max)?,
            rho: probability(&raw.rho, "rho", defaults.rho)?,
            parts: raw.parts.as_ref().map(|parts| *parts.get_ref()),
            objective: raw.objective.unwrap_or(defaults.objective),
            accuracy_drop_max: raw.accuracy_drop_max.as_ref().map_or(Ok(defaults.accuracy_drop_max), |value| {
                self.checked(value, None, "accuracy_drop_max", "points from 0 to 100", |x| (0.0..=100.0).contains(&x))
            })?,
            latency_max_s: raw
                .latency_max_s
                .as_ref()
                .map(|value| self.checked(value, None, "latency_max_s", "a finite number greater than 0", |x| x > 0.0))
                .transpose()?,
            strategy: raw.strategy.unwrap_or(defaults.strategy),
            count_input: raw.count_input.unwrap_or(defaults.count_input),
        })
    }
}

impl Fleet {
    /// Reads and checks a fleet file.
    ///
    /// # Errors
    /// [`FleetError`], naming the line and the device.
    pub fn parse(text: &str) -> Result<Self, FleetError> {
        let source = Source(text);
        let raw: RawFleet = toml::from_str(text).map_err(|error| source.form(&error))?;
        let mut lines = BTreeMap::new();
        let mut devices = Vec::with_capacity(raw.device.len());
        for device in &raw.device {
            let line = source.line(device.name.span().start);
            devices.push(source.device(device)?);
            if let Some(first_line) = lines.insert(device.name.get_ref(), line) {
                return Err(FleetError::Duplicate { line, device: device.name.get_ref().clone(), first_line });
            }
        }
        if devices.is_empty() {
            return Err(FleetError::Empty);
        }
        Ok(Self { devices, plan: source.plan(&raw.plan)? })
    }

    /// The fleet as a file that [`Fleet::parse`] reads back.
    pub fn to_toml(&self) -> String {
        let plan = &self.plan;
        let mut lines = vec![
            "[plan]".to_owned(),
            format!("group_failure_max = {:?}", plan.group_failure_max),
            format!("rho = {:?}", plan.rho),
        ];
        lines.extend(plan.parts.map(|parts| format!("parts = {parts}")));
        lines.push(format!("objective = \"{}\"", plan.objective));
        lines.push(format!("accuracy_drop_max = {:?}", plan.accuracy_drop_max));
        lines.extend(plan.latency_max_s.map(|latency| format!("latency_max_s = {latency:?}")));
        lines.push(format!("strategy = \"{}\"", plan.strategy));
        lines.push(format!("count_input = {}", plan.count_input));
        for Device { name, capability } in &self.devices {
            lines.extend([
                String::new(),
                "[[device]]".to_owned(),
                format!("name = {}", quoted(name)),
                format!("flops_per_s = {:?}", capability.flops_per_s),
                format!("memory_bytes = {}", capability.memory_bytes),
                format!("link_bits_per_s = {:?}", capability.link_bits_per_s),
                format!("link_delay_s = {:?}", capability.link_delay_s),
                format!("failure_probability = {:?}", capability.failure_probability),
            ]);
        }
        lines.join("\n") + "\n"
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => _ = write!(quoted, "\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
[plan]
group_failure_max = 0.01
objective = "nominal"

[[device]]
name = "pi-4"
flops_per_s = 4_000_000_000
memory_bytes = 500_000_000
link_bits_per_s = 1e8

[[device]]
name = "a \"quoted\" \\ one"
flops_per_s = 5e6
memory_bytes = 500000
link_bits_per_s = 500
link_delay_s = 0.02
failure_probability = 0.2
"#;

    fn error_after(replace: &str, by: &str) -> String {
        assert!(TWO.contains(replace), "{replace}");
        Fleet::parse(&TWO.replacen(replace, by, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let fleet = Fleet::parse(TWO).unwrap();
        assert_eq!(fleet.devices[0].capability.failure_probability, 0.05);
        assert_eq!(fleet.devices[0].capability.link_delay_s, 0.0);
        assert_eq!(fleet.devices[1].capability.failure_probability, 0.2);
        assert_eq!(fleet.plan.objective, Objective::Nominal);
        assert_eq!(fleet.plan.rho, 0.99);
        assert!(fleet.plan.count_input);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut fleet = Fleet::parse(TWO).unwrap();
        fleet.plan.parts = Some(3);
        fleet.plan.latency_max_s = Some(1e-9);
        fleet.devices[0].capability.flops_per_s = 1e300 / 3.0;
        assert_eq!(Fleet::parse(&fleet.to_toml()).unwrap(), fleet);
    }

    #[test]
    fn an_impossible_value_is_named_with_its_line_and_device() {
        for (replace, by, line) in [
            ("5e6", "-5e6", 14),
            ("5e6", "nan", 14),
            ("5e6", "inf", 14),
            ("5e6", "0", 14),
            ("= 500\n", "= 0.0\n", 16),
            ("0.02", "-0.02", 17),
            ("= 0.2", "= 1.0", 18),
            ("= 0.2", "= -0.1", 18),
            ("= 0.2", "= nan", 18),
        ] {
            let error = error_after(replace, by);
            assert!(error.starts_with(&format!("line {line}, device \"a ")), "{error}");
        }
        assert!(error_after("0.01", "0").starts_with("line 3: group_failure_max is 0;"));
        assert!(error_after("objective", "parts = 0\nobjective").contains("parts is 0"));
    }

    #[test]
    fn a_wrong_form_is_named_with_its_line_and_device() {
        let unknown = error_after("memory_bytes = 500_", "memory_byte = 500_");
        assert!(unknown.starts_with("line 9, device \"pi-4\": unknown field `memory_byte`"), "{unknown}");
        let negative = error_after("500_000_000", "-1");
        assert!(negative.starts_with("line 9, device \"pi-4\""), "{negative}");
        let missing = error_after("flops_per_s = 4_000_000_000", "");
        assert!(missing.contains("missing field `flops_per_s`") && missing.contains("pi-4"), "{missing}");
        let syntax = error_after("name = \"pi-4\"", "name = pi-4\"");
        assert!(syntax.starts_with("line 7"), "{syntax}");
        let objective = error_after("\"nominal\"", "\"fast\"");
        assert!(objective.starts_with("line 4: unknown variant `fast`"), "{objective}");
        let key = error_after("[plan]", "[plans]");
        assert!(key.starts_with("line 2: unknown field `plans`"), "{key}");
    }

    #[test]
    fn two_devices_of_one_name_are_refused() {
        let error = Fleet::parse(&TWO.replace("a \\\"quoted\\\" \\\\ one", "pi-4")).unwrap_err();
        assert_eq!(error, FleetError::Duplicate { line: 13, device: "pi-4".to_owned(), first_line: 7 });
    }

    #[test]
    fn a_fleet_without_devices_is_refused() {
        assert_eq!(Fleet::parse("[plan]\nrho = 0.9\n"), Err(FleetError::Empty));
    }
}
