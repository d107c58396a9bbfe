//! Answering those who fetch from here.

use super::Stock;
use crate::blob::Blob;
use crate::deployment::message::{CHUNK_BYTES_MAX, Message};
use crate::deployment::port::{ChunkError, Output};
use crate::deployment::serve::Read;
use crate::id::{Digest, NodeId};
use crate::time::Instant;

impl Stock {
    pub(super) fn on_fetch(&mut self, from: NodeId, artifact: Digest, offset: u64, length: u32) {
        if length == 0 || length > CHUNK_BYTES_MAX {
            self.counters.messages_refused += 1;
            return;
        }
        let is_held = self.held.contains_key(&artifact);
        if is_held && self.serve.ask(Read { to: from, artifact, offset, length }) {
            return;
        }
        self.counters.reads_refused += u64::from(is_held);
        self.send(from, Message::Absent { artifact }, Blob::default());
    }

    pub(super) fn on_chunk_read(
        &mut self,
        to: NodeId,
        artifact: Digest,
        offset: u64,
        chunk: Result<(u64, Blob), ChunkError>,
    ) {
        match chunk {
            Ok((total, blob)) if !blob.is_empty() || total == 0 => {
                if self.serve.sent(to, artifact, offset, self.now) {
                    self.counters.chunks_sent += 1;
                    self.send(to, Message::Chunk { artifact, offset, total }, blob);
                }
            }
            Ok((total, _)) => {
                self.serve.not_sent(to, artifact, offset);
                self.serve.clip(to, artifact, total);
            }
            Err(error) => {
                if error == ChunkError::Absent {
                    self.held.remove(&artifact);
                }
                self.serve.not_sent(to, artifact, offset);
                self.serve.cancel(to, artifact);
                self.send(to, Message::Absent { artifact }, Blob::default());
            }
        }
    }

    pub(super) fn on_taken(&mut self, from: NodeId, artifact: Digest, offset: u64) {
        let was_under_way = self.serve.taken(from, artifact, offset, self.now);
        self.counters.messages_refused += u64::from(!was_under_way);
    }

    pub(super) fn serve(&mut self, now: Instant) {
        self.serve.expire(now);
        while let Some(Read { to, artifact, offset, length }) = self.serve.next() {
            self.outputs.push_back(Output::ReadChunk { to, artifact, offset, length });
        }
    }
}
