//! Serving connections: HTTP/1.1 and HTTP/2 (which gRPC speaks) on one port, told apart by their first bytes.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;

use super::connections::Bounded;

/// A client that takes longer for a request's headers is given up, and a connection that waits so long for its next request is closed. Ours.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one request's headers.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// HTTP/2 calls at once on one connection. Ours: as many as a node has places for open requests.
const CALLS_MAX: u32 = 64;
/// Bytes that an HTTP/2 connection may send before they are read: what 256 connections may fill a small device's memory with.
const UNREAD_BYTES_MAX: u32 = 256 << 10;

/// Serves until `stop` resolves; then finishes the requests in flight.
pub(super) async fn serve(mut door: Bounded, routes: Router, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(CALLS_MAX)
        .initial_stream_window_size(UNREAD_BYTES_MAX)
        .initial_connection_window_size(UNREAD_BYTES_MAX);
    let service = TowerToHyperService::new(routes);
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let stream = tokio::select! {
            (stream, _) = door.accept() => stream,
            () = &mut stop => break,
        };
        let connection = builder.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(reason) = connection.await {
                tracing::debug!("a client's connection ended: {reason}");
            }
        });
    }
    drop(door);
    open.shutdown().await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    /// Nothing here takes this long.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn serving() -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = Router::new().route("/", get(async || "well"));
        let server = tokio::spawn(serve(Bounded::new(listener), routes, async { drop(stopped.await) }));
        (address, stop, server)
    }

    /// The first bytes of the answer to these.
    async fn answer<const N: usize>(stream: &mut TcpStream, bytes: &[u8]) -> [u8; N] {
        stream.write_all(bytes).await.unwrap();
        let mut first = [0; N];
        timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
        first
    }

    #[tokio::test]
    async fn both_versions_of_http_are_spoken_at_one_port() {
        let (address, _stop, _server) = serving().await;
        let mut one = TcpStream::connect(address).await.unwrap();
        assert_eq!(&answer::<15>(&mut one, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await, b"HTTP/1.1 200 OK");
        let mut two = TcpStream::connect(address).await.unwrap();
        let settings = answer::<4>(&mut two, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        assert_eq!(settings[3], 4, "a SETTINGS frame");
    }

    #[tokio::test]
    async fn it_ends_when_it_is_told_to_though_clients_are_connected() {
        let (address, stop, server) = serving().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        answer::<15>(&mut client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await;
        drop(stop);
        timeout(PATIENCE, server).await.unwrap().unwrap();
    }
}
