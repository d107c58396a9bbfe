//! A world written out as a scenario file: every number that was drawn for it, so that the file stands for the same world however
//! worlds are drawn later.

use rocoin::time::{Duration, Instant};
use serde::Serialize;
use toml::Table;

use super::hosts::OneHost;
use super::node::NodeSpec;
use super::{Expect, FreezeError, RecoverySpec, SCHEMA, Scenario};
use crate::fault::{Fault, Scheduled};
use crate::model::Model;
use crate::run::{Plan, Recovery};
use crate::world::NetworkSpec;

/// What a scenario is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Title<'a> {
    /// Lower-case letters, digits and hyphens.
    pub name: &'a str,
    /// What it shows, for people.
    pub description: &'a str,
}

/// The plan as a scenario file: with its seed the file makes the same plan again, and so the same history, byte for byte. Known
/// bugs that are switched on are left out.
///
/// # Errors
/// [`FreezeError`], where a scenario cannot state all of the plan.
pub fn freeze(plan: &Plan, title: Title<'_>, expect: Expect) -> Result<String, FreezeError> {
    let text = toml::to_string(&Frozen::new(plan, title, expect)?)?;
    let scenario = Scenario::parse(&text)?;
    match difference(&scenario, plan) {
        None => Ok(text),
        Some(what) => Err(FreezeError::Differs(what)),
    }
}

/// The file; its keys are those that [`Scenario::parse`] reads.
#[derive(Debug, Serialize)]
struct Frozen<'a> {
    schema: &'static str,
    name: &'a str,
    description: &'a str,
    seed: u64,
    duration_s: f64,
    parts: u16,
    variant: u64,
    in_place: bool,
    acquainted: bool,
    runs_fail: bool,
    hosts: Vec<OneHost>,
    network: &'a NetworkSpec,
    load: Table,
    #[serde(skip_serializing_if = "NodeSpec::is_default")]
    node: NodeSpec,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at: Vec<Line<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery: Option<RecoverySpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Expect>,
}

/// An `[[at]]` table.
#[derive(Debug, Serialize)]
struct Line<'a> {
    t: f64,
    #[serde(flatten)]
    fault: &'a Fault,
}

impl<'a> Frozen<'a> {
    fn new(plan: &'a Plan, title: Title<'a>, expect: Expect) -> Result<Self, FreezeError> {
        let setup = &plan.setup;
        let first = setup.models.first().ok_or(FreezeError::Bundle)?;
        let (parts, variant) = made_up(first).ok_or(FreezeError::Bundle)?;
        Ok(Self {
            schema: SCHEMA,
            name: title.name,
            description: title.description,
            seed: setup.seed,
            duration_s: plan.safety.as_secs_f64(),
            parts,
            variant,
            in_place: setup.in_place,
            acquainted: setup.acquainted,
            runs_fail: setup.runs_fail,
            hosts: setup.hosts.iter().map(OneHost::from).collect(),
            network: &setup.network,
            load: load(plan)?,
            node: NodeSpec::of(&setup.node),
            at: in_order(&setup.schedule).into_iter().map(Line::from).collect(),
            recovery: plan.recovery.as_ref().map(RecoverySpec::from),
            expect: (expect != Expect::default()).then_some(expect),
        })
    }
}

impl<'a> From<&'a Scheduled> for Line<'a> {
    fn from(line: &'a Scheduled) -> Self {
        Self { t: line.at.since(Instant::ZERO).as_secs_f64(), fault: &line.fault }
    }
}

impl From<&Recovery> for RecoverySpec {
    fn from(recovery: &Recovery) -> Self {
        Self { within_s: recovery.within.as_secs_f64(), without: recovery.without.clone() }
    }
}

/// The `[load]` table; that it lasts to the end is said by leaving `until_s` out.
fn load(plan: &Plan) -> Result<Table, FreezeError> {
    let mut table = Table::try_from(&plan.setup.load)?;
    if plan.setup.load.until_s == f64::MAX {
        table.remove("until_s");
    }
    Ok(table)
}

/// Parts and variant of a made-up bundle, as its manifest says them.
fn made_up(model: &Model) -> Option<(u16, u64)> {
    let manifest = model.manifest();
    let parts = u16::try_from(manifest.parts.len()).ok().filter(|parts| (1..=6).contains(parts))?;
    let variant = manifest.version.parse::<u64>().ok()?.checked_sub(1)?;
    (Model::synthetic(parts, variant).digest() == model.digest()).then_some((parts, variant))
}

/// As a scenario has it: by time, and what has one time in the order that it had.
fn in_order(schedule: &[Scheduled]) -> Vec<&Scheduled> {
    let mut lines: Vec<_> = schedule.iter().collect();
    lines.sort_by_key(|line| line.at);
    lines
}

/// The first thing in which a scenario's own plan is another one.
fn difference(scenario: &Scenario, plan: &Plan) -> Option<&'static str> {
    let models = scenario.synthetic().unwrap_or_default();
    let stated = scenario.plan(scenario.seed, models);
    let (ours, theirs) = (&stated.setup, &plan.setup);
    let has_models = ours.models.len() <= theirs.models.len()
        && ours.models.iter().zip(&theirs.models).all(|(a, b)| a.digest() == b.digest());
    let flags = |plan: &Plan| (plan.setup.in_place, plan.setup.acquainted, plan.setup.runs_fail);
    let span = |plan: &Plan| -> (Duration, Option<Recovery>) { (plan.safety, plan.recovery.clone()) };
    let same = [
        ("seed", ours.seed == theirs.seed),
        ("hosts", ours.hosts == theirs.hosts),
        ("network", ours.network == theirs.network),
        ("nodes' settings", ours.node == theirs.node),
        ("bundles", has_models),
        ("switches", flags(&stated) == flags(plan)),
        ("load", ours.load == theirs.load),
        ("schedule", in_order(&ours.schedule) == in_order(&theirs.schedule)),
        ("duration and recovery", span(&stated) == span(plan)),
    ];
    same.iter().find(|(_, is_same)| !is_same).map(|(what, _)| *what)
}

#[cfg(test)]
mod tests {
    use rocoin::bugs::Bugs;

    use super::*;
    use crate::fact::Kept;
    use crate::fault::Target;
    use crate::history::{Fingerprint, line};
    use crate::swarm;

    const TITLE: Title<'static> = Title { name: "frozen", description: "a world of a test" };

    fn fingerprint(plan: Plan) -> rocoin::id::Digest {
        let mut fingerprint = Fingerprint::default();
        crate::run::run(plan, &mut |entry| fingerprint.add(&line(entry)));
        fingerprint.finish()
    }

    fn thawed(text: &str) -> Plan {
        let scenario = Scenario::parse(text).unwrap();
        scenario.plan(scenario.seed, scenario.synthetic().unwrap())
    }

    #[test]
    fn a_frozen_world_of_the_swarm_has_the_history_of_the_swarm_s_own_to_the_byte() {
        for seed in 0..12 {
            let text = freeze(&swarm::plan(seed, Bugs::default()), TITLE, Expect::default()).unwrap();
            assert_eq!(fingerprint(thawed(&text)), fingerprint(swarm::plan(seed, Bugs::default())), "seed {seed}");
        }
    }

    #[test]
    fn every_world_that_the_swarm_draws_can_be_frozen() {
        let failed = (0..1500).filter_map(|seed| {
            let error = freeze(&swarm::plan(seed, Bugs::default()), TITLE, Expect::default()).err()?;
            Some(format!("seed {seed}: {error}"))
        });
        assert_eq!(failed.collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_and_every_target_can_be_frozen() {
        let mut plan = swarm::plan(1, Bugs::default());
        let (on, factor) = (Target::Host(0), 0.1 + 0.7 + 1.0);
        let faults = vec![
            Fault::Crash { on: Target::Leader, disk: Kept::Synced, silent: true },
            Fault::Crash { on: Target::Random, disk: Kept::Nothing, silent: false },
            Fault::Restart { on: Target::All },
            Fault::Drain { on: Target::Some(2) },
            Fault::Pause { on: Target::Group(1) },
            Fault::Resume { on: on.clone() },
            Fault::Slow { on: on.clone(), factor },
            Fault::Starve { on: on.clone(), stall_s: 1e-7, run_s: 2.0 / 3.0 },
            Fault::Partition { sides: vec![vec![], vec![0, 2], vec![1]] },
            Fault::Halves,
            Fault::Isolate { on: on.clone() },
            Fault::Cut { from: on.clone(), to: Target::Host(1) },
            Fault::Heal,
            Fault::Clog { on: on.clone(), factor },
            Fault::Flap { on: on.clone(), times: 3, down_s: 0.1, up_s: 0.3 },
            Fault::Lie { on: on.clone(), lies: false },
            Fault::CorruptArtifact { on: on.clone() },
            Fault::DiskFull { on: on.clone(), full: false },
            Fault::DiskSlow { on: on.clone(), factor },
            Fault::ClockJump { on: on.clone(), by_s: 1.0 / 3.0 },
            Fault::Clone { from: on.clone(), to: Target::Host(2) },
            Fault::Deploy { on, bundle: 1 },
            Fault::Calm { without: vec![1] },
        ];
        plan.setup.schedule = faults.into_iter().map(|fault| Scheduled { at: Instant::ZERO, fault }).collect();
        let text = freeze(&plan, TITLE, Expect::default()).unwrap();
        assert_eq!(thawed(&text).setup.schedule, plan.setup.schedule);
    }

    #[test]
    fn times_come_back_to_the_nanosecond() {
        let mut plan = swarm::plan(1, Bugs::default());
        plan.safety = Duration::from_secs(604_800);
        let times =
            [0, 1, 3, 999_999_999, 3_141_592_653, 172_800_000_000_001, 604_799_999_999_999, 604_800_000_000_000];
        let at = |nanos| Scheduled { at: Instant::from_nanos(nanos), fault: Fault::Heal };
        plan.setup.schedule = times.into_iter().map(at).collect();
        let found = thawed(&freeze(&plan, TITLE, Expect::default()).unwrap()).setup.schedule;
        assert_eq!(found.iter().map(|line| line.at.as_nanos()).collect::<Vec<_>>(), times);
    }

    #[test]
    fn what_a_scenario_cannot_state_is_an_error_and_no_other_world() {
        let mut plan = swarm::plan(1, Bugs::default());
        plan.setup.node.membership.probe_interval = Duration::from_secs(7);
        assert_eq!(freeze(&plan, TITLE, Expect::default()), Err(FreezeError::Differs("nodes' settings")));
        plan = swarm::plan(1, Bugs::default());
        plan.setup.models.clear();
        assert_eq!(freeze(&plan, TITLE, Expect::default()), Err(FreezeError::Bundle));
        plan = swarm::plan(1, Bugs::default());
        plan.setup.schedule[0].fault = Fault::Pause { on: Target::Host(99) };
        assert!(matches!(freeze(&plan, TITLE, Expect::default()), Err(FreezeError::Refused(_))));
    }

    #[test]
    fn what_a_scenario_expects_stays_with_it() {
        let expect = Expect { answered_share_min: Some(0.5), ..Expect::default() };
        let text = freeze(&swarm::plan(1, Bugs::default()), TITLE, expect).unwrap();
        assert_eq!(Scenario::parse(&text).unwrap().expect, expect);
    }
}
