//! Ours against each rival on the same random fleets: the latency at equal or better expected accuracy.
//!
//! The rival plans first. Ours then has to reach the expected accuracy and the reliability of that plan, under the same limits, and starts its
//! search from its own groups, never from the rival's plan.

use rocoin::planner::Objective;
use serde::Serialize;

use super::contest::{Contest, Rival};
use super::each::each;
use super::setting::Setting;
use crate::picture::chart::{Axis, Chart, Line};

/// Ratios nearer to 1 than this are a tie.
const TIE: f64 = 1e-3;
/// In the table of a distribution: so many steps.
const STEPS: usize = 200;

/// One fleet, one rival.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Duel {
    /// Of the setting.
    pub fleet: usize,
    /// The rival's expected accuracy, 0 to 1; `None` if it has no plan.
    pub accuracy: Option<f64>,
    /// The rival's latency, s; `None` if it reaches no latency with probability ρ.
    pub theirs_s: Option<f64>,
    /// Our expected accuracy; `None` if we do not reach theirs.
    pub our_accuracy: Option<f64>,
    /// Ours, s.
    pub ours_s: Option<f64>,
}

/// How they ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Name of the setting.
    pub setting: &'static str,
    /// What was minimised.
    pub objective: Objective,
    /// The rival.
    pub rival: Rival,
    /// Fleets where both have a latency.
    pub both: usize,
    /// Fleets where only we have one.
    pub only_ours: usize,
    /// Fleets where only the rival has one, or where we do not reach its accuracy.
    pub only_theirs: usize,
    /// Fleets where nobody has one.
    pub neither: usize,
    /// Of `both`: ours is faster.
    pub won: usize,
    /// Of `both`: within 0.1 % of each other.
    pub tied: usize,
    /// Of `both`: ours is slower.
    pub lost: usize,
    /// Ours divided by theirs over `both`: 5th, 50th and 95th percentile, and the greatest; `None` if there is none.
    pub ratio: Option<[f64; 4]>,
}

/// All duels with a rival in a setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Duels {
    /// In order of fleets.
    pub duels: Vec<Duel>,
    /// Their sum.
    pub outcome: Outcome,
}

/// Fights over `fleets` fleets.
pub fn duels(
    contest: &Contest,
    setting: &Setting,
    objective: Objective,
    rival: Rival,
    (fleets, seed, jobs): (usize, u64, usize),
) -> Duels {
    let duels = each(fleets, jobs, |index| {
        let mut fleet = setting.fleet(seed, index);
        fleet.plan.objective = objective;
        let latency = |plan: &rocoin::planner::Plan| match objective {
            Objective::Rho => plan.latency_rho_s,
            Objective::Nominal => Some(plan.latency_s).filter(|latency| latency.is_finite()),
        };
        let theirs = contest.enter(rival, &fleet, None);
        let accuracy = theirs.as_ref().and_then(|entry| entry.plan.expected_accuracy);
        let ours = match &theirs {
            Some(theirs) => contest.answer(theirs, &fleet),
            None => contest.enter(Rival::Ours, &fleet, None),
        };
        Duel {
            fleet: index,
            accuracy,
            theirs_s: theirs.as_ref().and_then(|entry| latency(&entry.plan)),
            our_accuracy: ours.as_ref().and_then(|entry| entry.plan.expected_accuracy),
            ours_s: ours.as_ref().and_then(|entry| latency(&entry.plan)),
        }
    });
    let outcome = outcome(setting.name, objective, rival, &duels);
    Duels { duels, outcome }
}

/// Ours divided by theirs, sorted, where both have a latency.
fn ratios(duels: &[Duel]) -> Vec<f64> {
    let mut ratios: Vec<f64> = duels.iter().filter_map(|duel| Some(duel.ours_s? / duel.theirs_s?)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

fn outcome(setting: &'static str, objective: Objective, rival: Rival, duels: &[Duel]) -> Outcome {
    let count = |ours: bool, theirs: bool| {
        duels.iter().filter(|duel| (duel.ours_s.is_some(), duel.theirs_s.is_some()) == (ours, theirs)).count()
    };
    let ratios = ratios(duels);
    let of = |matches: fn(f64) -> bool| ratios.iter().filter(|ratio| matches(**ratio)).count();
    let at = |percent: usize| ratios.get((ratios.len() * percent / 100).min(ratios.len().saturating_sub(1))).copied();
    let all = [5, 50, 95, 100].map(at);
    Outcome {
        setting,
        objective,
        rival,
        both: ratios.len(),
        only_ours: count(true, false),
        only_theirs: count(false, true),
        neither: count(false, false),
        won: of(|ratio| ratio < 1.0 - TIE),
        tied: of(|ratio| (1.0 - TIE..=1.0 + TIE).contains(&ratio)),
        lost: of(|ratio| ratio > 1.0 + TIE),
        ratio: if let [Some(low), Some(middle), Some(high), Some(most)] = all {
            Some([low, middle, high, most])
        } else {
            None
        },
    }
}

/// The distribution of the ratios, a line a rival.
#[expect(clippy::cast_precision_loss, reason = "some thousand fleets")]
pub fn chart(setting: &Setting, objective: Objective, all: &[Duels]) -> Chart {
    let line = |duels: &Duels| {
        let ratios = ratios(&duels.duels);
        let steps = STEPS.min(ratios.len().max(1));
        let at = |step: usize| {
            let share = step as f64 / steps as f64;
            let index = (step * ratios.len() / steps).min(ratios.len().saturating_sub(1));
            ratios.get(index).map(|ratio| (share, *ratio))
        };
        let Outcome { rival, won, lost, .. } = &duels.outcome;
        Line {
            name: format!("{} ({won} won, {lost} lost)", rival.label()),
            points: (0..=steps).filter_map(at).collect(),
        }
    };
    Chart {
        title: format!("Our {objective} latency divided by the rival's"),
        subtitle: format!("at equal or better expected accuracy and reliability; {}", setting.what),
        x: Axis::linear("share of the fleets where both have one"),
        y: Axis::log("ratio; below 1 ours is faster"),
        lines: all.iter().map(line).collect(),
        marks: false,
    }
}

/// All duels as a table, after `note`.
pub fn csv(all: &[Duels], note: &str) -> String {
    let mut text: String = note.lines().map(|line| format!("# {line}\n")).collect();
    text += "fleet,rival,their expected accuracy,their latency in s,our expected accuracy,our latency in s\n";
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for duels in all {
        for Duel { fleet, accuracy, theirs_s, our_accuracy, ours_s } in &duels.duels {
            let rival = duels.outcome.rival.label();
            let [accuracy, theirs, ours_accuracy, ours] =
                [accuracy, theirs_s, our_accuracy, ours_s].map(|x| number(*x));
            text += &format!("{fleet},\"{rival}\",{accuracy},{theirs},{ours_accuracy},{ours}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duel(ours_s: Option<f64>, theirs_s: Option<f64>) -> Duel {
        Duel { fleet: 0, accuracy: Some(0.9), theirs_s, our_accuracy: Some(0.9), ours_s }
    }

    #[test]
    fn every_duel_is_counted_once_and_ties_are_neither_won_nor_lost() {
        let duels = [
            duel(Some(1.0), Some(2.0)),
            duel(Some(2.0), Some(2.000_1)),
            duel(Some(3.0), Some(2.0)),
            duel(Some(1.0), None),
            duel(None, Some(1.0)),
            duel(None, None),
        ];
        let outcome = outcome("paper", Objective::Rho, Rival::Rocoin, &duels);
        assert_eq!([outcome.both, outcome.only_ours, outcome.only_theirs, outcome.neither], [3, 1, 1, 1]);
        assert_eq!([outcome.won, outcome.tied, outcome.lost], [1, 1, 1]);
        let [low, middle, high, most] = outcome.ratio.unwrap();
        assert_eq!([low, high, most], [0.5, 1.5, 1.5]);
        assert!((middle - 1.0).abs() < 1e-3);
    }

    #[test]
    fn without_a_common_latency_there_is_no_ratio() {
        let outcome = outcome("paper", Objective::Rho, Rival::Nonn, &[duel(Some(1.0), None)]);
        assert_eq!((outcome.ratio, outcome.won), (None, 0));
    }
}
