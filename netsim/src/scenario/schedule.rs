//! The `[[at]]` tables of a scenario: what goes wrong when, once or again and again.

use rocoin::time::Instant;
use serde::Deserialize as _;
use toml::{Table, Value};

use super::ScenarioError;
use super::source::Source;
use crate::fault::{Fault, Scheduled, Target, seconds};

/// More than any scenario needs, and little enough to hold.
const LINES_MAX: usize = 100_000;

/// What there is to strike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) hosts: u32,
    pub(super) duration_s: f64,
    /// Of the made-up bundle; `None`: the file does not know.
    pub(super) parts: Option<u16>,
    /// Bundles that can be deployed.
    pub(super) bundles: usize,
}

/// Reads and checks every `[[at]]`, and writes repeated ones out, in the order of their times.
pub(super) fn read(source: &Source<'_>, at: &[Table], limits: Limits) -> Result<Vec<Scheduled>, ScenarioError> {
    let mut schedule = Vec::new();
    for (i, line) in at.iter().enumerate() {
        let table = format!("at.{i}");
        let fault = fault(source, line, &table)?;
        check(source, &fault, &table, limits)?;
        let key = |name: &str| format!("{table}.{name}");
        let t = time(source, line, &key("t"), "t", limits.duration_s)?;
        let t = t.ok_or_else(|| source.form(&table, "missing key `t`: when it happens, in seconds"))?;
        let every = time(source, line, &key("every_s"), "every_s", limits.duration_s)?;
        let until = time(source, line, &key("until_s"), "until_s", limits.duration_s)?;
        if every.is_none() && until.is_some() {
            return Err(source.form(&key("until_s"), "until_s without every_s: say how often it happens"));
        }
        if every.is_some_and(|every| every <= 0.0) {
            return Err(source.impossible(&key("every_s"), 0, "greater than 0"));
        }
        if until.is_some_and(|until| until < t) {
            return Err(source.impossible(&key("until_s"), until.unwrap_or(t), format!("at least t, {t}")));
        }
        let until = until.unwrap_or(limits.duration_s);
        for n in 0.. {
            let when = t + every.unwrap_or(0.0) * f64::from(n);
            if n > 0 && (every.is_none() || when > until) {
                break;
            }
            schedule.push(Scheduled { at: Instant::ZERO + seconds(when), fault: fault.clone() });
            if schedule.len() > LINES_MAX {
                return Err(source.impossible(&table, "repeated too often", format!("at most {LINES_MAX} faults")));
            }
        }
    }
    schedule.sort_by_key(|line| line.at);
    Ok(schedule)
}

/// A time of the scenario under a key of an `[[at]]`.
fn time(source: &Source<'_>, line: &Table, key: &str, name: &str, max: f64) -> Result<Option<f64>, ScenarioError> {
    #[expect(clippy::cast_precision_loss, reason = "a time in seconds")]
    let number = match line.get(name) {
        None => return Ok(None),
        Some(Value::Float(number)) => *number,
        Some(Value::Integer(number)) => *number as f64,
        Some(other) => return Err(source.impossible(key, other, "a number of seconds")),
    };
    source.check(key, number, &format!("0 to the scenario's duration_s, {max}"), |t| (0.0..=max).contains(&t))?;
    Ok(Some(number))
}

fn fault(source: &Source<'_>, line: &Table, table: &str) -> Result<Fault, ScenarioError> {
    let of_fault = |name: &String| !["t", "every_s", "until_s"].contains(&name.as_str());
    let rest: Table = line.iter().filter(|(name, _)| of_fault(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
    Fault::deserialize(Value::Table(rest)).map_err(|error| {
        let message = error.message().trim().to_owned();
        let key = source.named_in(table, &message).or_else(|| blamed(line, table, &message));
        source.form(key.as_deref().unwrap_or(table), message)
    })
}

/// The key whose value a message quotes.
fn blamed(line: &Table, table: &str, message: &str) -> Option<String> {
    let quoted = |text: &str| [format!("`{text}`"), format!("{text:?}")].iter().any(|text| message.contains(text));
    let (name, _) = line.iter().find(|(_, value)| value.as_str().is_some_and(quoted))?;
    Some(format!("{table}.{name}"))
}

/// That a fault strikes somebody there is, with possible numbers.
fn check(source: &Source<'_>, fault: &Fault, table: &str, limits: Limits) -> Result<(), ScenarioError> {
    let key = |name: &str| format!("{table}.{name}");
    let target = |name: &str, target: &Target| check_target(source, &key(name), target, limits);
    let times = |name: &str, number: f64| {
        source.check(&key(name), number, "a number from 1 to 1000000", |x| (1.0..=1e6).contains(&x))
    };
    let span = |name: &str, number: f64| {
        source.check(&key(name), number, "a number of seconds, 0 or more", |x| (0.0..=1e9).contains(&x))
    };
    let hosts = |name: &str, hosts: &[u32]| match hosts.iter().find(|host| **host >= limits.hosts) {
        Some(host) => Err(source.impossible(&key(name), host, existing(limits))),
        None => Ok(()),
    };
    match fault {
        Fault::Crash { on, .. }
        | Fault::Restart { on }
        | Fault::Drain { on }
        | Fault::Pause { on }
        | Fault::Resume { on }
        | Fault::Isolate { on }
        | Fault::CorruptArtifact { on }
        | Fault::Lie { on, .. }
        | Fault::DiskFull { on, .. } => target("on", on),
        Fault::Slow { on, factor } | Fault::Clog { on, factor } | Fault::DiskSlow { on, factor } => {
            times("factor", *factor)?;
            target("on", on)
        }
        Fault::Starve { on, stall_s, run_s } => {
            span("stall_s", *stall_s)?;
            source.check(&key("run_s"), *run_s, "a number of seconds greater than 0", |x| x > 0.0 && x <= 1e9)?;
            target("on", on)
        }
        Fault::Partition { sides } => sides.iter().try_for_each(|side| hosts("sides", side)),
        Fault::Halves | Fault::Heal => Ok(()),
        Fault::Cut { from, to } => {
            target("from", from)?;
            target("to", to)?;
            check_apart(source, &key("to"), from, to)
        }
        Fault::Clone { from, to } => {
            target("from", from)?;
            target("to", to)?;
            check_single(source, &key("from"), from)?;
            check_single(source, &key("to"), to)?;
            check_apart(source, &key("to"), from, to)
        }
        Fault::Flap { on, times: count, down_s, up_s } => {
            source.check(&key("times"), f64::from(*count), "1 to 100000", |x| (1.0..=1e5).contains(&x))?;
            span("down_s", *down_s)?;
            span("up_s", *up_s)?;
            target("on", on)
        }
        Fault::ClockJump { on, by_s } => {
            span("by_s", *by_s)?;
            target("on", on)
        }
        Fault::Deploy { on, bundle } => {
            if *bundle >= limits.bundles {
                let expected = format!("below {}: the bundles that this scenario has", limits.bundles);
                return Err(source.impossible(&key("bundle"), bundle, expected));
            }
            target("on", on)
        }
        Fault::Calm { without } => hosts("without", without),
    }
}

fn check_target(source: &Source<'_>, key: &str, target: &Target, limits: Limits) -> Result<(), ScenarioError> {
    match target {
        Target::Host(host) if *host >= limits.hosts => Err(source.impossible(key, target, existing(limits))),
        Target::Some(count) if *count == 0 || *count > limits.hosts => {
            Err(source.impossible(key, target, format!("some(1) to some({})", limits.hosts)))
        }
        Target::Group(part) if limits.parts.is_some_and(|parts| *part >= parts) => {
            let last = limits.parts.unwrap_or(1).saturating_sub(1);
            Err(source.impossible(key, target, format!("group(0) to group({last}): the parts of the bundle")))
        }
        Target::Host(_) | Target::Some(_) | Target::Group(_) | Target::Leader | Target::Random | Target::All => Ok(()),
    }
}

/// That it means one host, whoever that is then.
fn check_single(source: &Source<'_>, key: &str, target: &Target) -> Result<(), ScenarioError> {
    match target {
        Target::Host(_) | Target::Leader | Target::Random => Ok(()),
        Target::All | Target::Some(_) | Target::Group(_) => {
            Err(source.impossible(key, target, "one host: n0, n1, …, leader or random"))
        }
    }
}

/// That two targets are not one and the same host.
fn check_apart(source: &Source<'_>, key: &str, from: &Target, to: &Target) -> Result<(), ScenarioError> {
    if from == to && matches!(from, Target::Host(_) | Target::Leader) {
        return Err(source.impossible(key, to, format!("another host than from, {from}")));
    }
    Ok(())
}

fn existing(limits: Limits) -> String {
    format!("one of the {} hosts, n0 to n{}", limits.hosts, limits.hosts.saturating_sub(1))
}
