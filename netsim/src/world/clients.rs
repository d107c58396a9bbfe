//! Clients: they ask at a steady or random pace, turn to another node once, and note how it ended.

use std::collections::BTreeMap;

use rocoin::inference::{Answer, Mode, Outcome as CoreOutcome, Request, RequestError};
use rocoin::node::{ClientId, Input};
use rocoin::time::{Duration, Instant};
use serde::{Deserialize, Serialize};

use super::World;
use super::event::Event;
use crate::fact::{AskId, Fact, HostId, Outcome, Reply};
use crate::fault::seconds;
use crate::model::Model;
use crate::random::Random;

/// A client that gets no word from its node waits so much longer than the deadline it set.
pub(crate) const GRACE: Duration = Duration::from_millis(200);
/// A node that is gone is noticed, or refuses, within this.
pub(crate) const REFUSED_AFTER: Duration = Duration::from_millis(1);

/// Of a node's name for its client: the bits that number the tries.
const TRIES_BITS: u32 = 16;
const TRIES_MASK: u64 = (1 << TRIES_BITS) - 1;

/// What clients ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSpec {
    /// Requests a second, over the whole mesh; 0: none.
    pub rate_per_s: f64,
    /// The first one, s.
    pub from_s: f64,
    /// No more after this, s.
    pub until_s: f64,
    /// A client's patience, s.
    pub deadline_s: f64,
    /// Fewer parts are no answer.
    pub min_parts: usize,
    /// Times a client turns to another node.
    pub retries: u32,
    /// Random waits (exponential) rather than equal ones.
    pub random: bool,
    /// Hosts that clients ask; empty: any.
    pub to: Vec<u32>,
    /// How replicas are to be asked.
    pub mode: Mode,
}

impl Default for LoadSpec {
    fn default() -> Self {
        Self {
            rate_per_s: 0.0,
            from_s: 5.0,
            until_s: f64::MAX,
            deadline_s: 2.0,
            min_parts: 1,
            retries: 1,
            random: true,
            to: Vec::new(),
            mode: Mode::All,
        }
    }
}

#[derive(Debug)]
struct Open {
    since: Instant,
    image: usize,
    tries: u32,
    host: Option<HostId>,
}

/// All clients, and their open requests.
#[derive(Debug)]
pub(super) struct Clients {
    spec: LoadSpec,
    random: Random,
    next: u64,
    /// There is one client: it asks nothing while anything is open, and asks one host after the other.
    one_by_one: bool,
    /// Whom that one asked last.
    asked: Option<HostId>,
    /// Whether the next request has its time already.
    is_next_due: bool,
    /// Of that time: what has an older one was called off.
    ticket: u64,
    open: BTreeMap<AskId, Open>,
}

impl Clients {
    pub(super) fn new(spec: LoadSpec, random: Random) -> Self {
        Self {
            spec,
            random,
            next: 0,
            one_by_one: false,
            asked: None,
            is_next_due: true,
            ticket: 0,
            open: BTreeMap::new(),
        }
    }

    pub(super) fn first_ask(&self) -> Instant {
        Instant::ZERO + seconds(self.spec.from_s)
    }

    pub(super) fn next_ask(&self) -> AskId {
        AskId(self.next)
    }

    fn wait(&mut self) -> Duration {
        let mean = seconds(1.0 / self.spec.rate_per_s);
        if self.spec.random { self.random.exponential(mean) } else { mean }
    }
}

/// One try of one request, as the node knows its client.
fn tag(ask: AskId, tries: u32) -> ClientId {
    ClientId(ask.0 << TRIES_BITS | u64::from(tries) & TRIES_MASK)
}

fn ask_of(client: ClientId) -> (AskId, u32) {
    (AskId(client.0 >> TRIES_BITS), u32::try_from(client.0 & TRIES_MASK).unwrap_or(0))
}

impl World {
    /// From now on there is one client, that asks the next request a while after the last is over, and is so patient at least. It asks
    /// those that see every part served, one after the other, whomever clients asked before, and takes each at its word: it does not turn
    /// to another.
    pub(crate) fn set_single_client(&mut self, rate_per_s: f64, deadline_s: f64, until: Instant) {
        let clients = &mut self.clients;
        clients.one_by_one = true;
        (clients.spec.rate_per_s, clients.spec.deadline_s) = (rate_per_s, clients.spec.deadline_s.max(deadline_s));
        clients.spec.retries = 0;
        clients.spec.until_s = until.since(Instant::ZERO).as_secs_f64();
        clients.is_next_due = false; // What the others would have asked next is asked no more.
        self.ask_later();
    }

    /// Sets the time of the next request, if it has none and need not wait for the end of another.
    fn ask_later(&mut self) {
        let clients = &mut self.clients;
        if clients.is_next_due || clients.one_by_one && !clients.open.is_empty() {
            return;
        }
        clients.is_next_due = true;
        clients.ticket += 1;
        let (wait, ticket) = (clients.wait(), clients.ticket);
        self.after(wait, Event::Ask { ticket });
    }

    pub(super) fn ask_next(&mut self, ticket: u64) {
        if ticket != self.clients.ticket {
            return;
        }
        self.clients.is_next_due = false;
        let spec = &self.clients.spec;
        if spec.rate_per_s <= 0.0 || self.now >= Instant::ZERO + seconds(spec.until_s) {
            return;
        }
        if self.clients.one_by_one && !self.clients.open.is_empty() {
            return; // When that is over.
        }
        let ask = AskId(self.clients.next);
        self.clients.next += 1;
        let images = self.models.first().map_or(1, |m| m.images());
        let image = self.clients.random.below(images);
        self.clients.open.insert(ask, Open { since: self.now, image, tries: 0, host: None });
        self.try_one(ask);
        self.ask_later();
    }

    pub(super) fn ask_again(&mut self, ask: AskId, tries: u32) {
        if self.clients.open.get(&ask).is_some_and(|open| open.tries == tries) {
            self.try_one(ask);
        }
    }

    /// Whom a client asks that was with that host last, if with any: first any host, whether or not it runs, then another one that does.
    fn choose(&mut self, last: Option<HostId>) -> Option<HostId> {
        if self.clients.one_by_one {
            let hosts: Vec<_> = self.sighted().collect();
            let next = hosts.iter().find(|host| Some(**host) > self.clients.asked).or(hosts.first());
            self.clients.asked = next.copied();
            return self.clients.asked;
        }
        let to = &self.clients.spec.to;
        let hosts = self.host_ids().filter(|host| to.is_empty() || to.contains(&host.0));
        let others: Vec<_> =
            hosts.filter(|h| Some(*h) != last && (last.is_none() || self.host(*h).is_running())).collect();
        self.clients.random.pick(&others).copied()
    }

    fn try_one(&mut self, ask: AskId) {
        let Some(last) = self.clients.open.get(&ask).map(|open| open.host) else { return };
        let chosen = self.choose(last);
        let Some(open) = self.clients.open.get_mut(&ask) else { return };
        let Some(host) = chosen else {
            let tries = open.tries;
            return self.over_or_again(ask, tries, Outcome::Lost, false);
        };
        let (tries, image, since) = (open.tries, open.image, open.since);
        open.host = Some(host);
        let (deadline, retries) = (seconds(self.clients.spec.deadline_s), self.clients.spec.retries);
        let left = deadline.saturating_sub(self.now.since(since));
        if !self.host(host).is_running() {
            self.over_or_again(ask, tries, Outcome::Lost, false);
            return;
        }
        // Who may turn to another node keeps half of its patience for it.
        let deadline = if tries < retries { left / 2 } else { left };
        let LoadSpec { min_parts, mode, .. } = self.clients.spec;
        self.tell(Fact::Asked { ask, host, tries, image, deadline, min_parts, mode });
        self.after(deadline + GRACE, Event::Patience { ask, tries });
        let input = self.models.first().map(|m| m.image(image).clone()).unwrap_or_default();
        let request = Request { input, deadline, min_parts, mode: Some(mode) };
        let client = tag(ask, tries);
        self.host_mut(host).clients.insert(client.0);
        let life = self.host(host).life;
        self.after(Duration::ZERO, Event::Result { host, life, input: Box::new(Input::Request { client, request }) });
    }

    /// A coordinator answered.
    pub(super) fn answer(&mut self, host: HostId, client: ClientId, result: Result<Answer, RequestError>) {
        let (ask, tries) = ask_of(client);
        self.host_mut(host).clients.remove(&client.0);
        let outcome = outcome_of(&result);
        let reply = reply_of(&result);
        let model = match &reply {
            Reply::Answer { bundle, .. } => self.models.iter().find(|m| m.digest() == *bundle),
            Reply::Error { .. } => None,
        };
        let right = self.clients.open.get(&ask).zip(model).is_some_and(|(open, model)| match &reply {
            Reply::Answer { logits, .. } => Model::class(logits) == usize::from(model.label(open.image)),
            Reply::Error { .. } => false,
        });
        self.tell(Fact::Answered { ask, host, tries, reply });
        self.over_or_again(ask, tries, outcome, right);
    }

    /// A client has waited long enough for one node.
    pub(super) fn lose_patience(&mut self, ask: AskId, tries: u32) {
        let Some(open) = self.clients.open.get(&ask).filter(|open| open.tries == tries) else { return };
        if let Some(host) = open.host {
            let client = tag(ask, tries);
            if self.host_mut(host).clients.remove(&client.0) {
                let life = self.host(host).life;
                let input = Box::new(Input::CancelRequest { client });
                self.after(Duration::ZERO, Event::Result { host, life, input });
            }
        }
        self.over_or_again(ask, tries, Outcome::Lost, false);
    }

    pub(super) fn tell_cancelled(&mut self, host: HostId, client: ClientId) {
        let (ask, tries) = ask_of(client);
        self.tell(Fact::Cancelled { ask, host, tries });
    }

    /// A node is gone, and with it what it coordinated.
    pub(super) fn clients_lose(&mut self, host: HostId) {
        for client in std::mem::take(&mut self.host_mut(host).clients) {
            let (ask, tries) = ask_of(ClientId(client));
            self.over_or_again(ask, tries, Outcome::Lost, false);
        }
    }

    fn over_or_again(&mut self, ask: AskId, tries: u32, outcome: Outcome, right: bool) {
        let now = self.now;
        let (retries, deadline) = (self.clients.spec.retries, seconds(self.clients.spec.deadline_s));
        let Some(open) = self.clients.open.get_mut(&ask).filter(|open| open.tries == tries) else { return };
        let (took, left) = (now.since(open.since), deadline.saturating_sub(now.since(open.since)));
        let elsewhere = outcome.asks_elsewhere() || outcome == Outcome::Deadline;
        if elsewhere && tries < retries && left > REFUSED_AFTER {
            open.tries += 1;
            let tries = open.tries;
            self.after(REFUSED_AFTER, Event::AskAgain { ask, tries });
            return;
        }
        self.clients.open.remove(&ask);
        self.tell(Fact::Over { ask, outcome, took, retries: tries, right });
        if self.clients.one_by_one {
            self.ask_later();
        }
    }
}

fn outcome_of(result: &Result<Answer, RequestError>) -> Outcome {
    match CoreOutcome::of(result) {
        CoreOutcome::Complete => Outcome::Complete,
        CoreOutcome::Degraded => Outcome::Degraded,
        CoreOutcome::Overloaded => Outcome::Overloaded,
        CoreOutcome::NotServing => Outcome::NotServing,
        CoreOutcome::NoReplica => Outcome::NoReplica,
        CoreOutcome::Deadline => Outcome::Deadline,
        CoreOutcome::Draining => Outcome::Draining,
        CoreOutcome::BadInput => Outcome::BadInput,
        CoreOutcome::Cancelled => Outcome::Lost,
    }
}

fn reply_of(result: &Result<Answer, RequestError>) -> Reply {
    match result {
        Ok(answer) => Reply::Answer {
            logits: answer.logits.clone(),
            bundle: answer.bundle,
            mode: answer.mode,
            parts: answer.parts.iter().map(|p| (p.part, p.student, p.replica)).collect(),
            missing: answer.missing.clone(),
            verified: answer.verified.clone(),
            outvoted: answer.disagreements.iter().filter(|d| d.outvoted).map(|d| d.replica).collect(),
        },
        Err(error) => Reply::Error { outcome: outcome_of(result), text: error.to_string() },
    }
}
