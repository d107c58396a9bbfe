//! The fleet key on a connection: libp2p's private network protocol, with more than one key.
//!
//! Both sides send a random nonce in the clear, and from then on XSalsa20 under the key and their own nonce. Nothing of the protocol says
//! which key it is. But each side's first words are known, so whoever listens reads them and tries its keys. libp2p's own
//! implementation can do all of this but try.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};

use crate::fleet_key::FleetKey;

const NONCE_BYTES: usize = 24;
/// What a dialler says first, whatever it wants: multistream-select's header, with its length in front.
const GREETING: &[u8; 20] = b"\x13/multistream/1.0.0\n";
/// Bytes that are encrypted at once, and wait at most to be written.
const WRITE_BYTES: usize = 16 * 1024;

/// A connection whose bytes are encrypted under the fleet key.
pub(super) struct Sealed<S> {
    inner: S,
    reads: XSalsa20,
    writes: XSalsa20,
    /// Read ahead and decrypted; handed out from `told` on.
    ahead: Vec<u8>,
    told: usize,
    /// Encrypted; written from `sent` on.
    waiting: Vec<u8>,
    sent: usize,
}

/// The side that dials: it says with its first words which key it has.
pub(super) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, key: FleetKey) -> io::Result<Sealed<S>> {
    let (mine, theirs) = exchange_nonces(&mut stream).await?;
    Ok(Sealed::new(stream, key, &mine, &theirs, Vec::new()))
}

/// The side that listens: finds out which of the keys the dialler has. `None`: none of them.
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    keys: impl IntoIterator<Item = FleetKey>,
) -> io::Result<Option<(Sealed<S>, FleetKey)>> {
    let (mine, theirs) = exchange_nonces(&mut stream).await?;
    let mut first = [0; GREETING.len()];
    stream.read_exact(&mut first).await?;
    let key = keys.into_iter().find(|key| {
        let mut words = first;
        cipher(*key, &theirs).apply_keystream(&mut words);
        words == *GREETING
    });
    Ok(key.map(|key| {
        let mut sealed = Sealed::new(stream, key, &mine, &theirs, first.to_vec());
        sealed.reads.apply_keystream(&mut sealed.ahead);
        (sealed, key)
    }))
}

async fn exchange_nonces<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> io::Result<([u8; NONCE_BYTES], [u8; NONCE_BYTES])> {
    let (mut mine, mut theirs) = ([0; NONCE_BYTES], [0; NONCE_BYTES]);
    getrandom::fill(&mut mine).map_err(io::Error::other)?;
    stream.write_all(&mine).await?;
    stream.flush().await?;
    stream.read_exact(&mut theirs).await?;
    Ok((mine, theirs))
}

fn cipher(key: FleetKey, nonce: &[u8; NONCE_BYTES]) -> XSalsa20 {
    XSalsa20::new(&(*key.bytes()).into(), &(*nonce).into())
}

impl<S> Sealed<S> {
    fn new(inner: S, key: FleetKey, mine: &[u8; NONCE_BYTES], theirs: &[u8; NONCE_BYTES], ahead: Vec<u8>) -> Self {
        let (reads, writes) = (cipher(key, theirs), cipher(key, mine));
        Self { inner, reads, writes, ahead, told: 0, waiting: Vec::new(), sent: 0 }
    }
}

impl<S: AsyncWrite + Unpin> Sealed<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.waiting[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.sent += bytes,
            }
        }
        self.waiting.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sealed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.told < this.ahead.len() {
            let bytes = into.len().min(this.ahead.len() - this.told);
            into[..bytes].copy_from_slice(&this.ahead[this.told..this.told + bytes]);
            this.told += bytes;
            return Poll::Ready(Ok(bytes));
        }
        let bytes = ready!(Pin::new(&mut this.inner).poll_read(cx, into))?;
        this.reads.apply_keystream(&mut into[..bytes]);
        Poll::Ready(Ok(bytes))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sealed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_drain(cx))?;
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES)];
        this.waiting.extend_from_slice(bytes);
        this.writes.apply_keystream(&mut this.waiting);
        match this.poll_drain(cx) {
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join;
    use libp2p::pnet::{PnetConfig, PreSharedKey};
    use libp2p::tcp::tokio::TcpStream as Socket;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (Socket, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap());
        let (dialled, accepted) = join(dialled, listener.accept()).await;
        (Socket(dialled.unwrap()), Socket(accepted.unwrap().0))
    }

    fn keys() -> [FleetKey; 3] {
        [(); 3].map(|()| FleetKey::generate().unwrap())
    }

    /// More than fits into any buffer on the way, both ways at once.
    async fn talk(mut a: impl AsyncRead + AsyncWrite + Unpin, mut b: impl AsyncRead + AsyncWrite + Unpin) {
        let long: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let there = async {
            a.write_all(GREETING).await.unwrap();
            a.write_all(&long).await.unwrap();
            a.flush().await.unwrap();
            let mut answer = vec![0; 5];
            a.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, b"heard");
        };
        let here = async {
            let mut heard = vec![0; GREETING.len() + long.len()];
            b.read_exact(&mut heard).await.unwrap();
            assert!(heard.starts_with(GREETING) && heard.ends_with(&long));
            b.write_all(b"heard").await.unwrap();
            b.flush().await.unwrap();
        };
        join(there, here).await;
    }

    #[tokio::test]
    async fn whoever_listens_finds_out_which_key_the_dialler_has() {
        let [new, old, _] = keys();
        for key in [new, old] {
            let (dialled, accepted) = pair().await;
            let dialler = async {
                let mut sealed = dial(dialled, key).await.unwrap();
                sealed.write_all(GREETING).await.unwrap();
                sealed.flush().await.unwrap();
                sealed
            };
            let (_dialler, admitted) = join(dialler, accept(accepted, [new, old])).await;
            let (mut stream, found) = admitted.unwrap().unwrap();
            assert_eq!(found, key);
            let mut greeting = [0; GREETING.len()];
            stream.read_exact(&mut greeting).await.unwrap();
            assert_eq!(greeting, *GREETING, "what was read ahead is not lost");
        }
    }

    #[tokio::test]
    async fn a_dialler_with_another_key_and_one_that_sends_noise_are_not_admitted() {
        let [new, old, other] = keys();
        let (dialled, accepted) = pair().await;
        let stranger = async {
            let mut sealed = dial(dialled, other).await.unwrap();
            sealed.write_all(GREETING).await.unwrap();
            sealed.flush().await.unwrap();
            sealed
        };
        let (_stranger, admitted) = join(stranger, accept(accepted, [new, old])).await;
        assert!(admitted.unwrap().is_none());

        let (mut noisy, accepted) = pair().await;
        let noise = async {
            noisy.write_all(&[0x55; 400]).await.unwrap();
            noisy
        };
        let (_noisy, admitted) = join(noise, accept(accepted, [new, old])).await;
        assert!(admitted.unwrap().is_none());
    }

    #[tokio::test]
    async fn it_is_libp2ps_protocol_on_either_side() {
        let [key, other, _] = keys();
        let theirs = PnetConfig::new(PreSharedKey::new(*key.bytes()));

        let (dialled, accepted) = pair().await;
        let (ours, library) = join(dial(dialled, key), theirs.handshake(accepted)).await;
        talk(ours.unwrap(), library.unwrap()).await;

        let (dialled, accepted) = pair().await;
        let listener = async {
            let (sealed, _) = accept(accepted, [other, key]).await.unwrap().unwrap();
            sealed
        };
        // The listener waits for the dialler's first words, so both have to go on at once.
        let dialler = async {
            let mut library = theirs.handshake(dialled).await.unwrap();
            library.write_all(GREETING).await.unwrap();
            library.flush().await.unwrap();
            library
        };
        let (mut library, mut ours) = join(dialler, listener).await;
        let mut greeting = [0; GREETING.len()];
        ours.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, *GREETING);
        ours.write_all(b"heard").await.unwrap();
        ours.flush().await.unwrap();
        let mut answer = [0; 5];
        library.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"heard");
        talk(library, ours).await;
    }
}
