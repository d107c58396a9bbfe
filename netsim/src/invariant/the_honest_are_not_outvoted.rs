//! Mode `verify` names nobody as outvoted who told the truth.
//!
//! No two hosts tell the same lie here, so that liars never are a majority.

use std::collections::BTreeMap;

use rocoin::time::Instant;

use super::Invariant;
use crate::fact::{AskId, Entry, Fact, Reply};
use crate::physics::Physics;

/// Mode `verify` names nobody as outvoted who told the truth.
#[derive(Debug, Default)]
pub(super) struct TheHonestAreNotOutvoted {
    asked: BTreeMap<(AskId, u32), Instant>,
}

impl Invariant for TheHonestAreNotOutvoted {
    fn name(&self) -> &'static str {
        "the-honest-are-not-outvoted"
    }

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Asked { ask, tries, .. } => {
                self.asked.insert((*ask, *tries), entry.at);
            }
            Fact::Answered { ask, host, tries, reply } => {
                let Some(since) = self.asked.remove(&(*ask, *tries)) else { return Ok(()) };
                let Reply::Answer { outvoted, .. } = reply else { return Ok(()) };
                if let Some(honest) = outvoted.iter().find(|replica| !physics.lied_since(**replica, since)) {
                    let name = honest.short();
                    return Err(format!(
                        "{host} says of request {} that {name} was outvoted, which told the truth",
                        ask.0
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rocoin::inference::Mode;

    use super::super::synthetic::*;
    use super::*;

    fn judge_named(lies: Option<(f64, bool)>) -> Result<(), String> {
        let reply = Reply::Answer {
            mode: Mode::Verify,
            logits: Vec::new(),
            bundle: digest(1),
            parts: Vec::new(),
            missing: Vec::new(),
            verified: Vec::new(),
            outvoted: vec![node(1)],
        };
        let mut facts = vec![(0.0, started(0, 1)), (0.0, started(1, 1))];
        facts.extend(lies.map(|(at, lies)| (at, Fact::Lies { host: host(1), lies })));
        facts.extend([(10.0, asked(1, 5)), (11.0, Fact::Answered { ask: AskId(1), host: host(0), tries: 0, reply })]);
        judge(&mut TheHonestAreNotOutvoted::default(), facts)
    }

    #[test]
    fn a_liar_may_be_named_and_nobody_else() {
        assert_eq!(judge_named(Some((5.0, true))), Ok(()));
        assert!(judge_named(None).unwrap_err().contains("told the truth"));
        assert!(judge_named(Some((9.0, false))).unwrap_err().contains("told the truth"));
    }
}
