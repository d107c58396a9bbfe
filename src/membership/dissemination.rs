//! News that ride on messages until they have been told often enough.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::message::{Claim, Update};
use crate::id::NodeId;

/// Updates waiting to be told. When it is full the one told most often is dropped and counted: the comparison of
/// views repairs what is lost.
pub(super) const QUEUE_MAX: usize = 1024;
/// Bytes of updates on one probe or gossip message: with the header it fits one Ethernet frame, as memberlist's 1400.
/// A single update with a large record may exceed it.
pub(super) const PIGGYBACK_BYTES_MAX: usize = 1200;
/// Updates on one probe or gossip message. Ours: more would not fit anyway.
const PIGGYBACK_COUNT_MAX: usize = 16;

/// Updates looked at for one message: those that do not fit go with the next. Ours.
const LOOKED_AT_MAX: usize = 2 * PIGGYBACK_COUNT_MAX;

/// A record that another tells us counts as told so many times: after rumour mongering with feedback (Demers et al.). Ours.
const HEARD_COUNTS: u32 = 2;

/// What an update is about: the newer of the same subject replaces the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// What the member says of itself.
    Own(NodeId),
    /// What an accuser (the second) says of the member.
    Accusation(NodeId, NodeId),
}

#[derive(Debug, Clone)]
struct Queued {
    update: Update,
    told: u32,
    number: u64,
}

/// The queue of news.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    queued: BTreeMap<Subject, Queued>,
    /// Those told least first, then the newest.
    order: BTreeSet<(u32, Reverse<u64>, Subject)>,
    number: u64,
}

impl Queue {
    /// Nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// News that wait.
    pub(super) fn len(&self) -> usize {
        self.queued.len()
    }

    /// Forgets everything: there is nobody to tell.
    pub(super) fn clear(&mut self) {
        self.queued.clear();
        self.order.clear();
    }

    /// Takes in news. What the member says of itself ends the telling of accusations. Returns how many were dropped.
    pub(super) fn push(&mut self, mut update: Update) -> u64 {
        let member = update.member;
        let subject = match &mut update.claim {
            Claim::Alive { stamp, record } => {
                self.drop_accusations(member);
                let older = self.remove(Subject::Own(member)).map(|q| q.update.claim);
                if let (None, Some(Claim::Alive { stamp: older, record: Some(kept) })) = (&record, older)
                    && older.start == stamp.start
                    && older.version == stamp.version
                {
                    *record = Some(kept);
                }
                Subject::Own(member)
            }
            Claim::Left { .. } => {
                self.drop_accusations(member);
                Subject::Own(member)
            }
            Claim::Suspect { by, .. } | Claim::Down { by, .. } => Subject::Accusation(member, *by),
        };
        self.number += 1;
        self.remove(subject);
        self.insert(subject, Queued { update, told: 0, number: self.number });
        self.make_room()
    }

    /// The news for one message, those told least first, then the newest. Each is forgotten after `told_max` times.
    pub(super) fn take(&mut self, told_max: u32, bytes: usize) -> Vec<Update> {
        if bytes == 0 {
            return Vec::new();
        }
        let mut left = bytes;
        let mut chosen = Vec::new();
        for (.., subject) in self.order.iter().take(LOOKED_AT_MAX) {
            let Some(size) = self.queued.get(subject).map(|queued| queued.update.bytes_max()) else { continue };
            if size <= left || (chosen.is_empty() && bytes == PIGGYBACK_BYTES_MAX) {
                left = left.saturating_sub(size);
                chosen.push(*subject);
            }
            if chosen.len() == PIGGYBACK_COUNT_MAX {
                break;
            }
        }
        let taken = chosen.into_iter().filter_map(|subject| {
            let queued = self.remove(subject)?;
            let told = queued.told + 1;
            let update = queued.update.clone();
            if told < told_max {
                self.insert(subject, Queued { told, ..queued });
            }
            Some(update)
        });
        taken.collect()
    }

    /// Another tells what we tell: the more often, the fewer still have to hear it.
    pub(super) fn heard(&mut self, update: &Update, told_max: u32) {
        let Claim::Alive { stamp, record: Some(_) } = &update.claim else { return };
        let subject = Subject::Own(update.member);
        let same = self
            .queued
            .get(&subject)
            .is_some_and(|queued| matches!(&queued.update.claim, Claim::Alive { stamp: ours, .. } if ours == stamp));
        if let Some(queued) = same.then(|| self.remove(subject)).flatten() {
            let told = queued.told.saturating_add(HEARD_COUNTS);
            if told < told_max {
                self.insert(subject, Queued { told, ..queued });
            }
        }
    }

    fn insert(&mut self, subject: Subject, queued: Queued) {
        self.order.insert((queued.told, Reverse(queued.number), subject));
        self.queued.insert(subject, queued);
    }

    fn remove(&mut self, subject: Subject) -> Option<Queued> {
        let queued = self.queued.remove(&subject)?;
        self.order.remove(&(queued.told, Reverse(queued.number), subject));
        Some(queued)
    }

    fn drop_accusations(&mut self, member: NodeId) {
        let range = Subject::Accusation(member, NodeId([0; 32]))..=Subject::Accusation(member, NodeId([255; 32]));
        let subjects: Vec<_> = self.queued.range(range).map(|(s, _)| *s).collect();
        for subject in subjects {
            self.remove(subject);
        }
    }

    fn make_room(&mut self) -> u64 {
        if self.queued.len() <= QUEUE_MAX {
            return 0;
        }
        let most_told = self.order.last().map(|(.., subject)| *subject);
        most_told.map_or(0, |subject| u64::from(self.remove(subject).is_some()))
    }
}

/// How often each update is told, after memberlist: `mult` · ⌈log10(size + 1)⌉.
pub(super) fn told_max(mult: u32, size: usize) -> u32 {
    mult * (size.max(1)).ilog10().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::{Generation, Incarnation};
    use crate::membership::message::{Stamp, Start};

    fn id(b: u8) -> NodeId {
        NodeId([b; 32])
    }

    fn suspect(member: u8, by: u8) -> Update {
        let (generation, incarnation) = (Generation(1), Incarnation(0));
        Update { member: id(member), claim: Claim::Suspect { generation, incarnation, by: id(by) } }
    }

    fn left(member: u8) -> Update {
        Update { member: id(member), claim: Claim::Left { generation: Generation(1) } }
    }

    #[test]
    fn told_max_is_the_digits_of_the_size_times_the_multiplier() {
        for (size, expected) in [(0, 4), (1, 4), (9, 4), (10, 8), (32, 8), (99, 8), (100, 12)] {
            assert_eq!(told_max(4, size), expected, "{size}");
        }
    }

    #[test]
    fn each_update_is_told_so_often_and_no_more() {
        let mut queue = Queue::default();
        queue.push(suspect(1, 2));
        for _ in 0..3 {
            assert_eq!(queue.take(3, PIGGYBACK_BYTES_MAX), [suspect(1, 2)]);
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn a_record_that_others_tell_as_well_is_told_less_often() {
        let stamp =
            Stamp { start: Start { generation: Generation(1), nonce: 1 }, incarnation: Incarnation(0), version: 1 };
        let record = Some(Arc::new(crate::membership::tests::cluster::record(1)));
        let update = Update { member: id(1), claim: Claim::Alive { stamp, record } };
        let mut queue = Queue::default();
        queue.push(update.clone());
        queue.heard(&update, 4);
        assert_eq!(queue.take(4, PIGGYBACK_BYTES_MAX), std::slice::from_ref(&update));
        queue.heard(&update, 4);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_told_least_goes_first() {
        let mut queue = Queue::default();
        queue.push(suspect(1, 2));
        queue.take(9, PIGGYBACK_BYTES_MAX);
        queue.push(suspect(3, 4));
        assert_eq!(queue.take(9, 90), [suspect(3, 4)]);
    }

    #[test]
    fn what_a_member_says_of_itself_ends_the_telling_of_accusations() {
        let mut queue = Queue::default();
        queue.push(suspect(1, 2));
        queue.push(suspect(1, 3));
        queue.push(suspect(2, 3));
        queue.push(left(1));
        let told = queue.take(1, PIGGYBACK_BYTES_MAX);
        assert_eq!(told, [left(1), suspect(2, 3)]);
    }

    #[test]
    fn a_full_queue_drops_what_was_told_most() {
        let mut queue = Queue::default();
        queue.push(suspect(1, 2));
        queue.take(9, PIGGYBACK_BYTES_MAX);
        let many = u16::try_from(QUEUE_MAX).unwrap();
        let dropped: u64 = (0..many)
            .map(|i| {
                let mut by = [9; 32];
                by[..2].copy_from_slice(&i.to_be_bytes());
                let (generation, incarnation) = (Generation(1), Incarnation(0));
                let claim = Claim::Suspect { generation, incarnation, by: NodeId(by) };
                queue.push(Update { member: id(7), claim })
            })
            .sum();
        assert_eq!(dropped, 1);
        assert_eq!(queue.queued.len(), QUEUE_MAX);
        assert!(!queue.queued.values().any(|q| q.update == suspect(1, 2)));
    }
}
