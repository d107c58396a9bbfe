//! What is counted and measured since the start, as it happens. What can be read off the node at any time is not kept here; see
//! [`super::Page`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use rocoin::id::NodeId;
use rocoin::inference::{Answer, Loss, Outcome};
use rocoin::node::Event;
use rocoin::{deployment, inference, leadership, membership};

/// Replicas that wins are counted for by name; those of further ones count as `other`.
const REPLICAS_MAX: usize = 64;
/// Members in doubt that a detection time is measured of; of further ones it is not.
const DOUBTED_MAX: usize = 4096;

pub(super) type Labels = [(&'static str, String); 1];

/// Why the HTTP interface turned a request away before the node heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// It is not what the model takes.
    BadRequest,
    /// Too many are being read.
    Overloaded,
    /// Another model is served, or none.
    NotServing,
}

/// Totals and distributions. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<Labels, Counter>,
    request_duration: Histogram,
    part_duration: Histogram,
    run_duration: Histogram,
    wins: Family<Labels, Counter>,
    /// Those that wins are counted for by name, and the wins of others.
    replicas: Arc<AtomicUsize>,
    asked: Counter,
    failovers: Family<Labels, Counter>,
    student_failures: Counter,
    transitions: Family<Labels, Counter>,
    unroutable: Family<Labels, Counter>,
    detection: Histogram,
    leader_changes: Counter,
    plan_duration: Histogram,
    fetched: Counter,
    /// Since when there is doubt about a member.
    doubted: Arc<Mutex<BTreeMap<NodeId, Instant>>>,
}

impl Default for Metrics {
    /// Every value of every label is there from the start, at 0, so that a first failure is a rise and not a new series.
    fn default() -> Self {
        // 0.5 ms to 65 s, the longest deadline; 50 µs to 26 s; 10 ms to 164 s.
        let durations = || Histogram::new(exponential_buckets(0.0005, 2.0, 18));
        let runs = || Histogram::new(exponential_buckets(0.000_05, 2.0, 20));
        let detections = || Histogram::new(exponential_buckets(0.01, 2.0, 15));
        let metrics = Self {
            requests: Family::default(),
            request_duration: durations(),
            part_duration: durations(),
            run_duration: runs(),
            wins: Family::default(),
            replicas: Arc::default(),
            asked: Counter::default(),
            failovers: Family::default(),
            student_failures: Counter::default(),
            transitions: Family::default(),
            unroutable: Family::default(),
            detection: detections(),
            leader_changes: Counter::default(),
            plan_duration: runs(),
            fetched: Counter::default(),
            doubted: Arc::default(),
        };
        OUTCOMES.iter().for_each(|outcome| drop(metrics.requests.get_or_create(&label("outcome", outcome))));
        LOSSES.iter().for_each(|loss| drop(metrics.failovers.get_or_create(&label("reason", loss))));
        TRANSITIONS.iter().for_each(|to| drop(metrics.transitions.get_or_create(&label("to", to))));
        REASONS.iter().for_each(|reason| drop(metrics.unroutable.get_or_create(&label("reason", reason))));
        metrics
    }
}

const OUTCOMES: [&str; 9] =
    ["ok", "degraded", "deadline", "no_replica", "bad_request", "overloaded", "cancelled", "not_serving", "draining"];
const LOSSES: [&str; 4] = ["link", "routing", "refusal", "bad_answer"];
const TRANSITIONS: [&str; 6] = ["joined", "suspected", "refuted", "down", "alive", "left"];
const REASONS: [&str; 4] = ["link_down", "request_failed", "no_answer", "state"];

pub(super) fn label(name: &'static str, value: &str) -> Labels {
    [(name, value.to_owned())]
}

impl Metrics {
    /// A request that the node did not hear of.
    pub(crate) fn turned_away(&self, why: Turned) {
        let outcome = match why {
            Turned::BadRequest => "bad_request",
            Turned::Overloaded => "overloaded",
            Turned::NotServing => "not_serving",
        };
        self.requests.get_or_create(&label("outcome", outcome)).inc();
    }

    pub(super) fn answered(&self, answer: &Answer) {
        self.asked.inc_by(u64::from(answer.asked));
        for part in &answer.parts {
            self.part_duration.observe(part.after.as_secs_f64());
            self.run_duration.observe(part.run.as_secs_f64());
            let named = label("replica", &part.replica.short());
            let is_known = self.wins.get(&named).is_some();
            let is_counted = is_known || self.replicas.fetch_add(1, Ordering::Relaxed) < REPLICAS_MAX;
            self.wins.get_or_create(&if is_counted { named } else { label("replica", "other") }).inc();
        }
    }

    pub(super) fn planned(&self, took: Duration) {
        self.plan_duration.observe(took.as_secs_f64());
    }

    pub(super) fn see(&self, event: &Event) {
        match event {
            Event::Membership(event) => self.see_member(event),
            Event::Leadership(leadership::Event::Leader { .. }) => {
                self.leader_changes.inc();
            }
            Event::Deployment(deployment::Event::Fetched { bytes, .. }) => {
                self.fetched.inc_by(*bytes);
            }
            Event::Inference(event) => self.see_request(event),
            Event::Leadership(_) | Event::Deployment(_) => {}
        }
    }

    fn see_request(&self, event: &inference::Event) {
        match event {
            inference::Event::Finished { outcome, took, .. } => {
                self.requests.get_or_create(&label("outcome", named(*outcome))).inc();
                if matches!(outcome, Outcome::Complete | Outcome::Degraded) {
                    self.request_duration.observe(took.as_secs_f64());
                }
            }
            inference::Event::Failover { loss, .. } => {
                let reason = match loss {
                    Loss::Link => "link",
                    Loss::Routing => "routing",
                    Loss::Refusal => "refusal",
                    Loss::BadAnswer => "bad_answer",
                };
                self.failovers.get_or_create(&label("reason", reason)).inc();
            }
            inference::Event::StudentFailed { .. } => {
                self.student_failures.inc();
            }
            inference::Event::Disagreed { .. } => {}
        }
    }

    fn see_member(&self, event: &membership::Event) {
        use membership::Event as Of;
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        let to = match event {
            Of::Joined { member, .. } => {
                doubted.remove(member);
                "joined"
            }
            Of::Suspected { member, .. } => {
                if doubted.len() < DOUBTED_MAX {
                    doubted.entry(*member).or_insert_with(Instant::now);
                }
                "suspected"
            }
            Of::Refuted { member, .. } => {
                doubted.remove(member);
                "refuted"
            }
            Of::Down { member, .. } => {
                if let Some(since) = doubted.remove(member) {
                    self.detection.observe(since.elapsed().as_secs_f64());
                }
                "down"
            }
            Of::Alive { member, .. } => {
                doubted.remove(member);
                "alive"
            }
            Of::Left { member } => {
                doubted.remove(member);
                "left"
            }
            Of::Routable { member } => {
                doubted.remove(member);
                return;
            }
            Of::Unroutable { member, reason } => {
                if doubted.len() < DOUBTED_MAX {
                    doubted.entry(*member).or_insert_with(Instant::now);
                }
                let reason = match reason {
                    membership::Reason::LinkDown => "link_down",
                    membership::Reason::RequestFailed => "request_failed",
                    membership::Reason::NoAnswer => "no_answer",
                    membership::Reason::State => "state",
                };
                self.unroutable.get_or_create(&label("reason", reason)).inc();
                return;
            }
            Of::RecordChanged { .. } | Of::IdentityClash { .. } => return,
        };
        self.transitions.get_or_create(&label("to", to)).inc();
    }

    /// All of it, to be shown.
    pub(super) fn register(&self, into: &mut Registry) {
        into.register("requests", "Requests of clients to this node, by how they ended", self.requests.clone());
        into.register_with_unit(
            "request_duration",
            "From a client's request to its answer, of those that were answered",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        into.register_with_unit(
            "part_duration",
            "From a client's request to the answer of each of its parts that was used",
            Unit::Seconds,
            self.part_duration.clone(),
        );
        into.register_with_unit(
            "part_run_duration",
            "How long a student ran on its replica, of the answers that were used",
            Unit::Seconds,
            self.run_duration.clone(),
        );
        into.register(
            "replica_wins",
            "Answers that this node used, by the first 8 digits of the replica's id",
            self.wins.clone(),
        );
        into.register("replicas_asked", "Replicas asked, over the parts of answered requests", self.asked.clone());
        into.register(
            "failovers",
            "Parts asked of another replica because those asked before were lost, by how the last of them was",
            self.failovers.clone(),
        );
        into.register("student_failures", "Runs of this node's students that failed", self.student_failures.clone());
        into.register(
            "member_transitions",
            "Changes of members in this node's view, by what they changed to",
            self.transitions.clone(),
        );
        into.register(
            "member_unroutable",
            "Times that requests ceased to be sent to a member, by why",
            self.unroutable.clone(),
        );
        into.register_with_unit(
            "detection_duration",
            "From the first doubt about a member that was given up to when it was given up",
            Unit::Seconds,
            self.detection.clone(),
        );
        into.register(
            "leader_changes",
            "Times that this node followed another leader, or none",
            self.leader_changes.clone(),
        );
        into.register_with_unit(
            "plan_duration",
            "The step in which this node, as the leader, made a plan",
            Unit::Seconds,
            self.plan_duration.clone(),
        );
        into.register_with_unit(
            "artifact_fetched",
            "Artifacts fetched from other nodes",
            Unit::Bytes,
            self.fetched.clone(),
        );
    }
}

fn named(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Complete => "ok",
        Outcome::Degraded => "degraded",
        Outcome::Cancelled => "cancelled",
        Outcome::BadInput => "bad_request",
        Outcome::NotServing => "not_serving",
        Outcome::NoReplica => "no_replica",
        Outcome::Overloaded => "overloaded",
        Outcome::Deadline => "deadline",
        Outcome::Draining => "draining",
    }
}
