//! Connections to the HTTP interface, bounded before anything is read: whoever has no token costs a descriptor, too.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::per_address::{PerAddress, Place};

/// Connections at once; one more waits in the system's queue until one ends. Ours: as many clients as a small device could answer.
const CONNECTIONS_MAX: usize = 256;
/// A connection on which nothing comes and nothing goes for so long is closed. Ours: twice a request's longest deadline.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// A connection whose first bytes take longer is closed: nobody who means to ask waits so long. Ours.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);
/// How many these are. No request is shorter, and by them HTTP/2 is told from HTTP/1.1.
const FIRST_BYTES: usize = 24;

/// Of those, the ones of one address; one more is closed at once. Ours: half, so that nobody takes all.
const PER_ADDRESS_MAX: usize = CONNECTIONS_MAX / 2;

/// Accepts connections while there is room.
#[derive(Debug)]
pub(super) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
    idle_timeout: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::with(listener, (CONNECTIONS_MAX, PER_ADDRESS_MAX), IDLE_TIMEOUT)
    }

    fn with(listener: TcpListener, (most, per_address): (usize, usize), idle_timeout: Duration) -> Self {
        let per_address = Arc::new(PerAddress::new(per_address));
        Self { listener, room: Arc::new(Semaphore::new(most)), per_address, idle_timeout }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, from, place) = loop {
            let (stream, from) = axum::serve::Listener::accept(&mut self.listener).await;
            if let Some(place) = self.per_address.take(from.ip()) {
                break (stream, from, place);
            }
        };
        // Answers are small, and of several pieces over gRPC: none waits until the one before is confirmed.
        let _ = stream.set_nodelay(true);
        let idle = Box::pin(sleep(self.idle_timeout.min(FIRST_TIMEOUT)));
        (
            Connection { stream, idle, idle_timeout: self.idle_timeout, first: FIRST_BYTES, _places: (permit, place) },
            from,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when it is idle for too long.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    /// How many of the first bytes have not come yet; until then nothing prolongs the wait.
    first: usize,
    _places: (Option<OwnedSemaphorePermit>, Place),
}

impl Connection {
    fn touch(&mut self) {
        if self.first > 0 {
            return;
        }
        let until = Instant::now() + self.idle_timeout;
        self.idle.as_mut().reset(until);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Ready(read) => {
                self.first = self.first.saturating_sub(into.filled().len() - filled);
                self.touch();
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.idle.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.touch();
                Poll::Ready(written)
            }
            Poll::Pending => {
                ready!(self.idle.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::serve::Listener as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// Nothing here takes this long.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn bounded(most: (usize, usize), idle_timeout: Duration) -> (Bounded, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Bounded::with(listener, most, idle_timeout), address)
    }

    #[tokio::test]
    async fn one_connection_too_many_is_taken_when_another_ends() {
        let (mut door, address) = bounded((1, 9), PATIENCE).await;
        let _clients = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let (first, _) = timeout(PATIENCE, door.accept()).await.unwrap();
        assert_eq!(door.room.available_permits(), 0);
        assert!(timeout(Duration::from_millis(1), door.accept()).await.is_err());
        drop(first);
        assert!(timeout(PATIENCE, door.accept()).await.is_ok());
    }

    #[tokio::test]
    async fn an_idle_connection_ends_and_frees_its_place() {
        let (mut door, address) = bounded((1, 9), Duration::from_millis(1)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = timeout(PATIENCE, door.accept()).await.unwrap();
        let idle = timeout(PATIENCE, connection.read(&mut [0; 8])).await.unwrap();
        assert_eq!(idle.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(connection);
        assert_eq!(door.room.available_permits(), 1);
        let _ = client.write_all(b"too late").await;
    }

    #[tokio::test]
    async fn who_has_as_many_as_one_address_may_gets_no_more_until_one_ends() {
        let (mut door, address) = bounded((9, 1), PATIENCE).await;
        let mut clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let (first, _) = timeout(PATIENCE, door.accept()).await.unwrap();
        assert!(timeout(Duration::from_millis(100), door.accept()).await.is_err());
        assert_eq!(timeout(PATIENCE, clients[1].read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0, "it was closed");
        drop(first);
        let _third = TcpStream::connect(address).await.unwrap();
        assert!(timeout(PATIENCE, door.accept()).await.is_ok());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (mut door, address) = bounded((1, 9), Duration::from_millis(50)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&[b'x'; FIRST_BYTES]).await.unwrap();
        let (mut connection, _) = timeout(PATIENCE, door.accept()).await.unwrap();
        connection.read_exact(&mut [0; FIRST_BYTES]).await.unwrap();
        let answer = vec![0; 1 << 20];
        let ended = timeout(PATIENCE, async {
            loop {
                if let Err(e) = connection.write_all(&answer).await {
                    break e;
                }
            }
        });
        assert_eq!(ended.await.unwrap().kind(), io::ErrorKind::TimedOut);
    }
}
