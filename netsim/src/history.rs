//! A world's history as text: one fact a line, as JSON; and its fingerprint.

use rocoin::id::Digest;
use sha2::{Digest as _, Sha256};

use crate::fact::Entry;

/// A fact as one line of JSON: `at`, nanoseconds since the start, `fact`, its kind, and what belongs to it.
pub fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap_or_default() + "\n"
}

/// SHA-256 over the lines of a history. Two runs with the same one are the same to the byte.
#[derive(Debug, Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Takes in the next line.
    pub fn add(&mut self, line: &str) {
        self.0.update(line.as_bytes());
    }

    /// Of all lines.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use rocoin::time::Instant;

    use super::*;
    use crate::fact::{Fact, HostId};

    #[test]
    fn a_fact_is_a_line_with_its_time_and_kind() {
        let entry = Entry { at: Instant::from_nanos(1_500_000_000), fact: Fact::Paused { host: HostId(3) } };
        assert_eq!(line(&entry), "{\"at\":1500000000,\"fact\":\"paused\",\"host\":3}\n");
    }

    #[test]
    fn a_fingerprint_is_that_of_the_whole_file() {
        let mut fingerprint = Fingerprint::default();
        ["one\n", "two\n"].iter().for_each(|line| fingerprint.add(line));
        assert_eq!(fingerprint.finish(), Digest::of(b"one\ntwo\n"));
    }
}
