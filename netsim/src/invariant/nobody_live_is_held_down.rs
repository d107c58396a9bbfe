//! No live, reachable, responsive member is held down or suspect, unroutable, unknown, or taken for an earlier start of itself, for longer
//! than a bound.

use std::collections::BTreeMap;

use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin::time::{Duration, Instant};

use super::Invariant;
use crate::fact::{Entry, Fact, HostId, Seen};
use crate::physics::{Body, Physics};

/// Members held down are called every 2 s, three of them at a time; a broken link is dialled again within 5 s; and a message may
/// be lost once. Ours.
const BOUND: Duration = Duration::from_secs(20);

/// No live, reachable, responsive member is held down, or the like, for longer than a bound.
#[derive(Debug, Default)]
pub(super) struct NobodyLiveIsHeldDown {
    /// Since when each node has not seen a running one alive, in its present start, and routable.
    wrong: BTreeMap<(HostId, NodeId), Instant>,
}

impl NobodyLiveIsHeldDown {
    /// Since when the host has held something wrong of another.
    fn wrong_since(&mut self, host: HostId, body: &Body, seen: Option<&Seen>, now: Instant) -> Option<Instant> {
        let is_well = |m: &Seen| m.state == State::Alive && m.routable && m.generation == body.generation;
        if seen.is_some_and(is_well) {
            self.wrong.remove(&(host, body.node));
            return None;
        }
        Some(*self.wrong.entry((host, body.node)).or_insert(now))
    }
}

impl Invariant for NobodyLiveIsHeldDown {
    fn name(&self) -> &'static str {
        "nobody-live-is-held-down"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let (host, members) = match &entry.fact {
            // A node that starts anew knows nothing.
            Fact::Started { host, .. } => {
                self.wrong.retain(|(observer, _), _| observer != host);
                return Ok(());
            }
            // In large fleets there is a while between two views.
            Fact::Routable { host, member, routable: true } => {
                self.wrong.remove(&(*host, *member));
                return Ok(());
            }
            Fact::View { host, members, .. } => (*host, members),
            _ => return Ok(()),
        };
        let me = physics.body(host).map(|body| body.node);
        if me.is_some_and(|me| physics.was_cloned(me)) {
            return Ok(());
        }
        let seen: BTreeMap<_, _> = members.iter().map(|member| (member.member, member)).collect();
        for (other, body) in physics.running() {
            if Some(body.node) == me || physics.was_cloned(body.node) {
                continue;
            }
            let seen = seen.get(&body.node).copied();
            let Some(since) = self.wrong_since(host, body, seen, entry.at) else { continue };
            if physics.now().since(since) < BOUND || !physics.are_calm(host, other, BOUND) {
                continue;
            }
            let what = match seen {
                None => "does not know it".to_owned(),
                Some(seen) if seen.generation != body.generation => {
                    format!("takes it for its start {}, and this is start {}", seen.generation.0, body.generation.0)
                }
                Some(seen) if seen.state == State::Alive => "does not route to it".to_owned(),
                Some(seen) => format!("holds it {:?}", seen.state),
            };
            return Err(format!("{other} is well and open to {host}, undisturbed for {BOUND:?}, and {host} {what}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::Generation;

    use super::super::synthetic::*;
    use super::*;

    /// What `n0` holds of `n1`, whose start is its second.
    fn view(held: Option<(State, u64, bool)>) -> Fact {
        let seen = |(state, start, routable)| Seen { member: node(1), generation: Generation(start), state, routable };
        Fact::View { host: host(0), members: held.map(seen).into_iter().collect(), parts_served: 0, parts: 0 }
    }

    /// The same view again and again, from the start on until then.
    fn judge_until(end: u32, seen: Option<(State, u64, bool)>, fault: Option<Fact>) -> Result<(), String> {
        let mut facts = vec![(0.0, started(0, 1)), (0.0, started(1, 2))];
        facts.extend((0..end).map(|s| (f64::from(s), view(seen))));
        facts.extend(fault.map(|fault| (10.0, fault)));
        facts.push((f64::from(end), view(seen)));
        facts.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        judge(&mut NobodyLiveIsHeldDown::default(), facts)
    }

    #[test]
    fn who_is_held_wrongly_for_too_long_is_a_violation() {
        let says = |seen| judge_until(21, seen, None).unwrap_err();
        assert!(says(Some((State::Down, 2, false))).contains("holds it Down"));
        assert!(says(Some((State::Suspect, 2, false))).contains("holds it Suspect"));
        assert!(says(Some((State::Alive, 2, false))).contains("does not route"));
        assert!(says(Some((State::Alive, 1, true))).contains("start 1"));
        assert!(says(None).contains("does not know"));
        assert_eq!(judge_until(21, Some((State::Alive, 2, true)), None), Ok(()));
    }

    #[test]
    fn a_doubt_that_was_over_meanwhile_is_none_that_lasts() {
        let facts = [(0.0, false), (15.0, true), (16.0, false), (30.0, false)];
        let facts = facts.map(|(at, routable)| (at, view(Some((State::Alive, 2, routable)))));
        let started = [(0.0, started(0, 1)), (0.0, started(1, 2))];
        let facts = started.into_iter().chain(facts).collect();
        assert_eq!(judge(&mut NobodyLiveIsHeldDown::default(), facts), Ok(()));
    }

    #[test]
    fn who_was_disturbed_lately_is_excused() {
        let down = Some((State::Down, 2, false));
        assert_eq!(judge_until(21, down, Some(Fact::Paused { host: host(1) })), Ok(()));
        let cut = Fact::Cut { from: host(0), to: host(1) };
        assert_eq!(judge_until(99, down, Some(cut)), Ok(()));
        assert_eq!(judge_until(19, down, None), Ok(()));
    }
}
