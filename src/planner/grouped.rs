//! Plans from groups of devices that are there already: which part each group gets, and with which student.
//!
//! What differs between the strategies after RoCoIn and NoNN is the groups, how parts are matched to them, and how students are
//! chosen; what is best is always judged by the same score.

use super::matching;
use super::placement;
use super::problem::Problem;
use super::search;
use super::state::{Assignment, Score, State};

/// From the costs of (group, part) to each group's part.
pub(crate) type Matching = fn(&[Vec<f64>]) -> Vec<usize>;

/// The K devices that are fastest with the smallest students, each a group; fewer, and then empty groups, where fewer have the memory.
pub(crate) fn singles(problem: &Problem<'_>) -> Vec<Vec<usize>> {
    let smallest = placement::smallest(problem);
    let fastest = |n: usize| (0..problem.parts()).map(|k| problem.alone(&smallest, n, k)).fold(f64::INFINITY, f64::min);
    let fits = |n: &usize| (0..problem.parts()).all(|k| problem.fits(&smallest, *n, 1 << k));
    let mut devices: Vec<usize> = (0..problem.devices()).filter(fits).collect();
    devices.sort_by(|&a, &b| fastest(a).total_cmp(&fastest(b)));
    let mut groups: Vec<Vec<usize>> = devices.into_iter().take(problem.parts()).map(|n| vec![n]).collect();
    groups.resize(problem.parts(), Vec::new());
    groups
}

/// With the choice of students that makes the best of the groups, part by part its own.
pub(crate) fn best(problem: &Problem<'_>, groups: &[Vec<usize>], matching: Matching) -> Assignment {
    best_of(problem, groups, &search::student_starts(problem), matching)
}

/// The same with one architecture and precision for all parts, where the candidates allow it: the best that fits every group, and
/// so the weakest device of them.
pub(crate) fn equal(problem: &Problem<'_>, groups: &[Vec<usize>]) -> Assignment {
    let parts = &problem.students.parts;
    let like = |first: &super::Student| -> Option<Vec<usize>> {
        let alike = |one: &super::Student| one.arch == first.arch && one.precision == first.precision;
        parts.iter().map(|candidates| candidates.iter().position(alike)).collect()
    };
    let fits = |chosen: &Vec<usize>| {
        groups.iter().flatten().all(|&n| (0..parts.len()).all(|k| problem.fits(chosen, n, 1 << k)))
    };
    let choices: Vec<Vec<usize>> = parts[0].iter().filter_map(like).filter(fits).collect();
    best_of(problem, groups, &choices, matching::least_maximum)
}

/// One after the other: each part, in part order, takes the free group that is fastest with the part's largest student that any free
/// group has the memory for; then each part, in part order, takes the student that is best while the others stay.
pub(crate) fn greedy(problem: &Problem<'_>, groups: &[Vec<usize>]) -> Assignment {
    let mut assignment = Assignment { students: placement::smallest(problem), held: vec![0; problem.devices()] };
    let mut free: Vec<&Vec<usize>> = groups.iter().collect();
    for k in 0..problem.parts() {
        let mut candidates: Vec<usize> = (0..problem.students.parts[k].len()).collect();
        candidates.sort_by_key(|&s| core::cmp::Reverse(problem.students.parts[k][s].flops));
        for s in candidates {
            assignment.students[k] = s;
            let cost = |group: &Vec<usize>| cost(problem, group, &assignment.students, k);
            let nearest = (0..free.len()).min_by(|&a, &b| cost(free[a]).total_cmp(&cost(free[b])));
            if let Some(group) = nearest.filter(|&group| cost(free[group]).is_finite()) {
                able(problem, free.remove(group), &assignment.students, k).for_each(|n| assignment.held[n] |= 1 << k);
                break;
            }
        }
    }
    let mut state = State::new(problem, assignment);
    placement::place_missing(&mut state);
    for k in 0..problem.parts() {
        let mut best = (state.score(), state.assignment().clone());
        for s in 0..problem.students.parts[k].len() {
            let mut next = best.1.clone();
            next.students[k] = s;
            if (0..problem.devices()).all(|n| problem.fits(&next.students, n, next.held[n])) {
                state.assign(&next);
                let score = state.score();
                if score.is_below(&best.0) {
                    best = (score, next);
                }
            }
        }
        state.assign(&best.1);
    }
    state.assignment().clone()
}

/// The best of those choices of students for which every group has room. Where there are none, parts that lack go to whoever has room, and the
/// tightest packing is considered, too.
fn best_of(problem: &Problem<'_>, groups: &[Vec<usize>], choices: &[Vec<usize>], matching: Matching) -> Assignment {
    let judged = |start: Assignment| {
        let mut state = State::new(problem, start);
        placement::place_missing(&mut state);
        (state.score(), state.assignment().clone())
    };
    let better = |a: (Score, Assignment), b: (Score, Assignment)| if b.0.is_below(&a.0) { b } else { a };
    let matched: Vec<Assignment> = choices.iter().map(|chosen| matched(problem, groups, chosen, matching)).collect();
    let is_whole =
        |start: &Assignment| start.held.iter().fold(0, |all, set| all | set).count_ones() as usize == problem.parts();
    let any_whole = matched.iter().any(is_whole);
    let best = matched.into_iter().filter(|start| !any_whole || is_whole(start)).map(judged).reduce(better);
    let lacks = best.as_ref().is_none_or(|(score, _)| score.broken().0 > 0.0);
    let packed = if lacks { placement::pack(problem, &placement::smallest(problem)).ok() } else { None };
    let best = best.into_iter().chain(packed.map(judged)).reduce(better);
    best.map_or_else(|| Assignment { students: Vec::new(), held: Vec::new() }, |(_, assignment)| assignment)
}

/// Groups to parts: the cost of a pair is the run time of the fastest member that has the memory; members that have not stay out.
pub(crate) fn matched(
    problem: &Problem<'_>,
    groups: &[Vec<usize>],
    chosen: &[usize],
    matching: Matching,
) -> Assignment {
    let costs: Vec<Vec<f64>> =
        groups.iter().map(|group| (0..problem.parts()).map(|k| cost(problem, group, chosen, k)).collect()).collect();
    let mut held = vec![0; problem.devices()];
    for (group, k) in groups.iter().zip(matching(&costs)) {
        able(problem, group, chosen, k).for_each(|n| held[n] |= 1 << k);
    }
    Assignment { students: chosen.to_vec(), held }
}

/// Members of a group that have the memory for part `k` alone.
fn able<'a>(
    problem: &'a Problem<'_>,
    group: &'a [usize],
    chosen: &'a [usize],
    k: usize,
) -> impl Iterator<Item = usize> + 'a {
    group.iter().copied().filter(move |&n| problem.fits(chosen, n, 1 << k))
}

/// Run time of the fastest of them, s; infinite where there is none.
fn cost(problem: &Problem<'_>, group: &[usize], chosen: &[usize], k: usize) -> f64 {
    able(problem, group, chosen, k).map(|n| problem.alone(chosen, n, k)).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::super::problem::tests::capability;
    use super::super::students::tests::students;
    use super::super::{Plan, PlanOptions, Strategy, plan};
    use crate::fleet::{Capability, Device, Fleet};

    const SIZES: [(u64, u64); 2] = [(1_000_000, 100), (2_000_000, 200)];

    fn planned(devices: &[Capability], strategy: Strategy, parts: usize) -> Plan {
        let device = |(n, capability): (usize, &Capability)| Device { name: format!("d{n}"), capability: *capability };
        let options = PlanOptions { strategy, accuracy_drop_max: 0.5, ..PlanOptions::default() };
        let fleet = Fleet { devices: devices.iter().enumerate().map(device).collect(), plan: options };
        plan(&fleet, &students(parts, &SIZES)).unwrap()
    }

    fn holders(plan: &Plan) -> Vec<Vec<usize>> {
        plan.groups.iter().map(|group| group.replicas.iter().map(|replica| replica.device).collect()).collect()
    }

    fn architectures(plan: &Plan) -> Vec<&str> {
        plan.groups.iter().map(|group| group.arch.as_str()).collect()
    }

    #[test]
    fn nonn_gives_each_part_to_one_fast_device_and_sizes_students_by_the_weakest_of_them() {
        let devices = [(1e6, 500), (9e6, 500), (8e6, 150), (7e6, 500)].map(|(flops, memory)| capability(flops, memory));
        let plan = planned(&devices, Strategy::Nonn, 2);
        let mut holders = holders(&plan);
        holders.sort();
        assert_eq!(holders, [[1], [2]]);
        assert_eq!(architectures(&plan), ["wrn-10-1", "wrn-10-1"]);
    }

    #[test]
    fn het_nonn_sizes_each_student_by_its_own_device() {
        let devices = [(9e6, 500), (8e6, 150)].map(|(flops, memory)| capability(flops, memory));
        let plan = planned(&devices, Strategy::HetNonn, 2);
        let large = plan.groups.iter().find(|group| group.replicas[0].device == 0).unwrap();
        let small = plan.groups.iter().find(|group| group.replicas[0].device == 1).unwrap();
        assert_eq!((large.arch.as_str(), small.arch.as_str()), ("wrn-16-1", "wrn-10-1"));
    }

    #[test]
    fn with_too_few_devices_even_nonn_serves_every_part() {
        for strategy in [Strategy::Nonn, Strategy::HetNonn] {
            let plan = planned(&[capability(1e6, 1000)], strategy, 3);
            assert_eq!(holders(&plan), [[0], [0], [0]], "{strategy}");
        }
    }

    #[test]
    fn where_the_choice_of_students_has_no_room_the_tightest_packing_has() {
        let devices = [(9e6, 100), (8e6, 100), (7e6, 100)].map(|(flops, memory)| capability(flops, memory));
        for strategy in [Strategy::Rocoin, Strategy::RocoinG, Strategy::Bottleneck, Strategy::Nonn, Strategy::HetNonn] {
            let plan = planned(&devices, strategy, 3);
            assert!(holders(&plan).iter().all(|group| group.len() == 1), "{strategy}: {plan:?}");
        }
    }

    #[test]
    fn greedy_keeps_to_rocoins_groups_and_is_never_better_than_trying_every_choice() {
        let devices = [30e6, 10e6, 28e6, 9e6, 11e6, 29e6].map(|flops| capability(flops, 500));
        let [greedy, joint] = [Strategy::RocoinG, Strategy::Rocoin].map(|strategy| planned(&devices, strategy, 2));
        let groups = |plan: &Plan| {
            let mut groups = holders(plan);
            groups.iter_mut().for_each(|group| group.sort_unstable());
            groups.sort();
            groups
        };
        assert_eq!(groups(&greedy), [[0, 2, 5], [1, 3, 4]]);
        assert_eq!(groups(&greedy), groups(&joint));
        assert!(greedy.latency_rho_s >= joint.latency_rho_s);
    }
}
