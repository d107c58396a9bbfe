//! Nobody is cut off for what it sent: every node in these worlds keeps to the protocol, also one that lies, however late, doubled and
//! out of order its messages come. Two devices of one identity are not sound: what the one is sent was meant for the other.

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

    fn observe(&mut self, entry: &Entry, physics: &Physics) -> Result<(), String> {
        let Fact::CutOff { host, member, what } = &entry.fact else { return Ok(()) };
        if physics.is_copy(*host) || physics.was_cloned(*member) {
            return Ok(());
        }
        Err(format!("{host} cuts off {member}: {what}"))
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
        let facts = start().into_iter().chain([cut.clone()]).collect();
        assert!(judge(&mut NobodySoundIsCutOff, facts).unwrap_err().contains("old news"));
        let Fact::Started { generation, memory_bytes, disk_bytes, wanted, .. } = started(2, 1) else { unreachable!() };
        let copy = Fact::Started { host: host(2), node: node(0), generation, memory_bytes, disk_bytes, wanted };
        let facts = start().into_iter().chain([(1.5, copy), cut]).collect();
        assert_eq!(judge(&mut NobodySoundIsCutOff, facts), Ok(()), "by one of two of one identity");
    }
}
