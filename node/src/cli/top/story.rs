//! What happened, in words: the same as the dashboard in the browser says them.

use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;
use serde_json::Value;

use super::board::Happening;
use crate::cli::members::Names;

/// What an event means for the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something was lost or failed.
    Bad,
    /// Somebody may be lost.
    Doubt,
    /// Somebody or something is there.
    Good,
    /// Who leads and what is planned.
    Plan,
}

/// What it means.
pub(super) fn kind(event: &str) -> Kind {
    match event {
        "down" | "student_failed" | "load_failed" | "store_failed" | "persist_failed" | "wrong_hash"
        | "identity_clash" | "barred" | "not_planned" | "conflict" | "bad_manifest" | "disagreed" | "missed" => {
            Kind::Bad
        }
        "suspected" | "unroutable" | "left" | "term_jump_refused" => Kind::Doubt,
        "joined" | "alive" | "refuted" | "routable" | "ready" | "fetched" => Kind::Good,
        _ => Kind::Plan,
    }
}

/// The event in a sentence. One that this version does not know is told by its name.
pub(super) fn in_words(happening: &Happening, status: Option<&NodeSnapshot>) -> String {
    let told = &happening.told;
    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    let short = |field: &str| text(field).chars().take(8).collect::<String>();
    let name = |field: &str| match (text(field).parse::<NodeId>(), status) {
        (Ok(id), Some(status)) => Names(&status.members).of(id),
        _ => short(field),
    };
    let number = |field: &str| told[field].as_u64().unwrap_or_default();
    let (who, reason) = (name("member"), text("reason"));
    match happening.event.as_str() {
        "joined" => format!("{who} joined"),
        "suspected" => format!("{who} is suspected by {}", name("by")),
        "refuted" => format!("{who} refuted the suspicion"),
        "down" => format!("{who} is given up"),
        "alive" => format!("{who} is back"),
        "left" => format!("{who} left"),
        "routable" => format!("requests go to {who} again"),
        "unroutable" => format!("no requests to {who}: {}", unroutable(&reason)),
        "identity_clash" => format!("two devices have the identity {who}"),
        "leader" if who.is_empty() => "nobody leads".to_owned(),
        "leader" => format!("{who} leads, term {}", number("term")),
        "planned" => planned(told),
        "not_planned" => format!("no plan can be made: {reason}"),
        "barred" => format!("{who} may not lead"),
        "persist_failed" => format!("the state folder cannot be written: {reason}"),
        "term_jump_refused" => format!("{who} speaks of a term far too high"),
        "desired" => format!("bundle {} is wanted", short("bundle")),
        "conflict" => {
            format!("two bundles have one name and version: {} and {}", short("bundle"), short("other"))
        }
        "fetched" => format!("fetched {}, {} KiB", short("artifact"), number("bytes").div_ceil(1024)),
        "wrong_hash" => format!("{who} sent bytes that are not {}", short("artifact")),
        "bad_manifest" => format!("bundle {} cannot be served: {reason}", short("bundle")),
        "store_failed" => format!("{} cannot be stored: {reason}", short("artifact")),
        "ready" => format!("student {} is ready here", short("student")),
        "load_failed" => format!("student {} cannot be loaded: {reason}", short("student")),
        "unloaded" => format!("student {} was freed", short("student")),
        "discarded" => format!("{} was deleted", short("artifact")),
        "student_failed" => format!("student {} failed: {reason}", short("student")),
        "disagreed" => {
            let others = if told["outvoted"] == true { "the majority" } else { "others" };
            format!("{who} answers part {} otherwise than {others}", number("part"))
        }
        "missed" => format!("{} events were missed: this node was asked too seldom", number("count")),
        other => other.to_owned(),
    }
}

fn unroutable(reason: &str) -> &str {
    match reason {
        "link_down" => "its link is down",
        "request_failed" => "a request failed",
        "no_answer" => "it does not answer",
        "state" => "of its state",
        other => other,
    }
}

fn planned(told: &Value) -> String {
    let reasons = told["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let moved = format!("plan {}: {} moved", told["epoch"].as_str().unwrap_or_default(), told["moved"]);
    reasons.fold(moved, |all, reason| format!("{all}; {reason}"))
}

#[cfg(test)]
mod tests {
    use rocoin::id::Digest;
    use rocoin::node::Event;
    use rocoin::{deployment, leadership, membership};
    use serde_json::json;

    use super::*;
    use crate::cli::fixture::named as member;

    fn words(told: Value) -> String {
        let members = vec![member(1, "pi"), member(2, "laptop")];
        let status = NodeSnapshot { members, ..crate::actor::tests::snapshot() };
        let event = told["event"].as_str().unwrap_or_default().to_owned();
        in_words(&Happening { at_ms: 0, event, told }, Some(&status))
    }

    #[test]
    fn events_of_the_node_are_sentences_with_names() {
        let (pi, artifact) = (NodeId([1; 32]), Digest([0xab; 32]));
        let by = NodeId([2; 32]);
        let reason = membership::Reason::NoAnswer;
        let reasons = vec!["1 is down".to_owned()];
        for (event, sentence) in [
            (Event::Membership(membership::Event::Left { member: pi }), "pi left"),
            (
                Event::Membership(membership::Event::Unroutable { member: pi, reason }),
                "no requests to pi: it does not answer",
            ),
            (Event::Deployment(deployment::Event::Fetched { artifact, bytes: 1025 }), "fetched abababab, 2 KiB"),
            (Event::Leadership(leadership::Event::Leader { claim: None }), "nobody leads"),
            (
                Event::Leadership(leadership::Event::NotPlanned { reason: reasons[0].clone() }),
                "no plan can be made: 1 is down",
            ),
        ] {
            assert_eq!(words(crate::events::told(&event).unwrap()), sentence);
        }
        assert_eq!(words(json!({ "event": "suspected", "member": pi, "by": by })), "pi is suspected by laptop");
        let plan = json!({ "event": "planned", "epoch": "1.ab.2", "moved": 3, "reasons": reasons });
        assert_eq!(words(plan), "plan 1.ab.2: 3 moved; 1 is down");
    }

    #[test]
    fn an_event_of_another_version_is_told_by_its_name() {
        assert_eq!(words(json!({ "event": "sneezed", "member": 3 })), "sneezed");
        assert_eq!(words(json!({})), "");
    }
}
