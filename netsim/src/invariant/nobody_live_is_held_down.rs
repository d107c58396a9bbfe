//! No live, reachable, responsive member is held down, or unknown, for longer than a bound.

use std::collections::BTreeSet;

use rocoin::membership::State;
use rocoin::time::Duration;

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// Members held down are called every 2 s, three of them at a time; a broken link is dialled again within 5 s; and a message may
/// be lost once. Ours.
const BOUND: Duration = Duration::from_secs(20);

/// No live, reachable, responsive member is held down, or unknown, for longer than a bound.
#[derive(Debug, Default)]
pub(super) struct NobodyLiveIsHeldDown;

impl Invariant for NobodyLiveIsHeldDown {
    fn name(&self) -> &'static str {
        "nobody-live-is-held-down"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let Fact::View { host, members, .. } = &entry.fact else { return Ok(()) };
        let me = physics.body(*host).map(|body| body.node);
        if me.is_some_and(|me| physics.was_cloned(me)) {
            return Ok(());
        }
        let up: BTreeSet<_> = members.iter().filter(|m| m.state != State::Down).map(|m| m.member).collect();
        for (other, body) in physics.running() {
            let alike = Some(body.node) == me || physics.was_cloned(body.node);
            if !alike && !up.contains(&body.node) && physics.are_calm(*host, other, BOUND) {
                let known = members.iter().any(|m| m.member == body.node);
                let opinion = if known { "holds it down" } else { "does not know it" };
                return Err(format!(
                    "{other} is well and open to {host}, undisturbed for {BOUND:?}, and {host} {opinion}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::Generation;

    use super::super::synthetic::*;
    use super::*;
    use crate::fact::Seen;

    fn view(state: Option<State>) -> Fact {
        let seen = |state| Seen { member: node(1), generation: Generation(1), state, routable: false };
        Fact::View { host: host(0), members: state.map(seen).into_iter().collect(), parts_served: 0, parts: 0 }
    }

    fn judge_at(at: f64, state: Option<State>, fault: Option<Fact>) -> Result<(), String> {
        let mut facts = vec![(0.0, started(0, 1)), (0.0, started(1, 1))];
        facts.extend(fault.map(|fault| (10.0, fault)));
        facts.push((at, view(state)));
        judge(&mut NobodyLiveIsHeldDown, facts)
    }

    #[test]
    fn held_down_or_unknown_for_too_long_is_a_violation() {
        assert!(judge_at(21.0, Some(State::Down), None).unwrap_err().contains("holds it down"));
        assert!(judge_at(21.0, None, None).unwrap_err().contains("does not know"));
        assert_eq!(judge_at(21.0, Some(State::Suspect), None), Ok(()));
    }

    #[test]
    fn who_was_disturbed_lately_is_excused() {
        assert_eq!(judge_at(21.0, Some(State::Down), Some(Fact::Paused { host: host(1) })), Ok(()));
        let cut = Fact::Cut { from: host(0), to: host(1) };
        assert_eq!(judge_at(99.0, Some(State::Down), Some(cut)), Ok(()));
        assert_eq!(judge_at(19.0, Some(State::Down), None), Ok(()));
    }
}
