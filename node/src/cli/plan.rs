//! `rocoin plan`: who would hold which part with which student, and what that is worth.
//!
//! Reads files and prints; talks to no mesh. A running mesh plans by itself, with what its members measure.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use rocoin::bundle::Manifest;
use rocoin::fleet::Fleet;
use rocoin::planner::zoo::ZOO;
use rocoin::planner::{Group, Objective, Plan, Strategy, Students, Task, plan, prospect};
use serde_json::{Value, json};

use super::text::{aligned, percent, print, print_json};

/// The schema of `--json`.
const SCHEMA: &str = "rocoin.plan/1";

/// Plan groups, parts and students for a fleet
///
/// With a bundle, from the students it holds and their measured accuracy. Without one, for students yet to be trained: how many parts, and
/// which architecture of the zoo for each; --input, --classes and --filters say what for.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Fleet file (TOML): `[[device]]` tables and an optional `[plan]`
    #[arg(long, value_name = "FILE")]
    pub fleet: PathBuf,
    /// Folder of a bundle, with its manifest.json
    #[arg(long, value_name = "DIR", conflicts_with_all = ["input", "classes", "filters"])]
    pub bundle: Option<PathBuf>,
    /// How the plan is sought, in place of the fleet file's
    #[arg(long, value_parser = names(Strategy::ALL, Strategy::name))]
    pub strategy: Option<Strategy>,
    /// What is minimised, in place of the fleet file's
    #[arg(long, value_parser = names(Objective::ALL, Objective::name))]
    pub objective: Option<Objective>,
    /// Without a bundle: the input, CxHxW or CxL
    #[arg(long, value_name = "SHAPE", default_value = "1x28x28", value_parser = shape)]
    pub input: Shape,
    /// Without a bundle: the number of classes
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    pub classes: usize,
    /// Without a bundle: filters of the teacher's last feature map
    #[arg(long, value_name = "M", default_value_t = 128, value_parser = positive)]
    pub filters: usize,
    /// Print JSON (schema rocoin.plan/1)
    #[arg(long)]
    pub json: bool,
}

/// An input's shape, without the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape(pub Vec<usize>);

fn names<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl clap::builder::TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(|one| name(*one)))
        .try_map(move |text| all.iter().copied().find(|one| name(*one) == text).ok_or("not one of the names"))
}

fn shape(text: &str) -> Result<Shape, String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| positive(size).ok()).collect();
    let elements = sizes.iter().flatten().try_fold(1_usize, |product, size| product.checked_mul(*size));
    match sizes {
        Some(sizes) if (2..=3).contains(&sizes.len()) && elements.is_some_and(|elements| elements < 1 << 28) => {
            Ok(Shape(sizes))
        }
        _ => Err("write channels, height and width as 3x32x32, or channels and length as 1x128".to_owned()),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("it must be a whole number from 1 to 1000000".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read or is wrong, or a fleet without room for every part; the text says which and where.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let (fleet, plan, part_sizes) = planned(args)?;
    if args.json {
        print_json(&to_json(&fleet, &plan))?;
    } else {
        print(&table(&fleet, &plan, part_sizes.as_deref()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The fleet, its plan and, without a bundle, the sizes of the parts.
fn planned(args: &PlanArgs) -> anyhow::Result<(Fleet, Plan, Option<Vec<usize>>)> {
    let path = args.fleet.display();
    let text = std::fs::read_to_string(&args.fleet).with_context(|| format!("cannot read the fleet file {path}"))?;
    let mut fleet = Fleet::parse(&text).with_context(|| format!("fleet file {path}"))?;
    fleet.plan.strategy = args.strategy.unwrap_or(fleet.plan.strategy);
    fleet.plan.objective = args.objective.unwrap_or(fleet.plan.objective);
    if let Some(folder) = &args.bundle {
        let (_, students) = bundle(folder)?;
        if let Some(parts) = fleet.plan.parts.filter(|parts| *parts != students.parts.len()) {
            let has = students.parts.len();
            anyhow::bail!(
                "the fleet file asks for {parts} parts, but the bundle has {has}: leave `parts` out of [plan]"
            );
        }
        let plan = plan(&fleet, &students)?;
        return Ok((fleet, plan, None));
    }
    let task = Task { input_shape: &args.input.0, classes: args.classes, filters: args.filters };
    let prospect = prospect(&fleet, task, &ZOO)?;
    Ok((fleet, prospect.plan, Some(prospect.part_sizes)))
}

/// The manifest of the bundle in `folder`, with its students and their accuracies; its files are not read.
pub(super) fn bundle(folder: &Path) -> anyhow::Result<(Manifest, Students)> {
    let path = folder.join("manifest.json");
    let json = std::fs::read(&path).with_context(|| {
        format!("cannot read {}: give the folder of a bundle, as `rocoin distill` writes it", path.display())
    })?;
    let of_bundle = || format!("bundle {}", folder.display());
    let manifest = Manifest::parse(&json).with_context(of_bundle)?;
    let students = Students::from_manifest(&manifest).with_context(of_bundle)?;
    Ok((manifest, students))
}

/// Schema `rocoin.plan/1`.
pub(super) fn to_json(fleet: &Fleet, plan: &Plan) -> Value {
    let name = |device: usize| fleet.devices[device].name.as_str();
    let group = |group: &Group| {
        let replica = |replica: &rocoin::planner::Replica| json!({"device": name(replica.device), "latency_s": replica.latency_s});
        json!({
            "part": group.part,
            "devices": group.replicas.iter().map(|replica| name(replica.device)).collect::<Vec<_>>(),
            "student": {"arch": group.arch, "precision": group.precision},
            "replicas": group.replicas.iter().map(replica).collect::<Vec<_>>(),
            "failure_probability": group.failure_probability,
        })
    };
    json!({
        "schema": SCHEMA,
        "strategy": plan.strategy,
        "objective": plan.objective,
        "parts": plan.groups.len(),
        "groups": plan.groups.iter().map(group).collect::<Vec<_>>(),
        "latency_s": plan.latency_s,
        "latency_rho_s": plan.latency_rho_s,
        "rho": plan.rho,
        "availability": plan.availability,
        "accuracy": plan.accuracy,
        "expected_accuracy": plan.expected_accuracy,
        "latency_lower_bound_s": plan.latency_lower_bound_s,
        "feasible": plan.feasible,
        "reasons": plan.reasons,
    })
}

/// For people.
fn table(fleet: &Fleet, plan: &Plan, part_sizes: Option<&[usize]>) -> String {
    let (devices, parts) = (fleet.devices.len(), plan.groups.len());
    let mut text = format!(
        "{devices} device{}, {parts} part{}; strategy {}, objective {}\n\n",
        plural(devices),
        plural(parts),
        plan.strategy,
        plan.objective
    );
    let mut rows = vec![["part", "student", "device", "answers in", "all fail"].map(str::to_owned).to_vec()];
    for (k, group) in plan.groups.iter().enumerate() {
        let size = part_sizes.map(|sizes| format!(", {} filters", sizes[k])).unwrap_or_default();
        for (i, replica) in group.replicas.iter().enumerate() {
            let first = |value: String| if i == 0 { value } else { String::new() };
            rows.push(vec![
                first(group.part.to_string()),
                first(format!("{} {}{size}", group.arch, group.precision)),
                fleet.devices[replica.device].name.clone(),
                seconds(replica.latency_s),
                first(percent(group.failure_probability)),
            ]);
        }
    }
    text += &aligned(&rows);
    let holds = |n: usize| plan.groups.iter().any(|group| group.replicas.iter().any(|replica| replica.device == n));
    let idle: Vec<_> = (0..devices).filter(|&n| !holds(n)).map(|n| fleet.devices[n].name.as_str()).collect();
    if !idle.is_empty() {
        _ = writeln!(text, "\nWithout a part: {}", idle.join(", "));
    }
    text.push('\n');
    text += &figures(plan);
    if !plan.feasible {
        text += "\nNot feasible; this is the best effort:\n";
        plan.reasons.iter().for_each(|reason| _ = writeln!(text, "  - {reason}"));
    }
    text
}

/// What is to be expected of a plan, for people.
pub(super) fn figures(plan: &Plan) -> String {
    let or_none = |value: Option<f64>, unit: fn(f64) -> String| value.map_or_else(|| "none".to_owned(), unit);
    let mut figures = vec![
        vec!["latency, nobody fails".to_owned(), seconds(plan.latency_s)],
        vec![format!("latency, probability {}", plan.rho), or_none(plan.latency_rho_s, seconds)],
        vec!["no plan is faster than".to_owned(), seconds(plan.latency_lower_bound_s)],
        vec!["every part answered".to_owned(), percent(plan.availability)],
    ];
    if plan.accuracy.is_some() {
        figures.push(vec!["accuracy, nobody fails".to_owned(), or_none(plan.accuracy, percent)]);
        figures.push(vec!["accuracy, expected".to_owned(), or_none(plan.expected_accuracy, percent)]);
    }
    aligned(&figures)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn seconds(s: f64) -> String {
    match s {
        s if s < 1e-3 => format!("{:.1} µs", 1e6 * s),
        s if s < 1.0 => format!("{:.1} ms", 1e3 * s),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        plan: PlanArgs,
    }

    const FLEET: &str = r#"
[plan]
group_failure_max = 0.01
parts = 2

[[device]]
name = "pi-5"
flops_per_s = 8e9
memory_bytes = 8000000
link_bits_per_s = 1e8
link_delay_s = 0.0005

[[device]]
name = "pi-4"
flops_per_s = 4e9
memory_bytes = 4000000
link_bits_per_s = 1e8
link_delay_s = 0.0005

[[device]]
name = "pi-3"
flops_per_s = 1e9
memory_bytes = 1000000
link_bits_per_s = 5e7
link_delay_s = 0.001
failure_probability = 0.1

[[device]]
name = "pi-zero"
flops_per_s = 5e8
memory_bytes = 500000
link_bits_per_s = 2e7
link_delay_s = 0.002
failure_probability = 0.1
"#;

    fn args(fleet: &str, more: &[&str]) -> (tempfile::TempDir, PlanArgs) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.toml");
        std::fs::write(&path, fleet).unwrap();
        let arguments = ["rocoin", "--fleet", path.to_str().unwrap()].into_iter().chain(more.iter().copied());
        let args = Command::parse_from(arguments).plan;
        (folder, args)
    }

    #[test]
    fn people_see_groups_and_figures_in_columns() {
        let (_folder, args) = args(FLEET, &["--objective", "nominal"]);
        let (fleet, plan, sizes) = planned(&args).unwrap();
        insta::assert_snapshot!(table(&fleet, &plan, sizes.as_deref()));
    }

    #[test]
    fn programs_see_the_documented_schema() {
        let (_folder, args) = args(FLEET, &["--strategy", "exhaustive"]);
        let (fleet, plan, _) = planned(&args).unwrap();
        let value = to_json(&fleet, &plan);
        let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "accuracy",
                "availability",
                "expected_accuracy",
                "feasible",
                "groups",
                "latency_lower_bound_s",
                "latency_rho_s",
                "latency_s",
                "objective",
                "parts",
                "reasons",
                "rho",
                "schema",
                "strategy"
            ]
        );
        assert_eq!(value["schema"], "rocoin.plan/1");
        assert_eq!(value["strategy"], "exhaustive");
        assert_eq!(value["parts"], 2);
        assert_eq!(value["expected_accuracy"], Value::Null);
        let group = &value["groups"][0];
        assert_eq!(group["part"], 0);
        assert_eq!(group["devices"][0], group["replicas"][0]["device"]);
        assert!(group["student"]["arch"].as_str().unwrap().starts_with("wrn-"));
        assert!(group["replicas"][0]["latency_s"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn an_unreliable_fleet_is_planned_and_told_why_it_is_not_feasible() {
        let (_folder, args) = args(&FLEET.replace("0.01\n", "1e-9\n"), &[]);
        let (fleet, plan, sizes) = planned(&args).unwrap();
        assert!(!plan.feasible);
        let text = table(&fleet, &plan, sizes.as_deref());
        assert!(text.contains("Not feasible") && text.contains("group_failure_max = 0.000000001"), "{text}");
    }

    #[test]
    fn wrong_files_are_named_with_what_is_wrong() {
        let error = |fleet: &str, more: &[&str]| {
            let (_folder, args) = args(fleet, more);
            format!("{:#}", planned(&args).unwrap_err())
        };
        let negative = error(&FLEET.replace("8e9", "-8e9"), &[]);
        assert!(negative.contains("fleet.toml: line 8, device \"pi-5\": flops_per_s is -8"), "{negative}");
        let memory = error(&FLEET.replace("000000\n", "000\n").replace("500000\n", "500\n"), &[]);
        assert!(
            memory.contains("part 0: its smallest student wrn-10-1 needs") && memory.contains("\"pi-5\""),
            "{memory}"
        );
        let bundle = error(FLEET, &["--bundle", "/nowhere"]);
        assert!(bundle.contains("cannot read /nowhere/manifest.json"), "{bundle}");
    }

    #[test]
    fn an_input_is_channels_and_one_or_two_lengths() {
        assert_eq!(shape("3x32x32"), Ok(Shape(vec![3, 32, 32])));
        assert_eq!(shape("1x128"), Ok(Shape(vec![1, 128])));
        for text in ["", "28", "1x0x28", "1x28x28x1", "ax28", "1000000x1000000"] {
            assert!(shape(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_shown_in_units_of_their_size() {
        assert_eq!([4.2e-5, 0.0123, 2.5].map(seconds), ["42.0 µs", "12.3 ms", "2.50 s"]);
    }
}
