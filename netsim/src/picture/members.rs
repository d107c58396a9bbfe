//! What each member was like, over time.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::{Fact, HostId};

/// What one can see of a host from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    Up,
    Still,
    CutOff,
    Gone,
}

impl Condition {
    pub(super) const ALL: [Self; 4] = [Self::Up, Self::Still, Self::CutOff, Self::Gone];
}

#[derive(Debug, Clone, Default)]
struct Host {
    running: bool,
    still: bool,
    link_down: bool,
    /// Changes, each from then on.
    track: Vec<(f64, Condition)>,
}

/// Every host's changes.
#[derive(Debug, Default)]
pub(super) struct Members {
    hosts: BTreeMap<HostId, Host>,
    sides: Vec<u32>,
    cuts: BTreeSet<(HostId, HostId)>,
    running: usize,
}

impl Members {
    pub(super) fn observe(&mut self, at_s: f64, fact: &Fact) {
        match fact {
            Fact::Started { host, .. } => self.change(at_s, *host, |h| (h.running, h.still) = (true, false)),
            Fact::Stopped { host, .. } => self.change(at_s, *host, |h| (h.running, h.still) = (false, false)),
            Fact::Paused { host } => self.change(at_s, *host, |h| h.still = true),
            Fact::Resumed { host } => self.change(at_s, *host, |h| h.still = false),
            Fact::Link { host, up } => self.change(at_s, *host, |h| h.link_down = !up),
            Fact::Sides { sides } if self.sides != *sides => {
                self.sides.clone_from(sides);
                let hosts: Vec<_> = self.hosts.keys().copied().collect();
                hosts.into_iter().for_each(|host| self.change(at_s, host, |_| ()));
            }
            Fact::Cut { from, to } => {
                self.cuts.insert((*from, *to));
                [*from, *to].into_iter().for_each(|host| self.change(at_s, host, |_| ()));
            }
            Fact::Mended { from, to } => {
                self.cuts.remove(&(*from, *to));
                [*from, *to].into_iter().for_each(|host| self.change(at_s, host, |_| ()));
            }
            _ => {}
        }
    }

    fn change(&mut self, at_s: f64, host: HostId, change: impl FnOnce(&mut Host)) {
        let apart = self.is_apart(host);
        let h = self.hosts.entry(host).or_default();
        let before = h.running;
        change(h);
        let condition = match (h.running, h.still, h.link_down || apart) {
            (false, _, _) => Condition::Gone,
            (true, true, _) => Condition::Still,
            (true, false, true) => Condition::CutOff,
            (true, false, false) => Condition::Up,
        };
        if h.track.last().map(|(_, last)| *last) != Some(condition) {
            h.track.push((at_s, condition));
        }
        self.running = self.running + usize::from(h.running) - usize::from(before);
    }

    /// Whether it is on a side that is not the largest, or cut from or to most of the others.
    fn is_apart(&self, host: HostId) -> bool {
        let side_of = |host: HostId| usize::try_from(host.0).ok().and_then(|i| self.sides.get(i)).copied().unwrap_or(0);
        let mut sizes = BTreeMap::<u32, usize>::new();
        self.sides.iter().for_each(|side| *sizes.entry(*side).or_default() += 1);
        let largest = sizes.iter().max_by_key(|(side, size)| (**size, u32::MAX - **side)).map(|(side, _)| *side);
        let others: BTreeSet<_> = self
            .cuts
            .iter()
            .filter_map(|(from, to)| if *from == host { Some(*to) } else { (*to == host).then_some(*from) })
            .collect();
        largest.is_some_and(|largest| side_of(host) != largest) || others.len() * 2 > self.hosts.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Each host's spans: from, to, what it was like.
    pub(super) fn spans(&self, end_s: f64) -> impl Iterator<Item = (HostId, Vec<(f64, f64, Condition)>)> {
        self.hosts.iter().map(move |(host, h)| {
            let ends = h.track.iter().skip(1).map(|(at, _)| *at).chain([end_s]);
            (*host, h.track.iter().zip(ends).map(|((from, condition), to)| (*from, to, *condition)).collect())
        })
    }

    /// How many hosts were in each condition at these times, which rise.
    pub(super) fn counts(&self, times: &[f64]) -> Vec<[usize; 4]> {
        let mut counts = vec![[0; 4]; times.len()];
        for (_, spans) in self.spans(f64::INFINITY) {
            for (from, to, condition) in spans {
                let first = times.partition_point(|t| *t < from);
                let last = times.partition_point(|t| *t < to);
                counts[first..last].iter_mut().for_each(|count| count[condition as usize] += 1);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Kept;

    #[test]
    fn what_happens_to_a_host_is_seen_in_its_spans_and_in_the_counts() {
        let mut members = Members::default();
        let host = HostId(0);
        for id in 0..3 {
            let node = rocoin::id::NodeId([id; 32]);
            let generation = rocoin::id::Generation(1);
            let host = HostId(u32::from(id));
            members
                .observe(0.0, &Fact::Started { host, node, generation, memory_bytes: 1, disk_bytes: 1, wanted: None });
        }
        members.observe(1.0, &Fact::Paused { host });
        members.observe(2.0, &Fact::Resumed { host });
        members.observe(3.0, &Fact::Sides { sides: vec![1, 0, 0] });
        members.observe(4.0, &Fact::Sides { sides: vec![0, 0, 0] });
        members.observe(5.0, &Fact::Stopped { host, left: false, disk: Kept::All });
        let (_, spans) = members.spans(6.0).next().unwrap();
        use Condition::{CutOff, Gone, Still, Up};
        let expected =
            [(0.0, 1.0, Up), (1.0, 2.0, Still), (2.0, 3.0, Up), (3.0, 4.0, CutOff), (4.0, 5.0, Up), (5.0, 6.0, Gone)];
        assert_eq!(spans, expected);
        assert_eq!(members.counts(&[0.5, 1.5, 3.5, 5.5]), [[3, 0, 0, 0], [2, 1, 0, 0], [2, 0, 1, 0], [2, 0, 0, 1]]);
        assert_eq!(members.running(), 2);
    }
}
