//! What happened so far, for metrics and tests.

/// Totals since the start. Everything refused, dropped or cut shows here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages handed out to be sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Messages refused whole: too many updates or entries, or an impossible stamp.
    pub messages_refused: u64,
    /// Records refused, see [`super::RecordError`].
    pub records_refused: u64,
    /// Updates refused: a counter that jumps further than it can.
    pub updates_refused: u64,
    /// Members not taken in because the view is full.
    pub members_refused: u64,
    /// Updates dropped from the gossip queue because it was full.
    pub updates_dropped: u64,
    /// Ping requests answered with a nack at once because too many were open.
    pub relays_refused: u64,
    /// Own probes that nobody answered.
    pub probes_failed: u64,
    /// Accusations of ourselves that we refuted.
    pub refutations: u64,
    /// Times our own timers ran so late that their verdicts were put off.
    pub stalls: u64,
    /// Views compared because they stayed different, or a link came up.
    pub digests: u64,
}
