//! What `rocoin eval` found, for people.

use rocoin_netsim::eval::Contest;
use rocoin_netsim::eval::dropout::Missing;
use rocoin_netsim::eval::duels::Outcome;
use rocoin_netsim::eval::gap::Gap;

use super::Findings;
use crate::cli::text::{aligned, percent};

/// All tables.
pub(super) fn text(findings: &Findings, contest: &Contest) -> String {
    let mut text = String::new();
    for (setting, rivals) in &findings.one_lost {
        text += &format!("Any one device lost, setting {setting}: accuracy at once, before anybody plans anew\n");
        let mut rows = vec![row(["", "plans x devices", "no loss", "mean loss", "worst loss"])];
        rows.extend(rivals.iter().map(|lost| {
            // A plan may be a little better without a part; that is no minus sign worth showing.
            let points = |points: f64| format!("{:.2} points", (100.0 * points).round() / 100.0 + 0.0);
            match lost.cases {
                0 => row([lost.rival.label(), "no plan", "", "", ""]),
                cases => row([
                    lost.rival.label(),
                    &cases.to_string(),
                    &percent(ratio(lost.unharmed, cases)),
                    &points(lost.mean_points),
                    &points(lost.worst_points),
                ]),
            }
        }));
        text += &(aligned(&rows) + "\n");
    }
    text += "Ours against each rival at equal or better expected accuracy: fleets\n";
    let mut rows = vec![row([
        "setting",
        "latency",
        "rival",
        "won",
        "tied",
        "lost",
        "only ours",
        "only theirs",
        "neither",
        "ratio p5 / p50 / p95 / max",
    ])];
    rows.extend(findings.duels.iter().map(duel));
    text += &(aligned(&rows) + "\nBeyond the optimum, fleets of six devices with our students\n");
    let mut rows =
        vec![row(["setting", "latency", "strategy", "fleets", "breaks a constraint", "gap, median", "gap, worst"])];
    rows.extend(findings.gaps.iter().map(gap));
    text += &(aligned(&rows) + "\nAccuracy with parts missing, largest students\n");
    let mut rows = vec![row(["missing", "mean", "worst", "mean without part dropout", "worst without"])];
    for (at, Missing { missing, mean, worst }) in findings.ours_missing.iter().enumerate() {
        let plain = findings.plain_missing.get(at);
        let of =
            |value: fn(&Missing) -> f64| plain.map_or_else(|| "-".to_owned(), |plain| format!("{:.2} %", value(plain)));
        rows.push(row([
            &missing.to_string(),
            &format!("{mean:.2} %"),
            &format!("{worst:.2} %"),
            &of(|plain| plain.mean),
            &of(|plain| plain.worst),
        ]));
    }
    text += &aligned(&rows);
    text +=
        "\nThe most accurate plan for so much memory a device, paper setting, each device failing one request in ten\n";
    let mut rows = vec![row(["", "memory a device", "taken in all", "accuracy", "expected accuracy", "plans"])];
    rows.extend(findings.bought.iter().map(|bought| {
        let megabytes = |bytes: f64| format!("{:.2} MB", bytes / 1e6);
        let percent = |percent: f64| format!("{percent:.2} %");
        let memory = megabytes(bought.memory_bytes);
        match bought.plans {
            0 => row([bought.rival.label(), &memory, "no plan", "", "", ""]),
            plans => row([
                bought.rival.label(),
                &memory,
                &megabytes(bought.taken_bytes),
                &percent(bought.accuracy),
                &percent(bought.expected_accuracy),
                &plans.to_string(),
            ]),
        }
    }));
    text += &aligned(&rows);
    for (what, lacks) in [
        ("--plain: RoCoIn and RoCoIn-G use our head, which has seen parts missing", contest.plain.is_none()),
        ("--nonn: NoNN and HetNoNN use what RoCoIn uses", contest.nonn.is_none()),
        ("--whole: full replication is left out", contest.whole.is_none()),
        ("--teacher: the teacher on one device is left out", contest.teacher.is_none()),
    ] {
        if lacks {
            text += &format!("\nWithout {what}.");
        }
    }
    text + "\n"
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[expect(clippy::cast_precision_loss, reason = "some thousand cases")]
fn ratio(some: usize, all: usize) -> f64 {
    some as f64 / all as f64
}

fn duel(outcome: &Outcome) -> Vec<String> {
    let ratio = outcome.ratio.map_or_else(
        || "-".to_owned(),
        |[low, middle, high, most]| format!("{low:.3} / {middle:.3} / {high:.3} / {most:.3}"),
    );
    let counts = [outcome.won, outcome.tied, outcome.lost, outcome.only_ours, outcome.only_theirs, outcome.neither];
    let mut cells = row([outcome.setting, outcome.objective.name(), outcome.rival.label()]);
    cells.extend(counts.map(|count| count.to_string()));
    cells.push(ratio);
    cells
}

fn gap(gap: &Gap) -> Vec<String> {
    let share = |share: f64| format!("{:.2} %", 100.0 * share);
    let [middle, most] = gap.gap.map_or_else(|| ["-".to_owned(), "-".to_owned()], |gap| gap.map(share));
    row([
        gap.setting,
        gap.objective.name(),
        gap.strategy.name(),
        &gap.fleets.to_string(),
        &gap.infeasible.to_string(),
        &middle,
        &most,
    ])
}
