//! The machine: takes inputs, follows the greatest claim, claims and plans when it is its turn.

use std::collections::VecDeque;
use std::sync::Arc;

use super::change::PlanChange;
use super::claims::Claims;
use super::config::Config;
use super::counters::Counters;
use super::gate::Gate;
use super::message::{Claim, Message};
use super::plan::EpochPlan;
use super::planning::{Draft, Schedule};
use super::port::{Event, Input, Output, Promise, ViewMember};
use super::spread::{self, Spread};
use super::view::View;
use crate::bugs::Bug;
use crate::bundle::Manifest;
use crate::fleet::Capability;
use crate::id::{Digest, Epoch, NodeId, Term};
use crate::planner::PlanOptions;
use crate::time::{Duration, Instant};

/// A term that is further above the highest seen is refused: no fleet elects so often, and nobody could claim above a
/// term near the end of its range. A node that has never seen a term takes any up to
/// [`TERM_MAX`]. From the design.
const TERM_JUMP_MAX: u64 = 1 << 16;
/// A term above this is refused by everybody: a fleet that elects every second gets there in nine million years. Ours.
const TERM_MAX: u64 = 1 << 48;
/// A view that never gets stable does not keep the best candidate from claiming longer than this many hold-offs. Ours.
const HOLD_OFFS_MAX: u32 = 5;
/// Each candidate waits so much longer for the better ones before it claims in their stead: the best may be unable to
/// write its state. Ours; far longer than a claim takes to reach everybody.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who leads, and the plan that holds: one node's part of it.
#[derive(Debug)]
pub struct Leadership {
    me: NodeId,
    config: Config,
    now: Instant,
    view: View,
    claims: Claims,
    gate: Gate,
    /// Our own claim while its term is not on disk yet.
    pending: Option<Claim>,
    /// The term of our last claim that could not be written: nobody heard of it, so it can be claimed again.
    unused: Option<Term>,
    /// The claim followed, and since when.
    leader: Option<Claim>,
    leader_since: Instant,
    /// When another's term or plan last rose above all before.
    outbid_at: Instant,
    bundle: Option<(Digest, Arc<Manifest>)>,
    schedule: Schedule,
    /// The revision of the view that the schedule knows.
    watched: Option<(u64, usize)>,
    spread: Spread,
    /// When to act next, and why: as of the last step.
    due: Option<(Instant, &'static str)>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Leadership {
    /// A node that starts with what it had promised before; a plan in it holds at once.
    pub fn new(me: NodeId, config: Config, durable: Promise, now: Instant) -> Self {
        Self {
            me,
            now,
            view: View::new(config.bugs, now),
            claims: Claims::default(),
            gate: Gate::new(durable, config.bugs, now),
            pending: None,
            unused: None,
            leader: None,
            leader_since: now,
            outbid_at: now,
            bundle: None,
            schedule: Schedule::new(config.settle),
            watched: None,
            spread: Spread::new(me, now),
            due: None,
            counters: Counters::default(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::View(members) => self.on_view(now, members),
            Input::Gone { member } => self.view.remove(member, now),
            Input::Message { from: peer, .. } | Input::LinkUp { peer } if peer == self.me => {}
            Input::Message { from, message: Message::Claim(claim) } => self.on_claim(now, from, claim),
            Input::Message { from, message: Message::Plan(plan) } => self.on_plan(now, from, plan),
            Input::Message { from, message: Message::Standing { claim, epoch } } => {
                self.on_standing(now, from, claim, epoch);
            }
            Input::Message { from, message: Message::Want { have } } => self.push_plan(from, have),
            Input::Message { from, message: Message::Change(change) } => self.on_change(now, from, change),
            Input::LinkUp { peer } => self.tell_standing(peer),
            Input::Bundle { digest, manifest } => self.on_bundle(now, digest, manifest),
            Input::Persisted => self.on_persisted(),
            Input::PersistFailed { reason } => self.on_persist_failed(now, reason),
            Input::IdentityClash { member } => self.on_clash(now, member),
        }
        self.advance(now);
    }

    /// Takes over what another node knows of the members: for a start in the middle of things with a clock in common.
    pub fn know_as(&mut self, other: &Self) {
        self.view = other.view.clone();
        self.watched = None;
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.due
    }

    fn next_due(&self) -> Option<(Instant, &'static str)> {
        let leads = self.may_plan();
        [
            (self.gate.due(), "write the state"),
            (self.claim_due(), "claim to lead"),
            (self.schedule.due().filter(|_| leads), "plan"),
            (self.view.suspect_due(self.now).filter(|_| leads), "plan without a suspect"),
            (self.has_standing().then(|| self.spread.due()), "compare with another"),
        ]
        .into_iter()
        .filter_map(|(due, why)| Some((due?, why)))
        .min()
    }

    /// What is to be done, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whom this node follows; perhaps itself.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader.map(|claim| claim.leader)
    }

    /// The highest term promised.
    pub fn term(&self) -> Term {
        self.gate.term()
    }

    /// The plan adopted.
    pub fn plan(&self) -> Option<&Arc<EpochPlan>> {
        self.gate.plan()
    }

    /// The members that it plans with where it leads, in order of ids: those alive that are not leaving, and those suspect for a short
    /// time; each with what this node observed of it in place of what it says of itself.
    pub fn plannable(&self) -> impl Iterator<Item = (NodeId, Capability)> {
        self.view.plannable(self.now)
    }

    /// What it asks of a plan where it leads, and with how many members at least.
    pub fn asks(&self) -> (&PlanOptions, usize) {
        (&self.config.plan, self.config.min_members)
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn on_view(&mut self, now: Instant, members: Vec<ViewMember>) {
        for member in &members {
            let is_news = self.view.of(member.id).is_none_or(|before| before.epoch != member.epoch);
            if let Some(epoch) = member.epoch.filter(|_| is_news) {
                self.note_term(now, member.id, epoch.term);
            }
        }
        self.view.update(self.me, members, now);
    }

    fn on_claim(&mut self, now: Instant, from: NodeId, claim: Claim) {
        if !self.note_term(now, from, claim.term) {
            return;
        }
        if claim.leader == self.me {
            return; // What we claim we know best; an older start's claim has done its part by raising the term.
        }
        self.claims.insert(claim);
        if let Some(followed) = self.leader.filter(|followed| *followed > claim) {
            self.counters.claims_stale += 1;
            self.send(from, Message::Claim(followed));
        }
    }

    fn on_plan(&mut self, now: Instant, from: NodeId, plan: Arc<EpochPlan>) {
        if !self.note_term(now, from, plan.epoch.term) {
            return;
        }
        if !plan.is_well_formed() {
            self.counters.plans_malformed += 1;
            return;
        }
        let epoch = plan.epoch;
        if self.gate.propose(plan) {
            self.outbid_at = now;
            return;
        }
        self.answer_stale(from, epoch);
    }

    fn answer_stale(&mut self, from: NodeId, epoch: Epoch) {
        self.counters.plans_stale += 1;
        if self.gate.plan().is_some_and(|own| own.epoch > epoch) {
            self.push_plan(from, Some(epoch));
        }
    }

    fn on_change(&mut self, now: Instant, from: NodeId, change: Arc<PlanChange>) {
        if !self.note_term(now, from, change.epoch.term) {
            return;
        }
        let (epoch, base) = (change.epoch, change.base);
        let greatest = self.gate.greatest_plan().map(|plan| plan.epoch);
        if greatest >= Some(epoch) {
            return self.answer_stale(from, epoch);
        }
        if greatest != Some(base) && !self.config.bugs.has(Bug::ChangeAnyPlan) {
            return self.ask(now, from, greatest);
        }
        match self.gate.propose_change(change) {
            Some(true) => self.outbid_at = now,
            Some(false) => self.answer_stale(from, epoch),
            // Whoever cannot apply it needs all of the plan. It is not the sender's fault.
            None => {
                self.counters.changes_refused += 1;
                self.ask(now, from, None);
            }
        }
    }

    fn ask(&mut self, now: Instant, peer: NodeId, have: Option<Epoch>) {
        if self.spread.may_ask(now) {
            self.send(peer, Message::Want { have });
        }
    }

    fn on_standing(&mut self, now: Instant, from: NodeId, claim: Option<Claim>, epoch: Option<Epoch>) {
        if let Some(claim) = claim {
            self.on_claim(now, from, claim);
        }
        if epoch.is_some_and(|epoch| !self.note_term(now, from, epoch.term)) {
            return;
        }
        let greatest = self.gate.greatest_plan().map(|plan| plan.epoch);
        if epoch > greatest {
            self.ask(now, from, greatest);
        } else if epoch < self.gate.plan().map(|plan| plan.epoch) {
            self.tell_standing(from);
        }
    }

    /// Takes note of another's term; false if it jumps too far.
    fn note_term(&mut self, now: Instant, from: NodeId, term: Term) -> bool {
        let highest = self.gate.highest_term();
        let limit = if highest == Term::default() { TERM_MAX } else { highest.0.saturating_add(TERM_JUMP_MAX) };
        if term.0 > limit.min(TERM_MAX) {
            self.counters.term_jumps_refused += 1;
            self.event(Event::TermJumpRefused { from, term, highest });
            return false;
        }
        if term > highest {
            self.gate.raise(term);
            self.outbid_at = now;
        }
        true
    }

    fn has_standing(&self) -> bool {
        self.leader.is_some() || self.gate.plan().is_some()
    }

    fn tell_standing(&mut self, peer: NodeId) {
        if self.has_standing() {
            let epoch = self.gate.plan().map(|plan| plan.epoch);
            self.send(peer, Message::Standing { claim: self.leader, epoch });
        }
    }

    fn on_bundle(&mut self, now: Instant, digest: Digest, manifest: Arc<Manifest>) {
        if self.bundle.is_some() && self.config.bugs.has(Bug::KeepFirstBundle) {
            return;
        }
        if self.bundle.as_ref().is_none_or(|(known, _)| *known != digest) {
            self.bundle = Some((digest, manifest));
            self.schedule.at_once(now);
        }
    }

    fn on_persisted(&mut self) {
        if let Some(plan) = self.gate.written() {
            let before = self.gate.step().map(|step| step.base);
            for to in spread::branches(&self.view, self.me, plan.epoch.leader) {
                self.push_plan(to, before);
            }
            self.outputs.push_back(Output::Adopted(plan));
        }
        self.stand();
    }

    /// Our claim counts as soon as its term is on disk.
    fn stand(&mut self) {
        if let Some(claim) = self.pending.take_if(|claim| claim.term <= self.gate.term()) {
            self.claims.insert(claim);
        }
    }

    fn on_persist_failed(&mut self, now: Instant, reason: String) {
        self.gate.failed(now);
        self.unused = self.pending.take().map(|claim| claim.term).or(self.unused);
        self.counters.persist_failures += 1;
        self.event(Event::PersistFailed { reason });
    }

    fn on_clash(&mut self, now: Instant, member: NodeId) {
        self.view.bar(member, now);
        self.claims.remove(member);
        self.pending.take_if(|_| member == self.me);
        self.event(Event::Barred { member });
    }

    /// Does what is due; each step leaves nothing due behind.
    fn advance(&mut self, now: Instant) {
        self.now = now;
        self.follow(now);
        self.claim(now);
        self.plan_anew(now);
        self.tell(now);
        if let Some(promise) = self.gate.poll(now) {
            self.outputs.push_back(Output::Persist(promise));
            if self.config.bugs.has(Bug::AdoptUnwritten) {
                self.on_persisted();
            }
        }
        self.due = self.next_due();
    }

    fn follow(&mut self, now: Instant) {
        let leader = self.claims.greatest(self.gate.term(), |claim| self.view.follows(claim));
        if leader == self.leader || (self.leads() && self.config.bugs.has(Bug::NeverYield)) {
            return;
        }
        self.leader = leader;
        self.leader_since = now;
        self.event(Event::Leader { claim: leader });
        let Some(claim) = leader else { return };
        if claim.leader == self.me {
            self.schedule.at_once(now);
        }
        for to in spread::followers(&self.view, self.me, claim.leader) {
            self.send(to, Message::Claim(claim));
        }
    }

    fn leads(&self) -> bool {
        self.leader() == Some(self.me)
    }

    /// Whether a greater term or plan is about than our claim could make.
    fn is_outbid(&self, claim: &Claim) -> bool {
        let plan = self.gate.greatest_plan().map(|p| (p.epoch.term, p.epoch.leader));
        self.gate.highest_term() > claim.term || plan > Some((claim.term, claim.leader))
    }

    fn may_plan(&self) -> bool {
        self.bundle.is_some() && self.leader.is_some_and(|claim| claim.leader == self.me && !self.is_outbid(&claim))
    }

    fn claim_due(&self) -> Option<Instant> {
        if self.pending.is_some() {
            return None;
        }
        let hold_off = self.config.hold_off;
        let stable = self.view.stable_since().max(self.leader_since) + hold_off;
        let due = match self.leader {
            Some(claim) if claim.leader == self.me => {
                let may = !self.config.bugs.has(Bug::NeverClaimAgain);
                (may && self.is_outbid(&claim)).then(|| stable.max(self.outbid_at + hold_off))
            }
            Some(claim) => {
                let outranked = self.view.of(claim.leader)?.priority < self.view.of(self.me)?.priority;
                (self.view.is_best(self.me) && outranked).then_some(stable)
            }
            // Somebody leads, and we shall follow as soon as our disk takes the term.
            None if self.claims.greatest(self.gate.highest_term(), |c| self.view.follows(c)).is_some() => None,
            None if self.view.is_best(self.me) => {
                let best_since = self.view.best_since().max(self.leader_since);
                Some(stable.min(best_since + hold_off * HOLD_OFFS_MAX))
            }
            None => Some(stable + PATIENCE * self.view.place(self.me)?),
        };
        due.map(|due| due.max(self.gate.open_at()))
    }

    fn claim(&mut self, now: Instant) {
        if self.claim_due().is_none_or(|due| due > now) {
            return;
        }
        let Some(generation) = self.view.of(self.me).map(|m| m.generation) else { return };
        let highest = self.gate.highest_term();
        let next = Term(highest.0.saturating_add(1));
        let term = self.unused.take().filter(|unused| *unused == highest).unwrap_or(next);
        self.gate.raise(term);
        self.pending = Some(Claim { term, leader: self.me, generation });
        self.counters.claims_made += 1;
        // A term that was not used may be on disk by now: then no write will come to confirm it.
        self.stand();
        self.follow(now);
    }

    fn plan_anew(&mut self, now: Instant) {
        if !self.may_plan() {
            return;
        }
        let revision = self.view.revision(now);
        if self.watched.replace(revision) != Some(revision) {
            self.schedule.watch(now, self.view.plannable(now));
        }
        if self.schedule.due().is_none_or(|due| due > now) {
            return;
        }
        let (Some((bundle, manifest)), Some(claim)) = (self.bundle.clone(), self.leader) else { return };
        let drafted = self.draft(bundle, &manifest);
        let is_news = self.schedule.is_news(drafted.as_ref().map(drop).map_err(String::as_str));
        match drafted {
            Ok(draft) => self.propose(claim, bundle, draft),
            Err(reason) if is_news => self.event(Event::NotPlanned { reason }),
            Err(_) => {}
        }
    }

    fn draft(&mut self, bundle: Digest, manifest: &Manifest) -> Result<Draft, String> {
        let members = self.schedule.take();
        let (count, min) = (members.len(), self.config.min_members);
        if count < min {
            return Err(format!("{count} members are alive; with fewer than {min} (min_members) nothing is planned"));
        }
        let incumbent = self.gate.greatest_plan().map(|p| &**p).filter(|p| p.bundle == bundle);
        Draft::make(members, manifest, &self.config, incumbent)
    }

    /// Announces a draft, if it says anything new.
    fn propose(&mut self, claim: Claim, bundle: Digest, draft: Draft) {
        let greatest = self.gate.greatest_plan().map(|p| &**p);
        let ours = greatest.filter(|p| (p.epoch.term, p.epoch.leader) == (claim.term, self.me));
        if ours.is_some_and(|p| p.bundle == bundle && draft.says_the_same_as(p)) {
            return;
        }
        let step = u64::from(ours.is_none() || !self.config.bugs.has(Bug::AcceptEqualEpoch));
        let sequence = ours.map_or(0, |p| p.epoch.sequence).saturating_add(step);
        let epoch = Epoch { term: claim.term, leader: self.me, sequence };
        let moved = draft.moved_from(greatest);
        let Draft { groups, feasible, reasons } = draft;
        self.gate.propose(Arc::new(EpochPlan { epoch, bundle, groups, feasible }));
        self.counters.plans_made += 1;
        self.event(Event::Planned { epoch, moved, reasons });
    }

    /// Compares with one member after the other.
    fn tell(&mut self, now: Instant) {
        if self.has_standing() && self.spread.due() <= now {
            for to in self.spread.next(&self.view, self.me, self.leads(), now) {
                self.tell_standing(to);
            }
        }
    }

    /// Sends the plan adopted: what it changes to whoever has the one before, else all of it.
    fn push_plan(&mut self, to: NodeId, have: Option<Epoch>) {
        if let Some(step) = self.gate.step().filter(|step| Some(step.base) == have) {
            self.send(to, Message::Change(Arc::clone(step)));
        } else if let Some(plan) = self.gate.plan().cloned() {
            self.send(to, Message::Plan(plan));
        }
    }

    fn send(&mut self, to: NodeId, message: Message) {
        self.outputs.push_back(Output::Send { to, message });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
