//! A run as a picture: swim lanes over time, as SVG.
//!
//! Lanes: faults, who leads and each new epoch, a bar a member (up, standing still, cut off, gone), parts served, requests by outcome.
//! In large fleets the members are one lane of counts. It is gathered fact by fact, so that no history has to be kept.

#![expect(clippy::wildcard_enum_match_arm, reason = "a picture shows what it knows how to draw")]

pub mod chart;
mod draw;
mod members;
pub(crate) mod svg;

use std::collections::{BTreeMap, BTreeSet};

use rocoin::id::{Epoch, NodeId};
use rocoin::time::Instant;

use self::members::Members;
use crate::fact::{Entry, Fact, HostId, Outcome};

/// What a picture needs to know of a run, gathered as it goes on.
#[derive(Debug, Default)]
pub struct Picture {
    end_s: f64,
    calm_s: Option<f64>,
    faults: Vec<(f64, String)>,
    members: Members,
    identities: BTreeMap<NodeId, HostId>,
    follows: BTreeMap<HostId, NodeId>,
    votes: BTreeMap<NodeId, usize>,
    /// From then on most follow this host, or nobody is followed by most.
    leaders: Vec<(f64, Option<HostId>)>,
    epochs: Vec<(f64, Epoch)>,
    known_epochs: BTreeSet<Epoch>,
    served: Vec<Served>,
    requests: BTreeMap<u64, Answers>,
}

/// What is written beside the lanes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Captions<'a> {
    /// Above all.
    pub title: &'a str,
    /// Below the title.
    pub subtitle: &'a str,
    /// When an invariant broke, and which.
    pub violation: Option<(Instant, &'a str)>,
}

/// How much of a bundle the nodes saw served at one time, as shares of its parts.
#[derive(Debug, Clone, Copy)]
struct Served {
    at_s: f64,
    least: f64,
    sum: f64,
    nodes: u32,
}

/// Requests that ended within one second.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    complete: u32,
    degraded: u32,
    failed: u32,
}

impl Picture {
    /// Takes in the next fact.
    pub fn observe(&mut self, entry: &Entry) {
        let at_s = crate::invariant::seconds(entry.at);
        self.end_s = self.end_s.max(at_s);
        self.members.observe(at_s, &entry.fact);
        match &entry.fact {
            Fact::Fault { text } => self.faults.push((at_s, label(text))),
            Fact::Calm => self.calm_s = Some(at_s),
            Fact::Started { host, node, .. } => {
                self.identities.insert(*node, *host);
            }
            Fact::Stopped { host, .. } => self.follow(at_s, *host, None),
            Fact::State { host, leader, .. } => self.follow(at_s, *host, *leader),
            Fact::Adopted { plan, .. } if self.known_epochs.insert(plan.epoch) => self.epochs.push((at_s, plan.epoch)),
            Fact::View { parts_served, parts, .. } => self.see(at_s, *parts_served, *parts),
            Fact::Over { outcome, .. } => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a whole number of seconds"
                )]
                let answers = self.requests.entry(at_s as u64).or_default();
                match outcome {
                    Outcome::Complete => answers.complete += 1,
                    Outcome::Degraded => answers.degraded += 1,
                    _ => answers.failed += 1,
                }
            }
            _ => {}
        }
    }

    fn follow(&mut self, at_s: f64, host: HostId, leader: Option<NodeId>) {
        let before = match leader {
            Some(leader) => self.follows.insert(host, leader),
            None => self.follows.remove(&host),
        };
        if before == leader {
            return;
        }
        if let Some(votes) = before.and_then(|before| self.votes.get_mut(&before)) {
            *votes -= 1;
        }
        if let Some(leader) = leader {
            *self.votes.entry(leader).or_default() += 1;
        }
        let most = self.votes.iter().max_by_key(|(_, votes)| **votes);
        let led = most.filter(|(_, votes)| **votes * 2 > self.members.running());
        let led = led.and_then(|(leader, _)| self.identities.get(leader)).copied();
        if self.leaders.last().map(|(_, led)| *led) != Some(led) {
            self.leaders.push((at_s, led));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a bundle has few parts")]
    fn see(&mut self, at_s: f64, parts_served: usize, parts: usize) {
        let share = if parts == 0 { 0.0 } else { parts_served as f64 / parts as f64 };
        match self.served.last_mut() {
            Some(last) if last.at_s >= at_s => {
                last.least = last.least.min(share);
                last.sum += share;
                last.nodes += 1;
            }
            _ => self.served.push(Served { at_s, least: share, sum: share, nodes: 1 }),
        }
    }

    /// The picture.
    pub fn svg(&self, captions: Captions<'_>) -> String {
        draw::picture(self, captions)
    }
}

impl Served {
    fn mean(&self) -> f64 {
        self.sum / f64::from(self.nodes.max(1))
    }
}

/// A fault in a few words: its verb, whom it strikes, and how much.
fn label(text: &str) -> String {
    let value = |key: &str| {
        let from = text.find(&format!("{key} = ")).filter(|at| *at == 0 || text[..*at].ends_with(", "))?;
        let rest = &text[from + key.len() + 3..];
        Some(rest.split(", ").next().unwrap_or(rest).trim_matches('"').to_owned())
    };
    let mut words = vec![value("fault").unwrap_or_default()];
    words.extend(value("on"));
    if let (Some(from), Some(to)) = (value("from"), value("to")) {
        words.push(format!("{from}→{to}"));
    }
    let factor = value("factor").and_then(|factor| factor.parse::<f64>().ok());
    words.extend(factor.map(|factor| format!("×{}", (factor * 10.0).round() / 10.0)));
    words.extend((value("full").as_deref() == Some("false")).then(|| "over".to_owned()));
    words.extend(value("times").map(|times| format!("{times} times")));
    words.extend(value("bundle").map(|bundle| format!("bundle {bundle}")));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Target};
    use crate::scenario::{SHIPPED, Scenario};

    #[test]
    fn faults_are_labelled_in_a_few_words() {
        let text = |fault: &Fault| toml::to_string(fault).unwrap().trim_end().replace('\n', ", ");
        let clog = Fault::Clog { on: Target::Some(2), factor: 20.0 };
        let cut = Fault::Cut { from: Target::Host(3), to: Target::All };
        let sides = Fault::Partition { sides: vec![vec![0, 1], vec![2]] };
        assert_eq!([clog, cut, sides].map(|f| label(&text(&f))), ["clog some(2) ×20", "cut n3→all", "partition"]);
    }

    #[test]
    fn a_run_becomes_a_picture_with_every_lane() {
        let text = SHIPPED.iter().find(|(name, _)| *name == "leader-assassin").unwrap().1;
        let scenario = Scenario::parse(&text.replace("duration_s = 220.0", "duration_s = 210.0")).unwrap();
        let mut picture = Picture::default();
        let models = scenario.synthetic().unwrap();
        crate::run::run(scenario.plan(1, models), &mut |entry| picture.observe(entry));
        let svg = picture.svg(Captions { title: "a < b", subtitle: "", violation: None });
        for piece in ["a &lt; b", "crash leader", ">leader<", ">n6<", "parts served", "requests/s", "</svg>"] {
            assert!(svg.contains(piece), "{piece}");
        }
        assert!(picture.leaders.len() > 10, "{:?}", picture.leaders);
        assert!(!svg.contains("NaN"));
    }
}
