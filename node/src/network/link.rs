//! A link to one peer: three lanes, each an outgoing stream with a bounded queue and a task, and an incoming one with a task.
//!
//! A lane that breaks while the connection stands is opened again, and the message that was being written is written once more.
//! What breaks the second stream too is dropped and counted: delivery is best effort.

use std::time::Duration;

use futures::io::BufReader;
use futures::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use libp2p_stream::OpenStreamError;
use rocoin::blob::Blob;
use rocoin::id::NodeId;
use rocoin::node::Lane;
use rocoin::wire::{Message, decode, encode};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::bucket::Bucket;
use super::config::CONNECTIONS_PER_PEER_MAX;
use super::faults::Gate;
use super::frame::{ReadError, read_frame, write_frame};
use super::{Deliver, NetworkCounters, NetworkEvent};

pub(super) const LANES: [Lane; 3] = [Lane::Control, Lane::Inference, Lane::Bulk];
/// Frames that wait for one peer in one lane; one more is dropped and counted.
const QUEUE: usize = 256;
/// Tasks of one link: its writers, and a reader for each lane of each connection that may stand. One more stream is refused.
const TASKS_MAX: usize = LANES.len() * (1 + CONNECTIONS_PER_PEER_MAX as usize);
/// What a reader sends when it listens, so that nothing is written into a stream nobody reads.
pub(super) const READY: u8 = 1;
/// A stream that is not ready after this long is opened again.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// Before a broken lane is opened again.
const REOPEN_AFTER: Duration = Duration::from_millis(50);

pub(super) const fn index(lane: Lane) -> usize {
    match lane {
        Lane::Control => 0,
        Lane::Inference => 1,
        Lane::Bulk => 2,
    }
}

/// The lane's protocol; the version is the wire's.
pub(super) const fn protocol(lane: Lane) -> StreamProtocol {
    StreamProtocol::new(match lane {
        Lane::Control => "/rocoin/control/1",
        Lane::Inference => "/rocoin/inference/1",
        Lane::Bulk => "/rocoin/bulk/1",
    })
}

#[derive(Debug)]
struct Queued {
    message: Message,
    blob: Blob,
    since: Instant,
}

/// Where messages to one peer go.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    lanes: [mpsc::Sender<Queued>; 3],
    counters: NetworkCounters,
}

impl Outbox {
    /// Queues a message; drops it if the lane's queue is full or the link is gone.
    pub(crate) fn send(&self, message: Message, blob: Blob) {
        let lane = message.lane();
        if self.lanes[index(lane)].try_send(Queued { message, blob, since: Instant::now() }).is_err() {
            self.counters.dropped(lane);
        }
    }
}

/// What a link's tasks tell the network's.
#[derive(Debug)]
pub(super) enum Report {
    /// The control lane can be written to.
    Open { link: u64, peer: PeerId },
    /// The peer does not speak our version.
    OtherVersion { peer: PeerId },
    /// The peer sent what no peer of ours sends.
    Offence { peer: PeerId, what: String },
    /// Somebody without the fleet's key was turned away; perhaps with a key that was the fleet's once.
    Knock { from: Multiaddr, retired: bool },
}

/// What all links share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) deliver: Deliver,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) gate: Gate,
    pub(super) counters: NetworkCounters,
}

/// A link to one peer. Its tasks end when it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    id: u64,
    peer: PeerId,
    node: NodeId,
    tasks: JoinSet<()>,
    outbox: Outbox,
    shared: Shared,
    /// Readers wait for it, so that the node hears of the link before it hears its messages.
    up: watch::Sender<bool>,
    /// Writers then leave the connection that they are on.
    moves: watch::Sender<()>,
}

impl Link {
    /// Starts to open the outgoing lanes; [`Report::Open`] tells when they can be used.
    pub(super) fn start(
        id: u64,
        peer: PeerId,
        node: NodeId,
        streams: &libp2p_stream::Control,
        shared: &Shared,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let moves = watch::Sender::new(());
        let lanes = LANES.map(|lane| {
            let (sender, queue) = mpsc::channel(QUEUE);
            let (streams, shared, moves) = (streams.clone(), shared.clone(), moves.subscribe());
            let writer = Writer { link: id, peer, node, lane, streams, shared, moves, writing: None };
            tasks.spawn(writer.run(queue));
            sender
        });
        let outbox = Outbox { lanes, counters: shared.counters.clone() };
        Self { id, peer, node, tasks, outbox, shared: shared.clone(), up: watch::Sender::new(false), moves }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// The link can be used: incoming lanes are read from now on.
    pub(super) fn set_up(&self) -> Outbox {
        self.up.send_replace(true);
        self.outbox.clone()
    }

    /// Another connection is to be used from now on: each lane is opened there. What was sent on the old one still arrives.
    pub(super) fn change_connection(&self) {
        self.moves.send_replace(());
    }

    /// The peer opened a lane.
    pub(super) fn accept(&mut self, lane: Lane, stream: Stream) {
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= TASKS_MAX {
            tracing::debug!(peer = %self.node.short(), "refused a stream: the peer has too many");
            return;
        }
        let reader = Reader { peer: self.peer, node: self.node, lane, shared: self.shared.clone() };
        self.tasks.spawn(reader.run(stream, self.up.subscribe()));
    }
}

struct Writer {
    link: u64,
    peer: PeerId,
    node: NodeId,
    lane: Lane,
    streams: libp2p_stream::Control,
    shared: Shared,
    moves: watch::Receiver<()>,
    /// What is being written, and whether a stream broke on it before.
    writing: Option<(Queued, bool)>,
}

impl Drop for Writer {
    /// The link is gone, and what was being written with it.
    fn drop(&mut self) {
        if self.writing.is_some() {
            self.shared.counters.dropped(self.lane);
        }
    }
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        loop {
            self.moves.mark_unchanged();
            match timeout(OPEN_TIMEOUT, self.open()).await {
                Ok(Ok(mut stream)) => {
                    if self.lane == Lane::Control {
                        let _ = self.shared.reports.send(Report::Open { link: self.link, peer: self.peer }).await;
                    }
                    match self.write_all(&mut stream, &mut queue).await {
                        Ok(Written::All) => return,
                        Ok(Written::Moves) => {
                            // What it holds is flushed already; the peer reads on to its end.
                            let _ = timeout(OPEN_TIMEOUT, stream.close()).await;
                            continue;
                        }
                        Err(_) => {}
                    }
                }
                Ok(Err(OpenStreamError::UnsupportedProtocol(_))) => {
                    let _ = self.shared.reports.send(Report::OtherVersion { peer: self.peer }).await;
                    return;
                }
                Ok(Err(_)) | Err(_) => {}
            }
            sleep(REOPEN_AFTER).await;
        }
    }

    async fn open(&mut self) -> Result<Stream, OpenStreamError> {
        let mut stream = self.streams.open_stream(self.peer, protocol(self.lane)).await?;
        stream.read_exact(&mut [READY]).await?;
        Ok(stream)
    }

    /// Writes until the queue is closed, another connection is to be used, or the stream breaks.
    async fn write_all(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        queue: &mut mpsc::Receiver<Queued>,
    ) -> std::io::Result<Written> {
        loop {
            if self.writing.is_none() {
                self.writing = tokio::select! {
                    biased;
                    Ok(()) = self.moves.changed() => return Ok(Written::Moves),
                    queued = queue.recv() => queued.map(|queued| (queued, false)),
                };
            }
            let Some((queued, _)) = &self.writing else { return Ok(Written::All) };
            match self.write(stream, queued).await {
                Ok(()) => self.writing = None,
                Err(broken) => {
                    if self.writing.take_if(|(_, broke)| std::mem::replace(broke, true)).is_some() {
                        self.shared.counters.dropped(self.lane);
                    }
                    return Err(broken);
                }
            }
        }
    }

    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), queued: &Queued) -> std::io::Result<()> {
        if !self.shared.gate.lets_out(self.node) {
            self.shared.counters.dropped(self.lane);
            return Ok(());
        }
        let delay = self.shared.gate.delay(self.node);
        if !delay.is_zero() {
            sleep_until(queued.since + delay).await;
        }
        match encode(&queued.message, &queued.blob) {
            Ok(frame) => {
                write_frame(stream, &frame).await?;
                self.shared.counters.sent(self.lane, frame.len() + 4);
            }
            Err(e) => {
                tracing::warn!(peer = %self.node.short(), "left out a message: {e}");
                self.shared.counters.dropped(self.lane);
            }
        }
        Ok(())
    }
}

/// Why a writer leaves a stream that is whole.
#[derive(Debug)]
enum Written {
    All,
    Moves,
}

/// Says to the peer that its stream is read.
async fn confirm(stream: &mut Stream) -> std::io::Result<()> {
    stream.write_all(&[READY]).await?;
    stream.flush().await
}

struct Reader {
    peer: PeerId,
    node: NodeId,
    lane: Lane,
    shared: Shared,
}

impl Reader {
    async fn run(self, mut stream: Stream, mut up: watch::Receiver<bool>) {
        if confirm(&mut stream).await.is_err() || up.wait_for(|up| *up).await.is_err() {
            return;
        }
        if let Err(what) = self.read_all(BufReader::new(stream)).await {
            let _ = self.shared.reports.send(Report::Offence { peer: self.peer, what }).await;
        }
    }

    /// Reads until the stream ends; the error is what the peer did wrong.
    async fn read_all(&self, mut stream: BufReader<Stream>) -> Result<(), String> {
        let mut bucket = Bucket::of(self.lane, Instant::now());
        loop {
            let frame = match read_frame(&mut stream, self.lane).await {
                Ok(Some(frame)) => frame,
                Ok(None) | Err(ReadError::Io(_)) => return Ok(()),
                Err(oversized @ ReadError::Oversized { .. }) => return Err(oversized.to_string()),
            };
            self.shared.counters.received(self.lane, frame.len() + 4);
            if !bucket.take(Instant::now()) {
                return Err(format!("too many frames in the {:?} lane", self.lane));
            }
            let (message, blob) = decode(&frame).map_err(|e| e.to_string())?;
            if message.lane() != self.lane {
                return Err(format!("a message of the {:?} lane in the {:?} lane", message.lane(), self.lane));
            }
            if self.shared.gate.lets_in(self.node) {
                self.deliver(NetworkEvent::Message { from: self.node, message, blob }).await;
            } else {
                self.shared.counters.dropped(self.lane);
            }
        }
    }

    /// Waits while the node is busy: the peer's stream then fills up, and its queue.
    async fn deliver(&self, event: NetworkEvent) {
        let mailbox = match self.lane {
            Lane::Control => &self.shared.deliver.control,
            Lane::Inference | Lane::Bulk => &self.shared.deliver.data,
        };
        let _ = mailbox.send(event).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;
    use crate::network::Deliver;

    const LANE: Lane = Lane::Inference;

    fn writer() -> (Writer, NetworkCounters) {
        let counters = NetworkCounters::default();
        let deliver = Deliver { control: mpsc::channel(1).0, data: mpsc::channel(1).0 };
        let (gate, _) = Gate::new(false);
        let shared = Shared { deliver, reports: mpsc::channel(1).0, gate, counters: counters.clone() };
        let streams = libp2p_stream::Behaviour::new().new_control();
        let (peer, node) = (PeerId::random(), NodeId([1; 32]));
        let moves = watch::Sender::new(()).subscribe();
        (Writer { link: 1, peer, node, lane: LANE, streams, shared, moves, writing: None }, counters)
    }

    fn queue_of(messages: u64) -> mpsc::Receiver<Queued> {
        let (sender, queue) = mpsc::channel(QUEUE);
        for counter in 0..messages {
            let generation = rocoin::id::Generation(1);
            let request = rocoin::id::RequestId { coordinator: NodeId([2; 32]), generation, counter };
            let message = Message::Inference(rocoin::inference::Message::Cancel { request });
            sender.try_send(Queued { message, blob: Blob::default(), since: Instant::now() }).unwrap();
        }
        queue
    }

    /// Takes this many bytes, then breaks.
    fn breaks_after(bytes: &mut [u8]) -> Cursor<&mut [u8]> {
        Cursor::new(bytes)
    }

    #[tokio::test]
    async fn a_message_that_a_broken_stream_cut_off_goes_out_on_the_next_one() {
        let (mut writer, counters) = writer();
        let mut queue = queue_of(2);
        assert!(writer.write_all(&mut breaks_after(&mut [0; 5]), &mut queue).await.is_err());
        let mut whole = Vec::new();
        writer.write_all(&mut whole, &mut queue).await.unwrap();
        let mut frames = Cursor::new(whole);
        for counter in 0..2 {
            let frame = read_frame(&mut frames, LANE).await.unwrap().unwrap();
            let (message, _) = decode(&frame).unwrap();
            assert!(
                matches!(message, Message::Inference(rocoin::inference::Message::Cancel { request }) if request.counter == counter)
            );
        }
        let counts = counters.lane(LANE);
        assert_eq!((counts.sent, counts.dropped), (2, 0));
    }

    #[tokio::test]
    async fn a_message_that_two_streams_broke_on_is_counted_as_dropped_and_the_rest_goes_on() {
        let (mut writer, counters) = writer();
        let mut queue = queue_of(2);
        for _ in 0..2 {
            assert!(writer.write_all(&mut breaks_after(&mut [0; 5]), &mut queue).await.is_err());
        }
        writer.write_all(&mut Vec::new(), &mut queue).await.unwrap();
        let counts = counters.lane(LANE);
        assert_eq!((counts.sent, counts.dropped), (1, 1));
    }

    #[tokio::test]
    async fn a_message_that_goes_with_its_link_is_counted_as_dropped() {
        let (mut writer, counters) = writer();
        assert!(writer.write_all(&mut breaks_after(&mut [0; 5]), &mut queue_of(1)).await.is_err());
        drop(writer);
        assert_eq!(counters.lane(LANE).dropped, 1);
    }
}
