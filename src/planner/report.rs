//! From an assignment to a plan with its figures and, where a constraint does not hold, the reasons for people.

use super::plan::{Group, Objective, Plan, Replica};
use super::problem::Problem;
use super::state::{Assignment, State};
use crate::fleet::Device;
use crate::id::PartId;

/// Relative and absolute slack that rounding needs, as in the score.
const ROUNDING: f64 = 1e-9;

pub(crate) fn report(problem: &Problem<'_>, devices: &[Device], assignment: Assignment) -> Plan {
    let mut state = State::new(problem, assignment);
    let figures = state.figures();
    let students = state.assignment().students.clone();
    let groups: Vec<Group> = (0..problem.parts()).map(|k| group(&state, k)).collect();
    let table = problem.students.accuracy.as_ref();
    let held = state.assignment().held.iter().fold(0, |all, set| all | set);
    let latency_rho_s = Some(figures.rho_s).filter(|latency| latency.is_finite());
    let mut plan = Plan {
        strategy: problem.options.strategy,
        objective: problem.options.objective,
        groups,
        latency_s: figures.nominal_s,
        latency_rho_s,
        rho: problem.options.rho,
        availability: figures.availability,
        accuracy: table.map(|table| table.of_present(&students, held)),
        expected_accuracy: figures.expected_accuracy,
        latency_lower_bound_s: problem.lower_bound(&students),
        feasible: true,
        reasons: Vec::new(),
    };
    plan.reasons = reasons(problem, devices, &plan);
    plan.feasible = plan.reasons.is_empty();
    plan
}

fn group(state: &State<'_>, k: usize) -> Group {
    let problem = state.problem();
    let chosen = &state.assignment().students;
    let student = problem.student(chosen, k);
    let holders = (0..problem.devices()).filter(|&n| state.held(n) >> k & 1 == 1);
    let mut replicas: Vec<Replica> =
        holders.map(|device| Replica { device, latency_s: state.finish(device, k) }).collect();
    replicas.sort_by(|a, b| a.latency_s.total_cmp(&b.latency_s));
    Group {
        part: PartId(u16::try_from(k).unwrap_or(u16::MAX)),
        student: chosen[k],
        arch: student.arch.clone(),
        precision: student.precision.clone(),
        replicas,
        failure_probability: state.part_failure(k),
    }
}

fn reasons(problem: &Problem<'_>, devices: &[Device], plan: &Plan) -> Vec<String> {
    let options = problem.options;
    let mut reasons = Vec::new();
    for group in &plan.groups {
        if group.replicas.is_empty() {
            reasons.push(format!("part {}: no device has memory left for {}", group.part, group.arch));
        } else if group.failure_probability > options.group_failure_max * (1.0 + ROUNDING) {
            let names: Vec<_> = group.replicas.iter().map(|replica| devices[replica.device].name.as_str()).collect();
            reasons.push(format!(
                "part {}: its devices ({}) fail together with probability {:.3e}, more than group_failure_max = {}",
                group.part,
                names.join(", "),
                group.failure_probability,
                options.group_failure_max
            ));
        }
    }
    if options.objective == Objective::Rho && plan.latency_rho_s.is_none() {
        let (availability, rho) = (plan.availability, options.rho);
        reasons.push(format!(
            "availability is {availability:.6}, below rho = {rho}: no latency holds with that probability"
        ));
    }
    if let (Some(least), Some(expected)) = (problem.accuracy_min, plan.expected_accuracy)
        && expected < least - ROUNDING
    {
        reasons.push(format!(
            "expected accuracy is {:.2} %, below {:.2} % (the best combination less accuracy_drop_max = {})",
            100.0 * expected,
            100.0 * least,
            options.accuracy_drop_max
        ));
    }
    let latency = match options.objective {
        Objective::Rho => plan.latency_rho_s,
        Objective::Nominal => Some(plan.latency_s),
    };
    if let (Some(most), Some(latency)) = (options.latency_max_s, latency)
        && latency > most
    {
        reasons.push(format!("latency is {latency:.6} s, above latency_max_s = {most}"));
    }
    reasons
}
