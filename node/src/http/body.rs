//! A request's body, piece by piece: bounded in bytes, and in how long its sender may be silent.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::HttpError;
use super::limits::Room;

/// A client that sends nothing for so long is given up. Ours.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A body that is collected and takes longer to come in is given up. Ours: several usual deadlines.
const WHOLE_MAX: Duration = Duration::from_secs(10);
/// Of what is not taken so much more is read and thrown away, so that its sender hears why instead of finding the
/// connection broken. Ours.
const DISCARDED_BYTES_MAX: usize = 16 << 20;

/// A body that is coming in.
pub(super) struct Incoming {
    pieces: BodyDataStream,
    most: usize,
    taken: usize,
}

impl Incoming {
    /// Of at most so many bytes.
    pub(super) fn new(body: Body, most: usize) -> Self {
        Self { pieces: body.into_data_stream(), most, taken: 0 }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some(piece) = self.piece().await? else { return Ok(None) };
        self.taken += piece.len();
        if self.taken <= self.most {
            return Ok(Some(piece));
        }
        self.discard().await;
        Err(HttpError::TooLarge(format!("the body has more than the {} bytes that are taken here", self.most)))
    }

    /// All of it, in as much room as it takes.
    pub(super) async fn collect(mut self, room: &mut Room) -> Result<Vec<u8>, HttpError> {
        let mut all = Vec::new();
        let collect = async {
            while let Some(piece) = self.next().await? {
                if let Err(busy) = room.grow(all.len() + piece.len()) {
                    self.discard().await;
                    return Err(busy);
                }
                all.extend_from_slice(&piece);
            }
            Ok::<_, HttpError>(())
        };
        timeout(WHOLE_MAX, collect).await.map_err(|_| HttpError::TooSlow)??;
        Ok(all)
    }

    /// Reads on for a while and keeps nothing.
    async fn discard(&mut self) {
        while self.taken < self.most + DISCARDED_BYTES_MAX
            && let Ok(Some(piece)) = self.piece().await
        {
            self.taken += piece.len();
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, HttpError> {
        match timeout(SILENCE_MAX, self.pieces.next()).await {
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(e))) => Err(HttpError::BadRequest(format!("the body broke off: {e}"))),
            Ok(None) => Ok(None),
            Err(_) => Err(HttpError::TooSlow),
        }
    }
}
