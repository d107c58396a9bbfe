//! What a node fetched and hands to its store is the artifact, byte for byte, whatever the holder sent.

use super::Invariant;
use crate::fact::{Entry, Fact};
use crate::physics::Physics;

/// What a node fetched and hands to its store is the artifact.
#[derive(Debug)]
pub(super) struct OnlyTrueBytesAreStored;

impl Invariant for OnlyTrueBytesAreStored {
    fn name(&self) -> &'static str {
        "only-true-bytes-are-stored"
    }

    fn observe(&mut self, entry: &Entry, _: &Physics) -> Result<(), String> {
        match &entry.fact {
            Fact::Fetched { host, artifact, sound: false } => {
                Err(format!("{host} stores bytes as {artifact:?} that have another hash"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::*;
    use super::*;

    #[test]
    fn true_bytes_pass_and_others_do_not() {
        let fetched = |sound| vec![(1.0, Fact::Fetched { host: host(0), artifact: digest(1), sound })];
        assert_eq!(judge(&mut OnlyTrueBytesAreStored, fetched(true)), Ok(()));
        assert!(judge(&mut OnlyTrueBytesAreStored, fetched(false)).unwrap_err().contains("another hash"));
    }
}
