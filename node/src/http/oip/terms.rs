//! How a request is to be answered.

use std::time::Duration;

use rocoin::inference::Mode;
use serde::Deserialize;

/// A request's deadline where it names none.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(2);
/// Of the time that a client's call lasts, kept for the answer's way back: a tenth, and no more than this. Ours.
const WAY_BACK: Duration = Duration::from_millis(50);
/// The longest that a node takes; how long a client's own call may last beyond it is no reason to refuse.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// Request parameters; unknown ones are ignored, as the protocol wants it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Parameters {
    /// From now, ms; 2,000 if absent.
    #[serde(default)]
    pub(crate) deadline_ms: Option<u64>,
    /// The same in µs, as the protocol's clients call it; of both the shorter counts, and 0 is none.
    #[serde(default)]
    pub(crate) timeout: Option<u64>,
    /// No answer with fewer parts than this; 1 if absent.
    #[serde(default)]
    pub(crate) min_parts: Option<usize>,
    /// `all`, `hedged` or `verify`; the node's own if absent.
    #[serde(default)]
    pub(crate) mode: Option<Mode>,
    /// Whether the answer is to say what became of every replica that was asked.
    #[serde(default)]
    pub(crate) explain: bool,
    /// Whether outputs that do not say it themselves are wanted as bytes.
    #[serde(default)]
    pub(crate) binary_data_output: bool,
}

/// What of the parameters concerns the answer itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// For the whole batch, from when it is asked.
    pub(crate) deadline: Duration,
    /// Of each image.
    pub(crate) min_parts: usize,
    /// `None`: the node's own.
    pub(crate) mode: Option<Mode>,
    /// Whether the answer says what became of every replica that was asked.
    pub(crate) explain: bool,
}

impl Parameters {
    /// `left`: how much longer the client's call lasts, where that is known.
    pub(crate) fn terms(&self, left: Option<Duration>) -> Terms {
        let timeout = self.timeout.filter(|&micros| micros > 0).map(Duration::from_micros);
        let asked = [self.deadline_ms.map(Duration::from_millis), timeout].into_iter().flatten().min();
        let call = left.map(|left| left.saturating_sub((left / 10).min(WAY_BACK)).min(DEADLINE_MAX));
        let deadline = [asked, call].into_iter().flatten().min().unwrap_or(DEADLINE_DEFAULT);
        Terms { deadline, min_parts: self.min_parts.unwrap_or(1), mode: self.mode, explain: self.explain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_time_that_was_named_counts() {
        let terms = |deadline_ms, timeout, left: Option<u64>| {
            let parameters = Parameters { deadline_ms, timeout, ..Parameters::default() };
            parameters.terms(left.map(Duration::from_millis)).deadline.as_millis()
        };
        assert_eq!(terms(None, None, None), 2_000);
        assert_eq!(terms(Some(300), None, None), 300);
        assert_eq!(terms(Some(300), Some(0), None), 300);
        assert_eq!(terms(Some(300), Some(200_000), None), 200);
        assert_eq!(terms(None, Some(200_000), Some(100)), 90);
        assert_eq!(terms(None, None, Some(5_000)), 4_950);
        assert_eq!(terms(None, None, Some(3_600_000)), 60_000);
        assert_eq!(
            terms(Some(3_600_000), None, None),
            3_600_000,
            "what is asked beyond the bound is told, not changed"
        );
    }
}
