//! No member that has been well and reachable all the while is given up, whatever others say of it.

use rocoin::membership::State;
use rocoin::time::Duration;

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// What was suspected before, with good reason, is decided by then. Ours: above the longest suspicion, 7.2 s in a small fleet, and
/// what a probe takes.
const CALM: Duration = Duration::from_secs(20);

/// No member that has been well and reachable all the while is given up.
#[derive(Debug)]
pub(super) struct NobodyWellIsGivenUp;

impl Invariant for NobodyWellIsGivenUp {
    fn name(&self) -> &'static str {
        "nobody-well-is-given-up"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let Fact::Opinion { host, member, generation, state: Some(State::Down), .. } = &entry.fact else {
            return Ok(());
        };
        let Some(other) = physics.host_of(*member).filter(|_| !physics.was_cloned(*member)) else { return Ok(()) };
        let is_of_now = physics.body(other).is_some_and(|body| body.generation == *generation);
        if is_of_now && !physics.is_copy(*host) && physics.are_calm(*host, other, CALM) {
            return Err(format!("{host} gives up {other}, well and open to it, undisturbed for {CALM:?}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::{Generation, Incarnation};
    use rocoin::time::Instant;

    use super::super::synthetic::*;
    use super::*;
    use crate::fact::Kept;

    fn given_up(generation: u64) -> Fact {
        let (generation, incarnation) = (Generation(generation), Incarnation(0));
        Fact::Opinion { host: host(0), member: node(1), generation, incarnation, state: Some(State::Down) }
    }

    #[test]
    fn a_verdict_on_the_dead_or_the_disturbed_passes() {
        let start = || vec![(0.0, started(0, 1)), (0.0, started(1, 1))];
        let crash = [(25.0, stopped(1, Kept::All)), (26.0, given_up(1))];
        assert_eq!(judge(&mut NobodyWellIsGivenUp, start().into_iter().chain(crash).collect()), Ok(()));
        let pause =
            [(25.0, Fact::Paused { host: host(1) }), (26.0, Fact::Resumed { host: host(1) }), (27.0, given_up(1))];
        assert_eq!(judge(&mut NobodyWellIsGivenUp, start().into_iter().chain(pause).collect()), Ok(()));
    }

    #[test]
    fn where_a_lane_is_held_up_a_verdict_passes_only_if_nobody_else_could_vouch() {
        let two = vec![(0.0, started(0, 1)), (0.0, started(1, 1))];
        let stalled =
            Fact::Stalled { from: host(1), to: host(0), until: Instant::ZERO + Duration::from_millis(26_400) };
        let story = |start: Vec<_>| start.into_iter().chain([(25.0, stalled.clone()), (26.0, given_up(1))]).collect();
        assert_eq!(judge(&mut NobodyWellIsGivenUp, story(two.clone())), Ok(()));
        let three = [two, vec![(0.0, started(2, 1))]].concat();
        assert!(judge(&mut NobodyWellIsGivenUp, story(three)).is_err());
    }

    #[test]
    fn a_verdict_on_the_well_does_not() {
        let facts = vec![(0.0, started(0, 1)), (0.0, started(1, 1)), (25.0, given_up(1))];
        assert!(judge(&mut NobodyWellIsGivenUp, facts).unwrap_err().contains("n0 gives up n1"));
    }
}
