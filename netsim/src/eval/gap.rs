//! How far each strategy is from the optimum, on fleets small enough to know it.

use rocoin::fleet::Fleet;
use rocoin::planner::{Objective, PlanOptions, Strategy, plan};
use serde::Serialize;

use super::contest::Contest;
use super::each::each;
use super::setting::Setting;

/// Devices of these fleets: the optimum of four parts of two sizes is found in a fraction of a second.
const DEVICES: usize = 6;

/// A strategy against the optimum, with the same students.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// Name of the setting.
    pub setting: &'static str,
    /// What was minimised.
    pub objective: Objective,
    /// How the plan was sought.
    pub strategy: Strategy,
    /// Fleets for which some plan breaks no constraint.
    pub fleets: usize,
    /// Of them, those for which the strategy's plan breaks one.
    pub infeasible: usize,
    /// Latency beyond the optimum's over the others, a share: median and greatest; `None` if there are none.
    pub gap: Option<[f64; 2]>,
}

/// Every strategy over `fleets` small fleets.
pub fn gaps(
    contest: &Contest,
    setting: &Setting,
    objective: Objective,
    (fleets, seed, jobs): (usize, u64, usize),
) -> Vec<Gap> {
    const STRATEGIES: [Strategy; 6] = [
        Strategy::Nonn,
        Strategy::HetNonn,
        Strategy::RocoinG,
        Strategy::Rocoin,
        Strategy::Bottleneck,
        Strategy::Search,
    ];
    let small = Setting { devices: DEVICES, ..setting.clone() };
    // By fleet: the latency of each strategy's plan over the optimum's, infinite where it breaks a constraint. None without an optimum.
    let ratios: Vec<Option<Vec<f64>>> = each(fleets, jobs, |index| {
        let fleet = small.fleet(seed, index);
        let latency = |strategy| {
            let options = PlanOptions { strategy, objective, ..fleet.plan.clone() };
            let plan = plan(&Fleet { plan: options, ..fleet.clone() }, &contest.ours).ok()?;
            match objective {
                _ if !plan.feasible => None,
                Objective::Rho => plan.latency_rho_s,
                Objective::Nominal => Some(plan.latency_s),
            }
        };
        let optimum = latency(Strategy::Exhaustive)?;
        Some(STRATEGIES.map(|strategy| latency(strategy).map_or(f64::INFINITY, |found| found / optimum)).to_vec())
    });
    let known: Vec<Vec<f64>> = ratios.into_iter().flatten().collect();
    let of = |(at, strategy): (usize, &Strategy)| {
        let mut gaps: Vec<f64> = known.iter().map(|row| row[at] - 1.0).filter(|gap| gap.is_finite()).collect();
        gaps.sort_by(f64::total_cmp);
        Gap {
            setting: setting.name,
            objective,
            strategy: *strategy,
            fleets: known.len(),
            infeasible: known.len() - gaps.len(),
            gap: gaps.last().map(|most| [gaps[gaps.len() / 2], *most]),
        }
    };
    STRATEGIES.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::contest;
    use super::*;

    #[test]
    fn nobody_is_better_than_the_optimum_and_the_search_reaches_it() {
        let setting = Setting { memory_bytes: (1e6, 2e6), ..Setting::PAPER };
        let gaps = gaps(&contest(), &setting, Objective::Rho, (4, 1, 2));
        assert!(gaps.iter().all(|gap| gap.fleets > 0 && gap.infeasible <= gap.fleets));
        assert!(gaps.iter().filter_map(|gap| gap.gap).all(|[middle, most]| -1e-9 <= middle && middle <= most));
        let search = gaps.iter().find(|gap| gap.strategy == Strategy::Search).unwrap();
        assert_eq!(search.infeasible, 0);
        assert!(search.gap.unwrap()[0] < 0.05, "{search:?}");
    }
}
