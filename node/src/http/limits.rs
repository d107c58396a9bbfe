//! How much of what clients send is taken at once, over all of them. Who comes beyond that is asked to come back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HttpError;

/// Bundles taken at once: each is unpacked and verified in memory.
const UPLOADS_MAX: usize = 1;
/// KiB of inference requests at once, from the first of their bytes to their answer: hundreds of small images, or four of the largest bodies.
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

    /// Room for an inference request of so many bytes, until it is dropped.
    pub(super) fn infer(&self, bytes: usize) -> Result<Room, HttpError> {
        let mut room = Room { free: Arc::clone(&self.infer_kib), taken: None };
        room.fit(bytes)?;
        Ok(room)
    }

    /// KiB that requests could take now.
    #[cfg(test)]
    pub(super) fn infer_kib_free(&self) -> usize {
        self.infer_kib.available_permits()
    }

    /// Room for a stream of inference requests, until it is dropped.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| HttpError::Busy("too many streams are open"))
    }
}

/// Room that a request takes.
#[derive(Debug)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Takes more if it is no room for so many bytes yet.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), HttpError> {
        if bytes.div_ceil(1 << 10) > self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) {
            self.fit(bytes)?;
        }
        Ok(())
    }

    /// Takes more, or gives some back, so that it is room for so many bytes.
    pub(super) fn fit(&mut self, bytes: usize) -> Result<(), HttpError> {
        let kib = bytes.div_ceil(1 << 10);
        let has = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if kib < has {
            drop(self.taken.as_mut().and_then(|taken| taken.split(has - kib)));
            return Ok(());
        }
        let more = u32::try_from(kib - has).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.free).try_acquire_many_owned(more);
        let more = more.map_err(|_| HttpError::Busy("too many requests are being read and answered"))?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_and_shrinks_with_what_is_in_it_and_no_further_than_there_is() {
        let limits = Limits::new(1, 10);
        let mut room = limits.infer(0).unwrap();
        room.fit(8 << 10).unwrap();
        assert_eq!(limits.infer_kib_free(), 2);
        assert!(matches!(room.fit(11 << 10), Err(HttpError::Busy(_))));
        assert!(matches!(limits.infer(3 << 10), Err(HttpError::Busy(_))));
        room.fit(1).unwrap();
        assert_eq!(limits.infer_kib_free(), 9);
        drop(room);
        assert_eq!(limits.infer_kib_free(), 10);
    }
}
