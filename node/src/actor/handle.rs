//! How the rest of the program talks to the node's actor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rocoin::bundle::Manifest;
use rocoin::id::Digest;
use rocoin::inference::{Answer, Request, RequestError};
use rocoin::node::{ClientId, Event, NodeSnapshot};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::observe::Observer;

/// What a client is told to wait when the node's mailbox itself is full. Ours.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The node's actor has ended; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this node is stopping; ask another one")]
pub struct NodeStopped;

/// An answer, and the manifest of the bundle that it is from: by now another one may be served.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// Of [`Answer::bundle`].
    pub manifest: Arc<Manifest>,
}

#[derive(Debug)]
pub(super) enum Command {
    Request { client: ClientId, request: Request, reply: oneshot::Sender<Result<Answered, RequestError>> },
    Cancel { client: ClientId },
    Deploy { bundle: Digest, manifest: Arc<Manifest> },
    Drain,
    Snapshot { reply: oneshot::Sender<NodeSnapshot> },
}

/// A handle to a running node. Clones are the same node; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    commands: mpsc::Sender<Command>,
    clients: Arc<AtomicU64>,
    events: broadcast::Sender<Event>,
    serving: watch::Receiver<Option<Arc<Manifest>>>,
    drained: watch::Receiver<bool>,
    failure: Arc<OnceLock<String>>,
    observer: Observer,
}

impl NodeHandle {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        events: broadcast::Sender<Event>,
        serving: watch::Receiver<Option<Arc<Manifest>>>,
        drained: watch::Receiver<bool>,
        failure: Arc<OnceLock<String>>,
        observer: Observer,
    ) -> Self {
        Self { commands, clients: Arc::default(), events, serving, drained, failure, observer }
    }

    /// Asks for an answer, with this node as the coordinator. Dropping the future cancels the request.
    ///
    /// # Errors
    /// The core's [`RequestError`]; [`RequestError::Overloaded`] also if the mailbox is full, [`RequestError::Draining`] also if
    /// the node has stopped.
    pub async fn request(&self, request: Request) -> Result<Answered, RequestError> {
        let client = ClientId(self.clients.fetch_add(1, Ordering::Relaxed));
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Request { client, request, reply }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => RequestError::Overloaded { retry_after: RETRY_AFTER },
            mpsc::error::TrySendError::Closed(_) => RequestError::Draining,
        })?;
        let mut open = Open { client, commands: &self.commands, answered: false };
        let result = answer.await;
        open.answered = true;
        result.unwrap_or(Err(RequestError::Draining))
    }

    /// The node's view of itself and of the mesh.
    ///
    /// # Errors
    /// [`NodeStopped`].
    pub async fn snapshot(&self) -> Result<NodeSnapshot, NodeStopped> {
        let (reply, snapshot) = oneshot::channel();
        self.commands.send(Command::Snapshot { reply }).await.map_err(|_| NodeStopped)?;
        snapshot.await.map_err(|_| NodeStopped)
    }

    /// The manifest of the bundle that is being served.
    ///
    /// # Errors
    /// [`NodeStopped`].
    pub async fn serving(&self) -> Result<Option<Arc<Manifest>>, NodeStopped> {
        if self.commands.is_closed() {
            return Err(NodeStopped);
        }
        Ok(self.serving.borrow().clone())
    }

    /// Makes the mesh serve a bundle whose artifacts are all in the store already.
    ///
    /// # Errors
    /// [`NodeStopped`].
    pub async fn deploy(&self, bundle: Digest, manifest: Arc<Manifest>) -> Result<(), NodeStopped> {
        self.commands.send(Command::Deploy { bundle, manifest }).await.map_err(|_| NodeStopped)
    }

    /// Leaves the mesh: takes nothing new, finishes what is open, says goodbye. Returns when that is done.
    ///
    /// # Errors
    /// [`NodeStopped`].
    pub async fn drain(&self) -> Result<(), NodeStopped> {
        self.commands.send(Command::Drain).await.map_err(|_| NodeStopped)?;
        let mut drained = self.drained.clone();
        drained.wait_for(|drained| *drained).await.map_err(|_| NodeStopped)?;
        Ok(())
    }

    /// Resolves when the node's loop has ended, and says why.
    pub async fn ended(&self) -> String {
        self.commands.closed().await;
        let unknown = || "this node's loop has ended, which is a defect".to_owned();
        self.failure.get().cloned().unwrap_or_else(unknown)
    }

    /// Resolves when the node has left the mesh, or its loop has ended.
    pub async fn left(&self) {
        let mut drained = self.drained.clone();
        let _ = drained.wait_for(|drained| *drained).await;
    }

    /// What happened so far.
    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// What happens from now on; a subscriber that is too slow misses some.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// An open request, cancelled if it is dropped before its answer came.
struct Open<'a> {
    client: ClientId,
    commands: &'a mpsc::Sender<Command>,
    answered: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.answered {
            // If the mailbox is full the request runs to its deadline, which is soon.
            let _ = self.commands.try_send(Command::Cancel { client: self.client });
        }
    }
}
