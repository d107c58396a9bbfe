//! TCP, the fleet key, Noise, Yamux.

use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::{Multiaddr, PeerId, Transport, noise, tcp, yamux};
use socket2::SockRef;

use super::NetworkError;
use super::acks::Thrifty;
use super::config::{HANDSHAKE_TIMEOUT, TCP_USER_TIMEOUT, UNSENT_BYTES_MAX};
use super::door::{Door, unmarked};
use crate::identity::Identity;

/// The transport of one node. Without a key of the fleet nobody gets as far as Noise.
pub(super) fn build(identity: &Identity, door: Door) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let noise = noise::Config::new(identity.keypair()).map_err(|e| NetworkError::Setup(e.to_string()))?;
    let tcp = Unmarked(tcp::tokio::Transport::new(tcp::Config::new().nodelay(true)));
    let transport = tcp
        .map(|stream, _| {
            bound_silence(&stream);
            bound_unsent(&stream);
            Thrifty::new(stream)
        })
        .and_then(move |stream, point| door.pass(stream, point));
    Ok(transport
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE_TIMEOUT)
        .boxed())
}

/// Takes the key's mark off the address to dial.
struct Unmarked<T>(T);

impl<T: Transport + Unpin> Transport for Unmarked<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.0.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        self.0.dial(unmarked(address), options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Best effort: without it a cut link is noticed later.
fn bound_silence(stream: &tcp::tokio::TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(e) = SockRef::from(&stream.0).set_tcp_user_timeout(Some(TCP_USER_TIMEOUT)) {
        tracing::debug!("cannot set TCP_USER_TIMEOUT: {e}");
    }
}

/// Best effort: without it a probe may wait behind more that was written before it.
fn bound_unsent(stream: &tcp::tokio::TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(e) = SockRef::from(&stream.0).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
        tracing::debug!("cannot set TCP_NOTSENT_LOWAT: {e}");
    }
}
