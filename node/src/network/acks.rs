//! A TCP connection that says with what it sends what it has received, where it soon sends something.
//!
//! An idle mesh sends little, and most of it is a probe and its answer. Linux takes a connection that was silent for some time for one that
//! begins, and acknowledges the probe by a segment of its own at once; a moment later the answer would have said it, too. That was a quarter
//! of an idle node's segments. What is received now waits for something to go along with, and is acknowledged by itself soon after, if
//! nothing does. Elsewhere than on Linux nothing is changed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::tcp::tokio::TcpStream;
use socket2::SockRef;
use tokio::time::{Instant, Sleep, sleep};

/// What was received is acknowledged after this long at the latest. Ours: several times what an answer takes, and well below the 40 ms that
/// Linux would wait; were it to lose patience first, it would go back to acknowledging at once.
const PATIENCE: Duration = Duration::from_millis(10);

/// A connection that acknowledges thriftily.
pub(super) struct Thrifty {
    stream: TcpStream,
    /// When the kernel is to acknowledge what is owed.
    due: Pin<Box<Sleep>>,
    /// Whether something was received after the last that was sent.
    owes: bool,
}

impl Thrifty {
    pub(super) fn new(stream: TcpStream) -> Self {
        wait_for_company(&stream, true);
        Self { stream, due: Box::pin(sleep(PATIENCE)), owes: false }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) {
        if self.owes && self.due.as_mut().poll(cx).is_ready() {
            self.owes = false;
            // Leaving the mode sends what is owed.
            wait_for_company(&self.stream, false);
            wait_for_company(&self.stream, true);
        }
    }
}

/// Best effort: without it there are more segments.
fn wait_for_company(stream: &TcpStream, wait: bool) {
    #[cfg(target_os = "linux")]
    if let Err(e) = SockRef::from(&stream.0).set_tcp_quickack(!wait) {
        tracing::debug!("cannot set TCP_QUICKACK: {e}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (SockRef::from(&stream.0), wait);
}

impl AsyncRead for Thrifty {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        if matches!(read, Poll::Ready(Ok(1..))) && !this.owes {
            this.owes = true;
            this.due.as_mut().reset(Instant::now() + PATIENCE);
        }
        this.poll_due(cx);
        read
    }
}

impl AsyncWrite for Thrifty {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.owes &= !matches!(written, Poll::Ready(Ok(1..)));
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{join, poll_fn};
    use futures::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream as Socket};

    use super::*;

    async fn pair() -> (Thrifty, Thrifty) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = Socket::connect(listener.local_addr().unwrap());
        let (dialled, accepted) = join(dialled, listener.accept()).await;
        (Thrifty::new(TcpStream(dialled.unwrap())), Thrifty::new(TcpStream(accepted.unwrap().0)))
    }

    #[tokio::test]
    async fn what_is_received_is_owed_until_something_is_sent() {
        let (mut one, mut other) = pair().await;
        one.write_all(b"probe").await.unwrap();
        other.read_exact(&mut [0; 5]).await.unwrap();
        assert!(other.owes);
        other.write_all(b"answer").await.unwrap();
        assert!(!other.owes);
        one.read_exact(&mut [0; 6]).await.unwrap();
        assert!(one.owes);
    }

    #[tokio::test]
    async fn what_nothing_goes_along_with_is_acknowledged_while_the_reader_waits_for_more() {
        let (mut one, mut other) = pair().await;
        one.write_all(b"news").await.unwrap();
        other.read_exact(&mut [0; 4]).await.unwrap();
        poll_fn(|cx| {
            let waits = Pin::new(&mut other).poll_read(cx, &mut [0; 1]).is_pending();
            if waits && other.owes { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        assert!(!other.owes);
    }
}
