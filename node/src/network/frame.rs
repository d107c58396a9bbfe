//! How a stream is cut into frames: a length (`u32`, little-endian), then that many bytes.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, FutureExt as _};
use rocoin::node::Lane;
use rocoin::wire::frame_bytes_max;

/// Why no frame came. The stream is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The peer announces more than its lane allows.
    #[error("a frame of {bytes} bytes, where {max} are the most")]
    Oversized { bytes: usize, max: usize },
    /// The stream broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The next frame; `None` at the stream's end. Nothing is allocated before the length is checked.
pub(super) async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R, lane: Lane) -> Result<Option<Vec<u8>>, ReadError> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    let max = frame_bytes_max(lane);
    if bytes > max {
        return Err(ReadError::Oversized { bytes, max });
    }
    let mut frame = vec![0; bytes];
    stream.read_exact(&mut frame).await?;
    Ok(Some(frame))
}

/// How many sound messages of a lane these bytes hold, up to the first that is none.
pub(crate) fn count_frames(bytes: &[u8], lane: Lane) -> usize {
    let mut stream = futures::io::Cursor::new(bytes);
    // Bytes that are there are never waited for.
    let mut next = || read_frame(&mut stream, lane).now_or_never().and_then(Result::ok).flatten();
    let mut sound = 0;
    while let Some(frame) = next() {
        if rocoin::wire::decode(&frame).is_err() {
            break;
        }
        sound += 1;
    }
    sound
}

/// Writes one frame in one piece, and flushes.
pub(super) async fn write_frame<W: AsyncWrite + Unpin>(stream: &mut W, frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(|_| io::Error::other("the frame is too long"))?;
    let mut piece = Vec::with_capacity(4 + frame.len());
    piece.extend(length.to_le_bytes());
    piece.extend_from_slice(frame);
    stream.write_all(&piece).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut bytes = Vec::new();
        for frame in [&b"one"[..], b"", b"three"] {
            block_on(write_frame(&mut bytes, frame)).unwrap();
        }
        let mut stream = Cursor::new(bytes);
        let mut next = || block_on(read_frame(&mut stream, Lane::Control)).unwrap();
        assert_eq!(next().unwrap(), b"one");
        assert_eq!(next().unwrap(), b"");
        assert_eq!(next().unwrap(), b"three");
        assert_eq!(next(), None);
    }

    #[test]
    fn a_frame_beyond_its_lane_is_refused_before_it_is_read() {
        let max = frame_bytes_max(Lane::Control);
        let mut stream = Cursor::new(u32::try_from(max + 1).unwrap().to_le_bytes());
        assert!(matches!(block_on(read_frame(&mut stream, Lane::Control)), Err(ReadError::Oversized { .. })));
    }

    #[test]
    fn arbitrary_bytes_give_frames_or_errors_and_end() {
        let mut state = 1_u64;
        for length in 0..2_000 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Mostly small numbers, so that lengths are often plausible.
                    if state >> 62 == 0 { state.to_be_bytes()[1] } else { 0 }
                })
                .collect();
            let mut stream = Cursor::new(bytes);
            while let Ok(Some(frame)) = block_on(read_frame(&mut stream, Lane::Control)) {
                assert!(frame.len() <= length);
                let _ = rocoin::wire::decode(&frame);
            }
        }
    }
}
