//! Who is let in: which fleet keys are accepted now, and which key each connection has.
//!
//! It is shared by the transport, which shakes hands, and the network's task, which dials and keeps the connections. An address to dial
//! carries the mark of the key to dial with as its last part; no other node ever sees a mark.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::Either;
use futures::{AsyncRead, AsyncWrite};
use libp2p::Multiaddr;
use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use tokio::sync::mpsc;

use super::link::Report;
use super::sealed::{self, Sealed};
use crate::fleet_key::{FleetKey, Keyring};

/// The fleet's keys; without any, whoever comes is let in.
#[derive(Debug, Clone)]
pub(super) struct Door {
    shared: Arc<Mutex<Shared>>,
    reports: mpsc::Sender<Report>,
}

#[derive(Debug)]
struct Shared {
    keys: Option<Keyring>,
    /// Handshakes under way by where they come from. No more than handshakes may be under way.
    admitted: BTreeMap<Multiaddr, FleetKey>,
}

impl Door {
    pub(super) fn new(keys: Option<Keyring>, reports: mpsc::Sender<Report>) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { keys, admitted: BTreeMap::new() })), reports }
    }

    pub(super) fn keys(&self) -> Option<Keyring> {
        self.lock().keys
    }

    /// These keys from now on.
    pub(super) fn change(&self, keys: Keyring) {
        self.lock().keys = Some(keys);
    }

    /// The key to dial with at this attempt, counted from 0: the current one first, then the others in turn, since who is there may
    /// not have the current one yet.
    pub(super) fn key_for(&self, attempt: u32) -> Option<FleetKey> {
        let accepted: Vec<FleetKey> = self.keys()?.accepted().collect();
        accepted.get(usize::try_from(attempt).unwrap_or(0) % accepted.len()).copied()
    }

    /// The key of a connection that stands; `None` if it has none, or none that is known any more.
    pub(super) fn key_of(&self, endpoint: &ConnectedPoint) -> Option<FleetKey> {
        match endpoint {
            ConnectedPoint::Dialer { address, .. } => {
                let marked = mark_in(address)?;
                self.keys()?.accepted().find(|key| mark(*key) == marked)
            }
            ConnectedPoint::Listener { send_back_addr, .. } => self.lock().admitted.remove(send_back_addr),
        }
    }

    /// A handshake that came from there has failed.
    pub(super) fn forget(&self, from: &Multiaddr) {
        self.lock().admitted.remove(from);
    }

    /// Both sides prove that they have a key of the fleet.
    pub(super) async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        point: ConnectedPoint,
    ) -> io::Result<Either<Sealed<S>, S>> {
        let Some(keys) = self.keys() else { return Ok(Either::Right(stream)) };
        match point {
            ConnectedPoint::Dialer { address, .. } => {
                let marked = mark_in(&address);
                let key = keys.accepted().find(|key| Some(mark(*key)) == marked);
                let key = key.ok_or_else(|| io::Error::other("the fleet key has just been changed"))?;
                Ok(Either::Left(sealed::dial(stream, key).await?))
            }
            ConnectedPoint::Listener { send_back_addr, .. } => {
                let known = keys.accepted().chain(keys.retired);
                let admitted = sealed::accept(stream, known).await?;
                let retired = keys.retired;
                match admitted {
                    Some((sealed, key)) if retired != Some(key) => {
                        self.lock().admitted.insert(send_back_addr, key);
                        Ok(Either::Left(sealed))
                    }
                    other => {
                        // When many knock, some go unreported.
                        let _ = self.reports.try_send(Report::Knock { from: send_back_addr, retired: other.is_some() });
                        Err(io::Error::other("it has not the fleet's key"))
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address, to be dialled with this key.
pub(super) fn marked(address: Multiaddr, key: Option<FleetKey>) -> Multiaddr {
    match key {
        Some(key) => address.with(Protocol::Memory(mark(key))),
        None => address,
    }
}

/// The address without a mark.
pub(super) fn unmarked(address: Multiaddr) -> Multiaddr {
    address.into_iter().filter(|part| !matches!(part, Protocol::Memory(_))).collect()
}

fn mark_in(address: &Multiaddr) -> Option<u64> {
    address.iter().find_map(|part| if let Protocol::Memory(mark) = part { Some(mark) } else { None })
}

/// Tells a fleet's few keys apart, and gives nothing of them away.
fn mark(key: FleetKey) -> u64 {
    let text = key.to_string();
    u64::from_str_radix(text.get(..16).unwrap_or_default(), 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> FleetKey {
        FleetKey::generate().unwrap()
    }

    fn door(keys: Keyring) -> Door {
        Door::new(Some(keys), mpsc::channel(1).0)
    }

    #[test]
    fn the_current_key_is_tried_first_and_then_the_previous_one_in_turn() {
        let (new, old) = (key(), key());
        let both = door(Keyring { previous: Some(old), ..new.into() });
        assert_eq!([0, 1, 2].map(|attempt| both.key_for(attempt)), [Some(new), Some(old), Some(new)]);
        let one = door(new.into());
        assert_eq!([0, 1].map(|attempt| one.key_for(attempt)), [Some(new), Some(new)]);
        assert_eq!(Door::new(None, mpsc::channel(1).0).key_for(0), None);
    }

    #[test]
    fn a_mark_names_its_key_and_is_taken_off_again() {
        let (one, other) = (key(), key());
        let address: Multiaddr = "/ip4/10.0.0.7/tcp/4001".parse().unwrap();
        let dialled = marked(address.clone(), Some(one));
        assert_eq!((mark_in(&dialled), mark(one) == mark(other)), (Some(mark(one)), false));
        assert_eq!(unmarked(dialled), address);
        assert_eq!(marked(address.clone(), None), address);
    }
}
