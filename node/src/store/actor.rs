//! The threads that touch the disk, so that the node's loop never waits for it: one for the durable state, which must not wait
//! behind a large artifact, and one for artifacts.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use rocoin::blob::Blob;
use rocoin::deployment::ChunkError;
use rocoin::id::{Digest, NodeId};
use rocoin::node::{Durable, Input, WriteId};
use tokio::sync::mpsc;

use super::{ArtifactError, StateDir, Store, durable, durable_path};
use crate::refused::{Refused, give};

/// Tasks that wait for the disk; one more is refused, and the node hears so.
const QUEUE: usize = 1024;

/// One piece of work on artifacts.
#[derive(Debug)]
enum Task {
    Put { artifact: Digest, bytes: Blob },
    ReadChunk { to: NodeId, artifact: Digest, offset: u64, length: u32 },
    Sweep { artifact: Digest },
}

/// Gives work to the disk's threads; what comes of it is an [`Input`] to the node.
#[derive(Debug, Clone)]
pub(crate) struct StoreHandle {
    artifacts: Arc<Store>,
    tasks: SyncSender<Task>,
    writes: SyncSender<(WriteId, Durable)>,
}

impl StoreHandle {
    /// Write an artifact.
    pub(crate) fn put(&self, artifact: Digest, bytes: Blob) -> Result<(), Refused> {
        let busy = || Input::ArtifactStored { artifact, result: Err(BUSY.to_owned()) };
        give(&self.tasks, Task::Put { artifact, bytes }, ARTIFACTS_THREAD, busy)
    }

    /// Delete an artifact. It is not held any more when this returns, so that one that is put again is not deleted. What cannot be
    /// deleted is found at the next start.
    pub(crate) fn discard(&self, artifact: Digest) -> Result<(), Refused> {
        if !self.artifacts.discard(artifact) {
            return Ok(());
        }
        match self.tasks.try_send(Task::Sweep { artifact }) {
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(Refused::Ended(ARTIFACTS_THREAD)),
        }
    }

    /// Read a piece of an artifact.
    pub(crate) fn read_chunk(&self, to: NodeId, artifact: Digest, offset: u64, length: u32) -> Result<(), Refused> {
        let busy = || Input::ChunkRead { to, artifact, offset, chunk: Err(ChunkError::Unread) };
        give(&self.tasks, Task::ReadChunk { to, artifact, offset, length }, ARTIFACTS_THREAD, busy)
    }

    /// Write the durable state.
    pub(crate) fn persist(&self, write: WriteId, durable: Durable) -> Result<(), Refused> {
        let busy = || Input::Persisted { write, result: Err(BUSY.to_owned()) };
        give(&self.writes, (write, durable), "the thread that writes the node's state", busy)
    }
}

const BUSY: &str = "the disk is too slow: too many writes are waiting";
const ARTIFACTS_THREAD: &str = "the thread that reads and writes artifacts";

/// The disk's threads. They end when the last handle is dropped.
#[derive(Debug)]
pub(crate) struct StoreActor;

impl StoreActor {
    /// Starts both threads.
    pub(crate) fn start(
        state: &StateDir,
        artifacts: Arc<Store>,
        done: mpsc::Sender<Input>,
    ) -> std::io::Result<StoreHandle> {
        let (tasks, task_queue) = sync_channel(QUEUE);
        let (writes, write_queue) = sync_channel(QUEUE);
        let path = durable_path(state.path());
        let written = done.clone();
        thread::Builder::new()
            .name("rocoin-state".to_owned())
            .spawn(move || write_states(&path, &write_queue, &written))?;
        let shared = Arc::clone(&artifacts);
        thread::Builder::new()
            .name("rocoin-artifacts".to_owned())
            .spawn(move || handle_artifacts(&shared, &task_queue, &done))?;
        Ok(StoreHandle { artifacts, tasks, writes })
    }
}

/// A later state contains an earlier one: of those that wait only the last is written.
fn write_states(path: &Path, queue: &Receiver<(WriteId, Durable)>, done: &mpsc::Sender<Input>) {
    while let Ok((first, mut state)) = queue.recv() {
        let mut writes = vec![first];
        while let Ok((write, later)) = queue.try_recv() {
            writes.push(write);
            state = later;
        }
        let result = durable::write(path, &state).map_err(|e| e.to_string());
        for write in writes {
            if done.blocking_send(Input::Persisted { write, result: result.clone() }).is_err() {
                return;
            }
        }
    }
}

fn handle_artifacts(artifacts: &Store, queue: &Receiver<Task>, done: &mpsc::Sender<Input>) {
    while let Ok(task) = queue.recv() {
        let input = match task {
            Task::Put { artifact, bytes } => Input::ArtifactStored {
                artifact,
                result: artifacts.put(artifact, bytes.as_bytes()).map_err(|e| e.to_string()),
            },
            Task::ReadChunk { to, artifact, offset, length } => {
                let chunk = artifacts.read_chunk(artifact, offset, length);
                let chunk = chunk.map_err(|e| {
                    tracing::warn!(peer = %to.short(), "cannot give a chunk: {e}");
                    match e {
                        ArtifactError::Absent(_) | ArtifactError::Corrupt { .. } => ChunkError::Absent,
                        ArtifactError::File(_) => ChunkError::Unread,
                    }
                });
                Input::ChunkRead { to, artifact, offset, chunk }
            }
            Task::Sweep { artifact } => {
                artifacts.sweep(artifact);
                continue;
            }
        };
        if done.blocking_send(input).is_err() {
            return;
        }
    }
}

#[cfg(test)]
impl StoreHandle {
    /// One whose threads are dead.
    pub(crate) fn dead(artifacts: Arc<Store>) -> Self {
        Self { artifacts, tasks: sync_channel(1).0, writes: sync_channel(1).0 }
    }
}

#[cfg(test)]
mod tests {
    use rocoin::id::Term;

    use super::*;

    #[test]
    fn a_dead_thread_is_not_taken_for_a_slow_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        let dead = StoreHandle::dead(Arc::new(state.artifacts().unwrap()));
        let refused = dead.persist(WriteId(1), Durable::default()).unwrap_err();
        assert!(matches!(refused, Refused::Ended(thread) if thread.contains("writes the node's state")), "{refused:?}");
        let refused = dead.put(Digest([1; 32]), Blob::default()).unwrap_err();
        assert!(matches!(refused, Refused::Ended(thread) if thread.contains("artifacts")), "{refused:?}");
    }

    #[test]
    fn every_write_is_confirmed_and_the_last_one_is_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        let (done, mut inputs) = mpsc::channel(64);
        let store = StoreActor::start(&state, Arc::new(state.artifacts().unwrap()), done).unwrap();
        for n in 1..=20 {
            store.persist(WriteId(n), Durable { term: Term(n), ..Durable::default() }).unwrap();
        }
        for n in 1..=20 {
            let input = inputs.blocking_recv();
            assert!(
                matches!(input, Some(Input::Persisted { write: WriteId(w), result: Ok(()) }) if w == n),
                "{input:?}"
            );
        }
        assert_eq!(durable::read(&durable_path(dir.path())).unwrap().term, Term(20));
    }

    #[test]
    fn a_chunk_for_which_the_disk_has_no_time_is_not_said_to_be_absent() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        // Nobody takes the tasks.
        let (tasks, _queue) = sync_channel(1);
        let artifacts = Arc::new(state.artifacts().unwrap());
        let store = StoreHandle { artifacts, tasks, writes: sync_channel(1).0 };
        let read = || store.read_chunk(NodeId([1; 32]), Digest([2; 32]), 0, 16);
        assert!(read().is_ok());
        let Err(Refused::Busy(told)) = read() else { panic!("the queue has room for one") };
        assert!(matches!(*told, Input::ChunkRead { chunk: Err(ChunkError::Unread), .. }), "{told:?}");
    }

    #[test]
    fn a_chunk_that_is_not_held_is_said_to_be_absent() {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        let (done, mut inputs) = mpsc::channel(64);
        let store = StoreActor::start(&state, Arc::new(state.artifacts().unwrap()), done).unwrap();
        store.read_chunk(NodeId([1; 32]), Digest([2; 32]), 0, 16).unwrap();
        assert!(matches!(inputs.blocking_recv().unwrap(), Input::ChunkRead { chunk: Err(ChunkError::Absent), .. }));
    }
}
