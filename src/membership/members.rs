//! The members in order of ids, and beside them all that would else take a look at each: how many are up, whose time comes
//! first, who stands where in the ring, the hash of the view. What one message costs does not grow with the fleet.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::member::{Member, State};
use super::message::Stamp;
use crate::id::NodeId;
use crate::time::Instant;

/// The members, and what is known of them together.
/// A clone shares each of them until either side changes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    /// In order of ids.
    all: Vec<Arc<Member>>,
    suspects: BTreeSet<NodeId>,
    down: BTreeSet<NodeId>,
    down_since: BTreeSet<(Instant, NodeId)>,
    retries: BTreeSet<(Instant, NodeId)>,
    dials: BTreeSet<(Instant, NodeId)>,
    view: u64,
    /// Who was or became suspect, or changed while it was, since it was asked last.
    doubted: BTreeSet<NodeId>,
}

/// What the sets above are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keys {
    stamp: Stamp,
    state: State,
    since: Instant,
    retry_at: Option<Instant>,
    dial_at: Option<Instant>,
}

impl Keys {
    fn of(member: &Member) -> Self {
        Self {
            stamp: member.stamp,
            state: member.state,
            since: member.since,
            retry_at: member.retry_at,
            dial_at: member.wants_dial().then_some(member.dial_at),
        }
    }

    fn is_up(&self) -> bool {
        self.state != State::Down
    }
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn get(&self, id: &NodeId) -> Option<&Member> {
        self.place(id).ok().map(|at| &*self.all[at])
    }

    pub(super) fn contains_key(&self, id: &NodeId) -> bool {
        self.place(id).is_ok()
    }

    /// The member, to be changed: whatever is changed, the sets follow when the guard goes.
    pub(super) fn get_mut(&mut self, id: &NodeId) -> Option<Edit<'_>> {
        let at = self.place(id).ok()?;
        let before = Keys::of(&self.all[at]);
        Some(Edit { members: self, at, before })
    }

    /// Takes in a new member, or another start of a known one.
    pub(super) fn insert(&mut self, member: Member) {
        let (id, after) = (member.id, Keys::of(&member));
        let before = match self.place(&id) {
            Ok(at) => {
                let before = std::mem::replace(&mut self.all[at], Arc::new(member));
                Some(Keys::of(&before))
            }
            Err(at) => {
                self.all.insert(at, Arc::new(member));
                None
            }
        };
        self.index(id, before, Some(after));
    }

    pub(super) fn remove(&mut self, id: &NodeId) -> Option<Arc<Member>> {
        let at = self.place(id).ok()?;
        let member = self.all.remove(at);
        self.index(*id, Some(Keys::of(&member)), None);
        Some(member)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Member> {
        self.all.iter().map(|member| &**member)
    }

    /// Those from `first` to `last`.
    pub(super) fn range(&self, first: NodeId, last: NodeId) -> impl Iterator<Item = &Member> {
        let from = self.all.partition_point(|member| member.id < first);
        self.all[from..].iter().take_while(move |member| member.id <= last).map(|member| &**member)
    }

    /// The one at this place, in order of ids.
    pub(super) fn at(&self, place: usize) -> Option<&Member> {
        self.all.get(place).map(|member| &**member)
    }

    /// Held alive or suspect.
    pub(super) fn up(&self) -> usize {
        self.all.len() - self.down.len()
    }

    pub(super) fn alive(&self) -> usize {
        self.up() - self.suspects.len()
    }

    pub(super) fn suspects(&self) -> &BTreeSet<NodeId> {
        &self.suspects
    }

    pub(super) fn down(&self) -> &BTreeSet<NodeId> {
        &self.down
    }

    /// Held down, the longest first.
    pub(super) fn down_since(&self) -> &BTreeSet<(Instant, NodeId)> {
        &self.down_since
    }

    /// To be probed again, the first first.
    pub(super) fn retries(&self) -> &BTreeSet<(Instant, NodeId)> {
        &self.retries
    }

    /// To be dialled, the first first.
    pub(super) fn dials(&self) -> &BTreeSet<(Instant, NodeId)> {
        &self.dials
    }

    /// The stamps of all who are up, hashed; no order in it.
    pub(super) fn view(&self) -> u64 {
        self.view
    }

    /// All suspicions are to be reckoned anew.
    pub(super) fn doubt_all(&mut self) {
        self.doubted.clone_from(&self.suspects);
    }

    /// Whose suspicion may end at another time than when this was asked last.
    pub(super) fn take_doubted(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.doubted)
    }

    /// How many who are up come before this id.
    pub(super) fn rank(&self, id: NodeId) -> usize {
        self.all.partition_point(|other| other.id < id) - self.down.range(..id).count()
    }

    /// The `rank`th of those who are up.
    pub(super) fn ranked(&self, rank: usize) -> Option<NodeId> {
        let place = self.down.iter().fold(rank, |place, id| match self.place(id) {
            Ok(at) if at <= place => place + 1,
            _ => place,
        });
        self.all.get(place).map(|member| member.id)
    }

    fn place(&self, id: &NodeId) -> Result<usize, usize> {
        self.all.binary_search_by(|other| other.id.cmp(id))
    }

    fn index(&mut self, id: NodeId, before: Option<Keys>, after: Option<Keys>) {
        if [before, after].iter().flatten().any(|keys| keys.state == State::Suspect) {
            self.doubted.insert(id);
        }
        if before == after {
            return;
        }
        let stamp = |keys: Option<Keys>| keys.filter(Keys::is_up).map(|keys| keys.stamp);
        if stamp(before) != stamp(after) {
            let prints = [stamp(before), stamp(after)].into_iter().flatten().map(|stamp| fingerprint(id, stamp));
            self.view = prints.fold(self.view, |sum, print| sum ^ print);
        }
        let state = |keys: Option<Keys>, state| keys.is_some_and(|keys| keys.state == state).then_some(id);
        change(&mut self.suspects, state(before, State::Suspect), state(after, State::Suspect));
        change(&mut self.down, state(before, State::Down), state(after, State::Down));
        let timed = |at: Option<Instant>| at.map(|at| (at, id));
        let since = |keys: Option<Keys>| timed(keys.filter(|keys| !keys.is_up()).map(|keys| keys.since));
        change(&mut self.down_since, since(before), since(after));
        let retry = |keys: Option<Keys>| timed(keys.and_then(|keys| keys.retry_at));
        change(&mut self.retries, retry(before), retry(after));
        let dial = |keys: Option<Keys>| timed(keys.and_then(|keys| keys.dial_at));
        change(&mut self.dials, dial(before), dial(after));
    }
}

fn change<T: Ord>(set: &mut BTreeSet<T>, before: Option<T>, after: Option<T>) {
    if before != after {
        before.map(|before| set.remove(&before));
        after.map(|after| set.insert(after));
    }
}

/// A member that is being changed.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    members: &'a mut Members,
    at: usize,
    before: Keys,
}

impl Deref for Edit<'_> {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.members.all[self.at]
    }
}

impl DerefMut for Edit<'_> {
    fn deref_mut(&mut self) -> &mut Member {
        Arc::make_mut(&mut self.members.all[self.at])
    }
}

impl Drop for Edit<'_> {
    fn drop(&mut self) {
        let (id, after) = (self.id, Keys::of(self));
        self.members.index(id, Some(self.before), Some(after));
    }
}

/// FNV-1a over the id and the stamp, finished as splitmix64 does so that sums of few bits do not cancel.
pub(super) fn fingerprint(id: NodeId, stamp: Stamp) -> u64 {
    let Stamp { start, incarnation, version } = stamp;
    let numbers = [start.generation.0, start.nonce, u64::from(incarnation.0), u64::from(version)];
    let bytes = id.0.into_iter().chain(numbers.into_iter().flat_map(u64::to_le_bytes));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand_chacha::ChaCha8Rng;
    use rand_core::{RngCore as _, SeedableRng as _};

    use super::*;
    use crate::id::{Generation, Incarnation};
    use crate::membership::message::Start;
    use crate::membership::tests::cluster::{id, ms, record};

    fn member(n: usize) -> Member {
        let start = Start { generation: Generation(1), nonce: 7 };
        let stamp = Stamp { start, incarnation: Incarnation(0), version: 1 };
        Member::new(id(n), stamp, Arc::new(record(n)), n.is_multiple_of(2), Instant::ZERO)
    }

    /// What a look at every member gives.
    fn looked_at(members: &Members) -> (usize, usize, u64, Vec<(Instant, NodeId)>, Vec<NodeId>) {
        let up: Vec<_> = members.values().filter(|m| m.is_up()).collect();
        let alive = up.iter().filter(|m| m.is_alive()).count();
        let view = up.iter().fold(0, |sum, m| sum ^ fingerprint(m.id, m.stamp));
        let mut dials: Vec<_> = up.iter().filter(|m| m.wants_dial()).map(|m| (m.dial_at, m.id)).collect();
        dials.sort_unstable();
        (up.len(), alive, view, dials, up.iter().map(|m| m.id).collect())
    }

    #[test]
    fn what_is_kept_of_all_is_what_a_look_at_each_gives() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let mut members = Members::default();
        for step in 0..2_000_u64 {
            let n = usize::try_from(rng.next_u64() % 40).unwrap();
            match rng.next_u64() % 8 {
                0 => drop(members.remove(&id(n))),
                1 | 2 => members.insert(member(n)),
                change => {
                    let Some(mut member) = members.get_mut(&id(n)) else { continue };
                    match change {
                        3 => member.enter(State::Suspect, Instant::ZERO + ms(step)),
                        4 => member.enter(State::Down, Instant::ZERO + ms(step)),
                        5 => member.enter(State::Alive, Instant::ZERO + ms(step)),
                        6 => member.stamp.version += 1,
                        _ => (member.linked, member.dial_at) = (!member.linked, Instant::ZERO + ms(step)),
                    }
                }
            }
            let (up, alive, view, dials, ring) = looked_at(&members);
            assert_eq!((members.up(), members.alive(), members.view()), (up, alive, view));
            assert_eq!(members.dials().iter().copied().collect::<Vec<_>>(), dials);
            let ranked: Vec<_> = (0..up).filter_map(|rank| members.ranked(rank)).collect();
            assert_eq!(ranked, ring);
            assert_eq!(members.rank(id(n)), ring.partition_point(|other| *other < id(n)));
        }
    }
}
