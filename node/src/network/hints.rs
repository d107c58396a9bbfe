//! What to tell a person whose node finds nobody. Each hint is given once until things change.

use std::io::ErrorKind;

use libp2p::core::transport::TransportError;
use libp2p::swarm::DialError;

/// Why a seed was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeedTrouble {
    /// Nobody listens there, or the host is unknown to the network.
    Unreachable,
    /// No answer at all, or one that made no sense.
    NoHandshake,
    /// It is this node itself.
    Myself,
}

impl SeedTrouble {
    /// What a failed dial means; `None` if it says nothing about the seed.
    pub(super) fn of(error: &DialError) -> Option<Self> {
        match error {
            DialError::LocalPeerId { .. } => Some(Self::Myself),
            DialError::Transport(errors) => {
                let unreachable = errors.iter().all(|(_, e)| match e {
                    TransportError::MultiaddrNotSupported(_) => true,
                    TransportError::Other(e) => is_unreachable(e),
                });
                Some(if unreachable { Self::Unreachable } else { Self::NoHandshake })
            }
            DialError::NoAddresses
            | DialError::DialPeerConditionFalse(_)
            | DialError::Aborted
            | DialError::WrongPeerId { .. }
            | DialError::Denied { .. } => None,
        }
    }

    /// What to do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => "nobody listens there: is the node up, the address right, the port open? Trying on",
            Self::NoHandshake => {
                "no handshake with it: does it have the same fleet key (a wrong one cannot be told from noise), \
                 and is it a rocoin node? Trying on"
            }
            Self::Myself => "that is this node's own address; it is ignored",
        }
    }
}

/// libp2p wraps the system's error more than once, and on the way its type gets lost; its number in the text does not.
fn is_unreachable(error: &std::io::Error) -> bool {
    let text = error.to_string();
    let number = text.rsplit_once("os error ").map(|(_, rest)| rest.trim_end_matches(|c: char| !c.is_ascii_digit()));
    let kind = number.and_then(|n| n.parse().ok()).map(|n| std::io::Error::from_raw_os_error(n).kind());
    matches!(kind, Some(ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable))
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use libp2p::Multiaddr;

    use super::*;

    fn failed(error: Error) -> DialError {
        DialError::Transport(vec![(Multiaddr::empty(), TransportError::Other(Error::other(error.to_string())))])
    }

    #[test]
    fn a_closed_port_is_told_from_a_failed_handshake() {
        let refused = Error::from_raw_os_error(nix::errno::Errno::ECONNREFUSED as i32);
        assert_eq!(SeedTrouble::of(&failed(refused)), Some(SeedTrouble::Unreachable));
        let reset = Error::from_raw_os_error(nix::errno::Errno::ECONNRESET as i32);
        assert_eq!(SeedTrouble::of(&failed(reset)), Some(SeedTrouble::NoHandshake));
        assert_eq!(SeedTrouble::of(&failed(Error::other("noise"))), Some(SeedTrouble::NoHandshake));
        assert_eq!(SeedTrouble::of(&DialError::Aborted), None);
    }
}
