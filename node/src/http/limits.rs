//! How much of what clients send is taken at once, over all of them. Who comes beyond that is asked to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpError;

/// Bundles taken at once: each is unpacked and verified in memory.
const UPLOADS_MAX: usize = 1;
/// KiB of inference bodies being read at once: hundreds of small images, or four of the largest.
const INFER_KIB_MAX: usize = 64 << 10;

/// Clients that follow the node's events at once. A page of the dashboard is one.
const STREAMS_MAX: usize = 32;

/// What is free. Clones share it.
#[derive(Debug, Clone)]
pub struct Limits {
    uploads: Arc<Semaphore>,
    infer_kib: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(UPLOADS_MAX, INFER_KIB_MAX)
    }
}

impl Limits {
    pub(super) fn new(uploads: usize, infer_kib: usize) -> Self {
        Self {
            uploads: Arc::new(Semaphore::new(uploads)),
            infer_kib: Arc::new(Semaphore::new(infer_kib)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }

    /// The turn to upload a bundle, until it is dropped.
    pub(super) fn upload(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| HttpError::Busy("another bundle is being uploaded"))
    }

    /// Room to follow the node's events, until it is dropped.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| HttpError::Busy("too many clients follow this node"))
    }

    /// Room for an inference body of so many bytes, until it is dropped.
    pub(super) fn infer(&self, bytes: usize) -> Result<OwnedSemaphorePermit, HttpError> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.infer_kib).try_acquire_many_owned(kib);
        room.map_err(|_| HttpError::Busy("too many requests are being read"))
    }
}
