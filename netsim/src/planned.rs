//! Whether a run bears out what the planner had promised: availability, ρ-latency and expected accuracy, where runs fail independently.
//!
//! The promise is the planner's own for the plan in force, with the hosts' true numbers; what is found is counted from requests. Both are
//! only comparable where requests do not wait for each other and every replica answers over its own link, as in the paper's setting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocoin::bundle::Manifest;
use rocoin::fleet::{Capability, Device};
use rocoin::id::NodeId;
use rocoin::leadership::EpochPlan;
use rocoin::planner::{self, Holding, Plan, PlanOptions, Students};
use rocoin::time::Duration;
use serde::Serialize;

use crate::fact::{AskId, Fact, HostId, Outcome};
use crate::model::Model;
use crate::world::Setup;

/// A run takes up to 5 % longer than its FLOPs say, a small share of an answer's time: what is that little later counts as in time.
const LATE: f64 = 1.01;
/// Every pattern of failures is gone through, so that the devices of a plan must be few.
const DEVICES_MAX: usize = 16;

/// The plan in force, and how requests went since.
#[derive(Debug, Clone)]
pub struct Planned {
    capabilities: Vec<Capability>,
    models: Vec<Arc<Model>>,
    options: PlanOptions,
    /// Requests are only counted where runs fail by chance.
    runs_fail: bool,
    identities: BTreeMap<NodeId, HostId>,
    plan: Option<EpochPlan>,
    open: BTreeSet<AskId>,
    over: Vec<Ended>,
}

/// A request that is over.
#[derive(Debug, Clone, Copy)]
struct Ended {
    complete: bool,
    /// The class named was the right one.
    right: bool,
    took: Duration,
}

/// A share that was promised, and the one that was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// By the planner.
    pub promised: f64,
    /// In the run.
    pub found: f64,
    /// Standard error of what was found, if the promise is true.
    pub error: f64,
}

/// How promise and run compare.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Requests since the plan in force.
    pub requests: usize,
    /// Requests with every part answered.
    pub availability: Share,
    /// The promised ρ-latency, s; `None` where the plan has none.
    pub latency_rho_s: Option<f64>,
    /// Requests with every part answered within it.
    pub within_latency_rho: Option<Share>,
    /// Requests answered with the right class, those without an answer counting as wrong: the planner's expected accuracy.
    pub right: Option<Share>,
}

impl Planned {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self {
            capabilities: setup.hosts.iter().map(|host| host.capability).collect(),
            models: setup.models.clone(),
            options: setup.node.leadership.plan.clone(),
            runs_fail: setup.runs_fail,
            identities: BTreeMap::new(),
            plan: None,
            open: BTreeSet::new(),
            over: Vec::new(),
        }
    }

    pub(crate) fn observe(&mut self, fact: &Fact) {
        if !self.runs_fail {
            return;
        }
        if let Fact::Started { host, node, .. } = fact {
            self.identities.insert(*node, *host);
        } else if let Fact::Adopted { plan, .. } = fact {
            if self.plan.as_ref().is_none_or(|before| before.epoch < plan.epoch) {
                self.plan = Some((**plan).clone());
                self.open.clear();
                self.over.clear();
            }
        } else if let Fact::Asked { ask, tries: 0, .. } = fact {
            self.open.insert(*ask);
        } else if let Fact::Over { ask, outcome, took, right, .. } = fact
            && self.open.remove(ask)
        {
            self.over.push(Ended { complete: *outcome == Outcome::Complete, right: *right, took: *took });
        }
    }

    /// How promise and run compare; `None` where runs do not fail by chance, nothing was asked, or the planner would by now plan
    /// otherwise.
    pub fn agreement(&self) -> Option<Agreement> {
        let epoch_plan = self.plan.as_ref().filter(|_| !self.over.is_empty())?;
        let model = self.models.iter().find(|model| model.digest() == epoch_plan.bundle)?;
        if self.identities.len() > DEVICES_MAX {
            return None;
        }
        let devices: Vec<_> = self.identities.iter().filter_map(|(node, host)| self.device(*node, *host)).collect();
        let held: Vec<_> = devices.iter().map(|(node, _)| holdings(*node, epoch_plan, model.manifest())).collect();
        let devices: Vec<_> = devices.into_iter().map(|(_, device)| device).collect();
        let students = Students::from_manifest(model.manifest()).ok()?;
        let plan = planner::replan(&devices, &students, &self.options, &held).ok()?.plan;
        if plan.holdings(devices.len()) != held {
            return None;
        }
        let in_time = |latest: f64| move |ended: &&Ended| ended.complete && ended.took.as_secs_f64() <= latest;
        let latency_rho = plan.latency_rho_s.map(|latency| latency * LATE);
        let within = latency_rho.map(|latest| {
            let promised = probability_within(latest, &plan, &devices);
            self.share(promised, self.over.iter().filter(in_time(latest)).count())
        });
        Some(Agreement {
            requests: self.over.len(),
            availability: self.share(plan.availability, self.over.iter().filter(in_time(f64::INFINITY)).count()),
            latency_rho_s: plan.latency_rho_s,
            within_latency_rho: within,
            right: plan
                .expected_accuracy
                .map(|promised| self.share(promised, self.over.iter().filter(|ended| ended.right).count())),
        })
    }

    fn device(&self, node: NodeId, host: HostId) -> Option<(NodeId, Device)> {
        let capability = *self.capabilities.get(usize::try_from(host.0).ok()?)?;
        Some((node, Device { name: host.to_string(), capability }))
    }

    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 requests")]
    fn share(&self, promised: f64, count: usize) -> Share {
        let requests = self.over.len() as f64;
        Share { promised, found: count as f64 / requests, error: (promised * (1.0 - promised) / requests).sqrt() }
    }
}

impl Agreement {
    /// The most that a share is off, in standard errors.
    pub fn errors(&self) -> f64 {
        let off = |share: &Share| (share.found - share.promised).abs() / share.error.max(1e-9);
        self.within_latency_rho.iter().chain(&self.right).map(off).fold(off(&self.availability), f64::max)
    }
}

fn holdings(node: NodeId, plan: &EpochPlan, manifest: &Manifest) -> BTreeSet<Holding> {
    let holding = |(part, digest): (rocoin::id::PartId, rocoin::id::Digest)| {
        let students = &manifest.parts.get(usize::from(part.0))?.students;
        Some(Holding { part, student: students.iter().position(|card| card.digest == digest)? })
    };
    plan.students_of(node).filter_map(holding).collect()
}

/// The probability that every part is answered by then: the sum over all patterns of devices that fail.
fn probability_within(latest_s: f64, plan: &Plan, devices: &[Device]) -> f64 {
    let answers = |pattern: u32| {
        plan.groups.iter().all(|group| {
            group.replicas.iter().any(|replica| pattern & (1 << replica.device) == 0 && replica.latency_s <= latest_s)
        })
    };
    let probability = |pattern: u32| -> f64 {
        let of = |(i, device): (usize, &Device)| {
            let failure = device.capability.failure_probability;
            if pattern & (1 << i) == 0 { 1.0 - failure } else { failure }
        };
        devices.iter().enumerate().map(of).product()
    };
    (0..1 << devices.len()).filter(|pattern| answers(*pattern)).map(probability).sum()
}
