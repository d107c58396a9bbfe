//! Giving work to a thread without waiting for it.

use std::sync::mpsc::{SyncSender, TrySendError};

use rocoin::node::Input;

/// Why a thread did not take a task. The task was not begun.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Too many wait; the node is to hear this instead of a result.
    Busy(Box<Input>),
    /// This thread is gone, which nothing but a defect or a broken system brings about: the node cannot go on.
    Ended(&'static str),
}

/// Queues a task for a thread.
pub(crate) fn give<T>(
    queue: &SyncSender<T>,
    task: T,
    thread: &'static str,
    busy: impl FnOnce() -> Input,
) -> Result<(), Refused> {
    queue.try_send(task).map_err(|e| match e {
        TrySendError::Full(_) => Refused::Busy(Box::new(busy())),
        TrySendError::Disconnected(_) => Refused::Ended(thread),
    })
}
