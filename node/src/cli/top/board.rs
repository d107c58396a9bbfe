//! What looks at nodes have told so far: the state that is drawn. It judges nothing, and keeps no more than a node does.

use std::collections::{BTreeMap, VecDeque};

use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;
use rocoin_netsim::harness::Told;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::observe::journal::KEPT;
use crate::observe::recent::Second;
use crate::observe::replicas::Pace;

/// What is known, and of whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    /// The address of the node that told all below; empty before the first look that went well.
    pub(super) source: String,
    /// Whether that is the node which the user named.
    pub(super) is_from_named: bool,
    /// Its status, as it was last told.
    pub(super) status: Option<NodeSnapshot>,
    /// The last minute's requests, by the second, in order.
    pub(super) seconds: Vec<Second>,
    /// How quickly replicas answered.
    pub(super) paces: Vec<Pace>,
    /// What happened, the newest last.
    pub(super) events: VecDeque<Happening>,
    /// The number of the newest.
    pub(super) last_id: Option<u64>,
    /// When members were given up, ms since 1970, as far as is known.
    pub(super) lost_at_ms: BTreeMap<NodeId, u64>,
    /// When the last look that went well came back, ms since 1970.
    pub(super) heard_ms: Option<u64>,
    /// The node that was named cannot be reached.
    pub(super) named_gone: Option<Trouble>,
    /// No node can be reached: what is shown is old.
    pub(super) all_gone: Option<Trouble>,
}

/// One event of a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Happening {
    /// When, ms since 1970 by that node's clock.
    pub(super) at_ms: u64,
    /// Which, as in an event file.
    pub(super) event: String,
    /// All of it.
    pub(super) told: Value,
}

/// Looks that fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Since when, ms since 1970.
    pub(super) since_ms: u64,
    /// Why the last one failed.
    pub(super) why: String,
}

/// What came of one look.
#[derive(Debug)]
pub(super) struct Look {
    /// When it came back, ms since 1970.
    pub(super) at_ms: u64,
    /// The address of the node that was asked.
    pub(super) asked: String,
    /// Whether that is the node which the user named.
    pub(super) is_named: bool,
    /// What it told, or why it did not.
    pub(super) told: Result<Vec<Told>, String>,
}

/// The data of `requests`.
#[derive(Debug, Deserialize)]
struct Requests {
    seconds: Vec<Second>,
    replicas: Vec<Pace>,
}

impl Board {
    /// Takes in what came of a look. A status that makes no sense is a look that failed.
    pub(super) fn see(&mut self, look: Look) {
        let Look { at_ms, asked, is_named, told } = look;
        let told = told.and_then(|told| match status_of(&told) {
            Ok(status) => Ok((told, status)),
            Err(why) => Err(format!("{asked} sent a status that makes no sense: {why}; is it of this version?")),
        });
        match told {
            Ok((told, status)) => self.heard(at_ms, asked, is_named, told, status),
            Err(why) => self.failed(at_ms, is_named, why),
        }
    }

    fn heard(&mut self, at_ms: u64, asked: String, is_named: bool, told: Vec<Told>, status: NodeSnapshot) {
        if self.status.as_ref().is_none_or(|before| before.node != status.node) {
            // Another node: what happened there is another story.
            let (named_gone, all_gone) = (self.named_gone.take(), self.all_gone.take());
            *self = Self { named_gone, all_gone, ..Self::default() };
        }
        self.lost_at_ms.retain(|lost, _| status.members.iter().any(|member| member.node == *lost));
        self.status = Some(status);
        self.source = asked;
        self.is_from_named = is_named;
        self.heard_ms = Some(at_ms);
        self.all_gone = None;
        if is_named {
            self.named_gone = None;
        }
        for Told { event, data, id } in told {
            let id: Option<u64> = id.and_then(|id| id.parse().ok());
            match event.as_str() {
                // A node that was away for a while tells all again.
                "happened" if id.is_some() && id <= self.last_id => {}
                "happened" => {
                    self.last_id = id.or(self.last_id);
                    self.happened(data);
                }
                "missed" => {
                    self.happened(
                        json!({ "event": "missed", "count": data["count"], "at_unix_ns": at_ms * 1_000_000 }),
                    );
                }
                "requests" => {
                    if let Ok(requests) = serde_json::from_value::<Requests>(data) {
                        (self.seconds, self.paces) = (requests.seconds, requests.replicas);
                    }
                }
                _ => {}
            }
        }
    }

    fn failed(&mut self, at_ms: u64, is_named: bool, why: String) {
        if is_named {
            set(&mut self.named_gone, at_ms, &why);
        }
        // While another node tells, one that was named and is asked now and then does not make what is shown old.
        if self.all_gone.is_some() || !(is_named && self.is_elsewhere()) {
            set(&mut self.all_gone, at_ms, &why);
        }
    }

    /// Whether what is shown was told by another node than the one that was named.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.status.is_some() && !self.is_from_named
    }

    fn happened(&mut self, told: Value) {
        let at_ms = told["at_unix_ns"].as_u64().unwrap_or(0) / 1_000_000;
        let event = told["event"].as_str().unwrap_or_default().to_owned();
        if let Some(member) = told["member"].as_str().and_then(|id| id.parse::<NodeId>().ok()) {
            match event.as_str() {
                "down" => _ = self.lost_at_ms.insert(member, at_ms),
                "alive" | "joined" | "left" => _ = self.lost_at_ms.remove(&member),
                _ => {}
            }
        }
        self.events.push_back(Happening { at_ms, event, told });
        if self.events.len() > KEPT {
            self.events.pop_front();
        }
    }
}

fn set(trouble: &mut Option<Trouble>, at_ms: u64, why: &str) {
    let since_ms = trouble.as_ref().map_or(at_ms, |trouble| trouble.since_ms);
    *trouble = Some(Trouble { since_ms, why: why.to_owned() });
}

/// The status among what a node told.
pub(super) fn status_of(told: &[Told]) -> Result<NodeSnapshot, String> {
    let told = told.iter().find(|told| told.event == "status").ok_or("there is none")?;
    NodeSnapshot::deserialize(&told.data).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixture::named as member;

    fn told(event: &str, data: Value) -> Told {
        Told { event: event.to_owned(), data, id: None }
    }

    fn status(id: u8) -> Told {
        let members = [id, 7].map(|id| member(id, "pi")).to_vec();
        told("status", json!(NodeSnapshot { node: NodeId([id; 32]), members, ..crate::actor::tests::snapshot() }))
    }

    fn happened(event: &str, at_ms: u64) -> Told {
        let member = NodeId([7; 32]);
        told("happened", json!({ "event": event, "member": member, "at_unix_ns": at_ms * 1_000_000 }))
    }

    fn look(at_ms: u64, is_named: bool, told: Result<Vec<Told>, &str>) -> Look {
        let asked = if is_named { "named:1" } else { "other:1" }.to_owned();
        Look { at_ms, asked, is_named, told: told.map_err(str::to_owned) }
    }

    fn board(looks: impl IntoIterator<Item = Look>) -> Board {
        let mut board = Board::default();
        looks.into_iter().for_each(|look| board.see(look));
        board
    }

    #[test]
    fn a_look_replaces_status_and_requests_and_adds_what_happened() {
        let second = json!({ "unix_s": 9, "answered": 3, "degraded": 1, "failed": 0, "p50_us": 8, "p99_us": 9 });
        let requests = told("requests", json!({ "seconds": [second], "replicas": [] }));
        let first = vec![status(1), happened("joined", 5), requests.clone()];
        let board =
            board([look(10, true, Ok(first)), look(20, true, Ok(vec![status(1), happened("down", 15), requests]))]);
        assert_eq!(
            board.events.iter().map(|e| (e.at_ms, e.event.as_str())).collect::<Vec<_>>(),
            [(5, "joined"), (15, "down")]
        );
        assert_eq!((board.seconds.len(), board.seconds[0].degraded), (1, 1));
        assert_eq!(board.lost_at_ms, BTreeMap::from([(NodeId([7; 32]), 15)]));
        assert_eq!((board.heard_ms, board.source.as_str()), (Some(20), "named:1"));
    }

    #[test]
    fn what_is_told_again_is_not_shown_again() {
        let numbered = |id: &str, at_ms| Told { id: Some(id.to_owned()), ..happened("routable", at_ms) };
        let first = look(10, true, Ok(vec![status(1), numbered("3", 1), numbered("4", 2)]));
        let again = look(20, true, Ok(vec![status(1), numbered("4", 2), numbered("5", 3)]));
        let board = board([first, again]);
        assert_eq!(board.events.iter().map(|e| e.at_ms).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn who_came_back_is_not_lost_any_more() {
        let board = board([look(10, true, Ok(vec![status(1), happened("down", 5), happened("alive", 6)]))]);
        assert!(board.lost_at_ms.is_empty());
    }

    #[test]
    fn what_another_node_saw_is_another_story() {
        let first = look(10, true, Ok(vec![status(1), happened("joined", 5)]));
        let board = board([first, look(20, true, Err("gone")), look(30, false, Ok(vec![status(2)]))]);
        assert!(board.events.is_empty() && board.is_elsewhere() && board.all_gone.is_none());
        assert_eq!(board.named_gone, Some(Trouble { since_ms: 20, why: "gone".to_owned() }));
    }

    #[test]
    fn what_is_shown_is_old_since_the_first_look_that_failed() {
        let mut board =
            board([look(10, true, Ok(vec![status(1)])), look(20, true, Err("slow")), look(30, true, Err("gone"))]);
        let gone = Trouble { since_ms: 20, why: "gone".to_owned() };
        assert_eq!((board.all_gone.as_ref(), board.named_gone.as_ref()), (Some(&gone), Some(&gone)));
        assert!(board.status.is_some(), "it is still shown");
        board.see(look(40, true, Ok(vec![status(1)])));
        assert_eq!((board.all_gone, board.named_gone), (None, None));
    }

    #[test]
    fn a_look_at_the_node_that_was_named_may_fail_while_another_tells() {
        let mut board =
            board([look(10, true, Err("gone")), look(20, false, Ok(vec![status(2)])), look(30, true, Err("gone"))]);
        assert!(board.all_gone.is_none());
        board.see(look(40, false, Err("gone, too")));
        assert_eq!(board.all_gone.map(|gone| gone.since_ms), Some(40));
    }

    #[test]
    fn a_status_that_makes_no_sense_is_a_look_that_failed() {
        let board = board([look(10, true, Ok(vec![told("status", json!({ "name": 3 }))]))]);
        let gone = board.all_gone.unwrap();
        assert!(gone.why.contains("named:1") && gone.why.contains("this version"), "{}", gone.why);
    }

    #[test]
    fn no_more_events_are_kept_than_a_node_keeps() {
        let many = (0..2 * KEPT as u64).map(|at_ms| happened("routable", at_ms));
        let board = board([look(10, true, Ok(std::iter::once(status(1)).chain(many).collect()))]);
        assert_eq!((board.events.len(), board.events[0].at_ms), (KEPT, KEPT as u64));
    }
}
