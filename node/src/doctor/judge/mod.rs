//! From facts to findings. Pure: no file, socket or clock, so that each finding has a test.

mod clock;
mod device;
mod files;
mod firewall;
mod interfaces;
mod multicast;
mod ports;
mod running;
mod target;

#[cfg(test)]
mod tests;

use super::facts::Facts;
use super::finding::Finding;

/// What the facts mean, in the order in which it is shown.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    [
        interfaces::judge(facts),
        multicast::judge(facts),
        ports::judge(facts),
        firewall::judge(facts),
        target::judge(facts),
        clock::judge(facts),
        device::judge(facts),
        files::judge(facts),
        running::judge(facts),
    ]
    .concat()
}

/// The port that others must be able to reach, as far as it is known.
fn listen_port(facts: &Facts) -> Option<u16> {
    facts.ports.iter().map(|port| port.port).find(|port| *port != 0)
}
