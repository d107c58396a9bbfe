//! Anti-entropy: plans and claims reach everybody whom anybody has a link to, though messages are lost.

use std::collections::BTreeMap;

use super::view::View;
use crate::id::{Epoch, NodeId};
use crate::time::{Duration, Instant};

/// Between the first two pushes of one plan to one member; doubled each time. Ours: a record tells of an adoption
/// within about a second, and a second push of a plan that has arrived is wasted.
const PUSH_AGAIN: Duration = Duration::from_millis(1500);
/// How often that is doubled: a member that cannot adopt (its disk is full, say) is pushed to every 48 s.
const DOUBLINGS_MAX: u32 = 5;
/// Between two reminders of the leader's claim. Ours.
const REMIND_EVERY: Duration = Duration::from_secs(1);
/// Members reminded each time, in turn: traffic stays flat in the fleet's size. Ours.
const REMIND_FANOUT: usize = 2;

/// The last push to one member.
#[derive(Debug, Clone, Copy)]
struct Pushed {
    epoch: Epoch,
    at: Instant,
    /// Pushes of this epoch before.
    before: u32,
}

/// What was pushed to whom, and who is reminded next.
#[derive(Debug)]
pub(super) struct Spread {
    pushed: BTreeMap<NodeId, Pushed>,
    reminded: Option<NodeId>,
    remind_at: Instant,
}

impl Spread {
    pub(super) fn new(now: Instant) -> Self {
        Self { pushed: BTreeMap::new(), reminded: None, remind_at: now + REMIND_EVERY }
    }

    /// Notes that `to` was, or need not be, told of `epoch`.
    pub(super) fn note(&mut self, to: NodeId, epoch: Epoch, now: Instant) {
        let same = self.pushed.get(&to).filter(|pushed| pushed.epoch == epoch);
        let before = same.map_or(0, |pushed| pushed.before.saturating_add(1));
        self.pushed.insert(to, Pushed { epoch, at: now, before });
    }

    /// Notes that this node has adopted `epoch` from elsewhere: the one who spread it gets some time to reach the rest.
    pub(super) fn wait(&mut self, view: &View, me: NodeId, epoch: Epoch, now: Instant) {
        for member in view.reachable(me) {
            self.note(member.id, epoch, now);
        }
    }

    /// When to push to a member next: it lags behind `epoch` by its own record.
    pub(super) fn due(&self, view: &View, me: NodeId, epoch: Epoch) -> Option<Instant> {
        view.reachable(me).filter_map(|m| self.due_to(m.id, m.epoch, epoch)).min()
    }

    /// Whom to push `epoch` to now. Forgets who is gone.
    pub(super) fn lagging(&mut self, view: &View, me: NodeId, epoch: Epoch, now: Instant) -> Vec<NodeId> {
        self.pushed.retain(|id, _| view.of(*id).is_some());
        let due = |to, theirs| self.due_to(to, theirs, epoch).is_some_and(|due| due <= now);
        let lagging: Vec<_> = view.reachable(me).filter(|m| due(m.id, m.epoch)).map(|m| m.id).collect();
        lagging.iter().for_each(|to| self.note(*to, epoch, now));
        lagging
    }

    fn due_to(&self, to: NodeId, theirs: Option<Epoch>, epoch: Epoch) -> Option<Instant> {
        if theirs >= Some(epoch) {
            return None;
        }
        let pushed = self.pushed.get(&to).filter(|pushed| pushed.epoch == epoch);
        Some(pushed.map_or(Instant::ZERO, |p| p.at + PUSH_AGAIN * (1 << p.before.min(DOUBLINGS_MAX))))
    }

    pub(super) fn remind_due(&self) -> Instant {
        self.remind_at
    }

    /// Whom to remind of the claim now: the next few in order of ids.
    pub(super) fn remind(&mut self, view: &View, me: NodeId, now: Instant) -> Vec<NodeId> {
        self.remind_at = now + REMIND_EVERY;
        let after = self.reminded;
        let later = view.reachable(me).filter(|m| Some(m.id) > after);
        let earlier = view.reachable(me).filter(|m| Some(m.id) <= after);
        let next: Vec<_> = later.chain(earlier).take(REMIND_FANOUT).map(|m| m.id).collect();
        self.reminded = next.last().copied();
        next
    }
}
