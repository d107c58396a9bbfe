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

/// libp2p wraps the system's error, more than once.
fn is_unreachable(error: &std::io::Error) -> bool {
    let kinds = [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = source {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            if kinds.contains(&io.kind()) {
                return true;
            }
            source = io.get_ref().map(|inner| inner as _);
        } else {
            source = e.source();
        }
    }
    false
}
