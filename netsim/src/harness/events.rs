//! What nodes wrote into their event files (`rocoin node --event-file`).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rocoin::id::NodeId;
use serde::Deserialize;

/// Nanoseconds of the system's clock since 1970, as event files have them. All nodes of a machine share that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Moment(pub u64);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after another; zero if before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// One event of one node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TimedEvent {
    /// When the node noted it.
    #[serde(rename = "at_unix_ns")]
    pub at: Moment,
    /// Which: `suspected`, `down`, `planned`, …
    pub event: String,
    /// Whom it is about, if anybody.
    #[serde(default)]
    pub member: Option<NodeId>,
}

impl TimedEvent {
    /// Whether it is this event, about this member.
    pub fn is(&self, event: &str, member: NodeId) -> bool {
        self.event == event && self.member == Some(member)
    }
}

/// One node's event file, read as it grows.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    offset: u64,
    events: Vec<TimedEvent>,
}

impl EventLog {
    /// Of a file that may not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offset: 0, events: Vec::new() }
    }

    /// All events from a moment on, in order, what is new in the file included.
    pub fn since(&mut self, moment: Moment) -> &[TimedEvent] {
        self.read();
        let first = self.events.partition_point(|event| event.at < moment);
        &self.events[first..]
    }

    /// Forgets events before a moment.
    pub fn forget_before(&mut self, moment: Moment) {
        self.events.retain(|event| event.at >= moment);
    }

    /// Takes in whole lines alone: the last may be half written. A file that cannot be read has nothing new.
    fn read(&mut self) {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut text)
        });
        let Ok(_) = read else { return };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.offset += whole as u64;
        let lines = text[..whole].split(|byte| *byte == b'\n');
        self.events.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut log = EventLog::new(&path);
        assert!(log.since(Moment(0)).is_empty());
        let member = NodeId([3; 32]);
        let line = |at| format!("{{\"at_unix_ns\":{at},\"event\":\"down\",\"member\":\"{member}\",\"more\":1}}\n");
        let (first, second) = (line(5), line(9));
        std::fs::write(&path, format!("{first}{}", &second[..10])).unwrap();
        assert_eq!(log.since(Moment(0)).len(), 1);
        std::fs::write(&path, first + &second).unwrap();
        assert!(log.since(Moment(0)).iter().all(|event| event.is("down", member)));
        assert_eq!(log.since(Moment(6)).iter().map(|event| event.at.0).collect::<Vec<_>>(), [9]);
    }
}
