//! The timing of the failure detector. Start values from the design; each says what it trades.

use crate::bugs::Bugs;
use crate::time::Duration;

/// The timing of the failure detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Between two probes of one node. Shorter finds a silent death sooner and costs four messages a node each time.
    pub probe_interval: Duration,
    /// The least wait for a direct answer; the measured round-trip time stretches it.
    pub probe_timeout: Duration,
    /// Members asked to ping in our stead when a direct ping has no answer.
    pub indirect_probes: usize,
    /// Suspicion lasts at least this many probe intervals × max(1, log10 of the fleet's size).
    pub suspicion_mult: u32,
    /// Suspicion that nobody confirms lasts this many times longer.
    pub suspicion_max_mult: u32,
    /// Local health: the waits of a node that finds itself unwell are stretched up to this many times. 1 is plain
    /// time-outs: no stretching, and no putting off of verdicts after a standstill of our own.
    pub health_max: u32,
    /// Each update is sent this many times × ⌈log10 (size + 1)⌉.
    pub retransmit_mult: u32,
    /// Between two rounds of gossip while there is something to tell.
    pub gossip_interval: Duration,
    /// Members told in one round of gossip.
    pub gossip_fanout: usize,
    /// Between two comparisons of views that differ though there is no news.
    pub sync_interval: Duration,
    /// Between two calls to members held down, so that a healed partition is noticed.
    pub announce_interval: Duration,
    /// Members held down that are called each time.
    pub announce_fanout: usize,
    /// Between two changes of our own record that the others are told.
    pub record_interval: Duration,
    /// First and longest wait before a link is dialled again.
    pub dial_backoff: (Duration, Duration),
    /// A member held down is forgotten after this, and its tombstone after this again.
    pub forget_after: Duration,
    /// Known bugs that are switched on.
    pub bugs: Bugs,
}

impl Config {
    /// The failure detector without what makes it good: no local health, nobody asked to ping in our stead, and no longer wait for a
    /// suspicion that nobody confirms. For comparison alone.
    #[must_use]
    pub fn with_plain_timeouts(self) -> Self {
        Self { health_max: 1, indirect_probes: 0, suspicion_max_mult: 1, ..self }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_millis(300), // design; memberlist's LAN default is 1 s
            probe_timeout: Duration::from_millis(150),  // design; half the interval, as memberlist has it
            indirect_probes: 3,                         // SWIM's k; memberlist IndirectChecks
            suspicion_mult: 4,                          // memberlist SuspicionMult
            suspicion_max_mult: 6,                      // memberlist SuspicionMaxTimeoutMult; Lifeguard's beta
            health_max: 8,                              // memberlist AwarenessMaxMultiplier; Lifeguard's S
            retransmit_mult: 4,                         // memberlist RetransmitMult
            gossip_interval: Duration::from_millis(100), // ours: three hops reach 32 nodes within one probe interval
            gossip_fanout: 3,                           // memberlist GossipNodes
            sync_interval: Duration::from_secs(2),      // ours: several rounds of gossip have had their chance
            announce_interval: Duration::from_secs(2),  // design: heals in 2-5 s
            announce_fanout: 3,                         // design
            record_interval: Duration::from_secs(1),    // design
            dial_backoff: (Duration::from_millis(500), Duration::from_secs(5)), // ours
            forget_after: Duration::from_secs(600),     // ours: far longer than gossip lives
            bugs: Bugs::default(),
        }
    }
}
