//! What has to hold in a demo.

use super::report::StepReport;

/// Fewer requests would prove little.
const REQUESTS_MIN: usize = 1000;

/// What does not hold, for people.
pub(super) fn unmet(steps: &[StepReport], nodes: usize, parts: usize) -> Vec<String> {
    let mut unmet = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            unmet.push(what);
        }
    };
    for step in steps {
        let event = step.event;
        demand(step.requests > 0, format!("{event}: requests are asked"));
        demand(step.failed == 0, format!("{event}: no request fails ({} did)", step.failed));
        demand(step.recovery_s.is_some(), format!("{event}: the mesh is whole again"));
        demand(
            step.degraded_after_recovery == 0,
            format!("{event}: once whole, answers are complete ({} were not)", step.degraded_after_recovery),
        );
        if matches!(event, "steady" | "kill-one-per-group" | "kill-leader" | "restore") {
            let told = step.incomplete.join("; ");
            demand(step.degraded == 0, format!("{event}: no answer is degraded ({} were: {told})", step.degraded));
        }
        if matches!(event, "heal" | "restore") {
            let agreed = |of: &Option<String>| of.as_ref().is_some_and(|text| !text.contains('|'));
            demand(agreed(&step.leader), format!("{event}: there is one leader"));
            demand(agreed(&step.epoch), format!("{event}: there is one epoch"));
            demand(step.parts_served == parts, format!("{event}: every part is served"));
        }
        if event == "restore" {
            demand(step.alive == nodes, format!("{event}: all {nodes} nodes are alive"));
        }
    }
    let requests: usize = steps.iter().map(|step| step.requests).sum();
    demand(requests >= REQUESTS_MIN, format!("at least {REQUESTS_MIN} requests are asked (there were {requests})"));
    unmet
}
