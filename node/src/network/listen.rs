//! Listening: a taken port is an error that says so.

use std::net::{SocketAddr, TcpListener};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::NetworkError;
use super::addresses::ip_of;

/// Checks that an explicit port is free. libp2p binds with `SO_REUSEPORT`, so that a second node of the same user would get the
/// port as well, and half of the first one's visitors.
pub(super) fn check_free(address: &Multiaddr) -> Result<(), NetworkError> {
    let failed = |why: String| NetworkError::Listen { address: address.clone(), why };
    let socket = socket_address(address)
        .ok_or_else(|| failed("it is not of the form /ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT".to_owned()))?;
    if socket.port() == 0 {
        return Ok(());
    }
    match TcpListener::bind(socket) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            Err(failed(format!("port {} is taken; choose another with --listen, or stop who has it", socket.port())))
        }
        Err(e) => Err(failed(e.to_string())),
    }
}

/// The socket address behind an address of the form that a node can listen on.
pub(crate) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let ip = ip_of(address)?;
    let mut rest = address.iter().skip(1);
    let Some(Protocol::Tcp(port)) = rest.next() else { return None };
    rest.next().is_none().then(|| SocketAddr::new(ip, port))
}

/// The TCP port of an address.
pub(crate) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_free(&format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains(&format!("port {port} is taken")), "{error}");
    }

    #[test]
    fn an_address_that_is_not_tcp_is_refused() {
        assert!(check_free(&"/ip4/127.0.0.1/udp/1".parse().unwrap()).is_err());
    }
}
