//! Nobody is cut off for what it sent: every node in these worlds keeps to the protocol, also one that lies, however late, doubled and
//! out of order its messages come.

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// Nobody is cut off for what it sent.
#[derive(Debug)]
pub(super) struct NobodySoundIsCutOff;

impl Invariant for NobodySoundIsCutOff {
    fn name(&self) -> &'static str {
        "nobody-sound-is-cut-off"
    }

    fn observe(&mut self, entry: &Entry, _: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::CutOff { host, member, what } => Err(format!("{host} cuts off {member}: {what}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn a_mesh_in_trouble_passes_and_a_node_that_is_cut_off_does_not() {
        let start = || vec![(0.0, started(0, 1)), (0.0, started(1, 1)), (1.0, Fact::Paused { host: host(1) })];
        assert_eq!(judge(&mut NobodySoundIsCutOff, start()), Ok(()));
        let cut = (2.0, Fact::CutOff { host: host(0), member: node(1), what: "old news".to_owned() });
        let facts = start().into_iter().chain([cut]).collect();
        assert!(judge(&mut NobodySoundIsCutOff, facts).unwrap_err().contains("old news"));
    }
}
