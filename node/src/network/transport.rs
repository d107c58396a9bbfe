//! TCP, the fleet key, Noise, Yamux.

use futures::future::Either;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::pnet::{PnetConfig, PnetError};
use libp2p::{PeerId, Transport as _, noise, tcp, yamux};
use socket2::SockRef;

use super::NetworkError;
use super::config::{HANDSHAKE_TIMEOUT, TCP_USER_TIMEOUT, UNSENT_BYTES_MAX};
use crate::fleet_key::FleetKey;
use crate::identity::Identity;

/// The transport of one node. With a fleet key a stranger's bytes are noise, and the handshake fails.
pub(super) fn build(
    identity: &Identity,
    fleet_key: Option<FleetKey>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetworkError> {
    let noise = noise::Config::new(identity.keypair()).map_err(|e| NetworkError::Setup(e.to_string()))?;
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .map(|stream, _| {
            bound_silence(&stream);
            bound_unsent(&stream);
            stream
        })
        .and_then(async move |stream, _| match fleet_key {
            Some(key) => Ok(Either::Left(PnetConfig::new(key.pre_shared()).handshake(stream).await?)),
            None => Ok::<_, PnetError>(Either::Right(stream)),
        });
    Ok(transport
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE_TIMEOUT)
        .boxed())
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
