//! How much of what clients send is taken at once, over all of them. Who comes beyond that is asked to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpError;

/// Bundles taken at once: each is unpacked and verified in memory.
const UPLOADS_MAX: usize = 1;
/// KiB of inference bodies being read at once: hundreds of small images, or four of the largest.
const INFER_KIB_MAX: usize = 64 << 10;

/// Clients that follow the node's events at once. A page of the dashboard is one.
const FOLLOWERS_MAX: usize = 32;
/// Streams of inference requests at once; each may have one message being read.
const STREAMS_MAX: usize = 16;

/// What is free. Clones share it.
#[derive(Debug, Clone)]
pub struct Limits {
    uploads: Arc<Semaphore>,
    infer_kib: Arc<Semaphore>,
    followers: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(UPLOADS_MAX, INFER_KIB_MAX)
    }
}

impl Limits {
    pub(super) fn new(uploads: usize, infer_kib: usize) -> Self {
        let most = [uploads, infer_kib, FOLLOWERS_MAX, STREAMS_MAX];
        let [uploads, infer_kib, followers, streams] = most.map(|n| Arc::new(Semaphore::new(n)));
        Self { uploads, infer_kib, followers, streams }
    }

    /// The turn to upload a bundle, until it is dropped.
    pub(super) fn upload(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| HttpError::Busy("another bundle is being uploaded"))
    }

    /// Room to follow the node's events, until it is dropped.
    pub(super) fn follow(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        let room = Arc::clone(&self.followers).try_acquire_owned();
        room.map_err(|_| HttpError::Busy("too many clients follow this node"))
    }

    /// Room for an inference body of so many bytes, until it is dropped.
    pub(super) fn infer(&self, bytes: usize) -> Result<OwnedSemaphorePermit, HttpError> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.infer_kib).try_acquire_many_owned(kib);
        room.map_err(|_| HttpError::Busy("too many requests are being read"))
    }

    /// Room for a stream of inference requests, until it is dropped.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| HttpError::Busy("too many streams are open"))
    }
}
