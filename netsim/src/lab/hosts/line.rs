//! A bad line: delay, jitter and loss, each way by itself, in user space.
//!
//! The host's port is put on a little bridge of its own, together with a TAP device; another TAP device takes the port's place on the
//! island. Two threads carry frames from one to the other, and lose or delay them on the way. Frames keep their order, as on a wire.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tappers::{DeviceState, Interface, Tap};

use super::{LabError, Namespace, ip, port_name};
use crate::random::Random;

/// Frames under way in one direction at most; one more is lost, as in a full queue.
const FRAMES_MAX: usize = 2000;
/// The greatest frame: an Ethernet header and what fits into it; the lab's interfaces have an MTU of 1500.
const FRAME_BYTES_MAX: usize = 2048;

/// What is wrong in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Line {
    /// Every frame comes so much later.
    pub delay: Duration,
    /// And up to so much more, uniformly; frames keep their order.
    pub jitter: Duration,
    /// The share of frames that are lost, 0 to 1.
    pub loss: f64,
}

/// What is wrong with a host's line; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Impairment {
    /// With what the host sends.
    pub sent: Line,
    /// With what it receives.
    pub received: Line,
}

impl Impairment {
    /// The same both ways.
    pub fn both(line: Line) -> Self {
        Self { sent: line, received: line }
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A bad line that is in place. When it is dropped its devices are gone, and the port is on no island.
#[derive(Debug)]
pub(super) struct BadLine {
    switch: String,
    near: String,
    far: String,
    bridge: String,
    impairment: Arc<Mutex<Impairment>>,
}

impl BadLine {
    /// Puts it between a host's port and an island.
    pub(super) fn new(
        switch: &Namespace,
        host: usize,
        island: Option<usize>,
        impairment: Impairment,
    ) -> Result<Self, LabError> {
        let [near, far, bridge] = ["near", "far", "line"].map(|what| format!("{what}{host}"));
        let tap = |name: &str| -> Result<Arc<Tap>, LabError> {
            let open = || -> io::Result<Tap> {
                let mut tap = Tap::new_named(Interface::new(name)?)?;
                tap.set_state(DeviceState::Up)?;
                Ok(tap)
            };
            let tap = switch.within(open)?.map_err(LabError::system("make a TAP device (/dev/net/tun)"))?;
            Ok(Arc::new(tap))
        };
        let (inner, outer) = (tap(&near)?, tap(&far)?);
        let line =
            Self { switch: switch.name().to_owned(), near, far, bridge, impairment: Arc::new(Mutex::new(impairment)) };
        let (near, bridge, port) = (&line.near, &line.bridge, port_name(host));
        ip::batch(
            switch.name(),
            &format!(
                "link add {bridge} type bridge mcast_snooping 0 forward_delay 0\n\
                 link set {bridge} up\n\
                 link set {near} master {bridge}\n\
                 link set {port} master {bridge}\n"
            ),
        )?;
        to_island(switch, &line.far, island)?;
        line.carry(Arc::clone(&inner), Arc::clone(&outer), |impairment| impairment.sent, &format!("sent by {host}"));
        line.carry(outer, inner, |impairment| impairment.received, &format!("received by {host}"));
        Ok(line)
    }

    /// What is wrong from now on.
    pub(super) fn set(&self, impairment: Impairment) {
        *self.impairment.lock().unwrap_or_else(PoisonError::into_inner) = impairment;
    }

    /// The device that stands for the host on its island.
    pub(super) fn far_end(&self) -> &str {
        &self.far
    }

    /// Frames from one device to the other, until one is gone.
    fn carry(&self, from: Arc<Tap>, to: Arc<Tap>, way: fn(&Impairment) -> Line, label: &str) {
        let (frames, queue) = sync_channel::<(Instant, Vec<u8>)>(FRAMES_MAX);
        let impairment = Arc::clone(&self.impairment);
        let line = move || way(&impairment.lock().unwrap_or_else(PoisonError::into_inner));
        let random = Random::new(u64::from(std::process::id()), label);
        thread::spawn(move || take(&from, &frames, line, random));
        thread::spawn(move || give(&to, &queue));
    }
}

impl Drop for BadLine {
    fn drop(&mut self) {
        // Reading from a device that is gone fails, which ends the threads.
        for device in [&self.near, &self.far, &self.bridge] {
            let _ = ip::ip(&self.switch, &["link", "del", device]);
        }
    }
}

/// Puts a device of the switch on an island, or on none.
pub(super) fn to_island(switch: &Namespace, device: &str, island: Option<usize>) -> Result<(), LabError> {
    let done = match island {
        Some(island) => ip::ip(switch.name(), &["link", "set", device, "master", &format!("br{island}")]),
        None => ip::ip(switch.name(), &["link", "set", device, "nomaster"]),
    };
    done.map(|_| ())
}

/// Reads frames, loses some, and says when the rest is due.
fn take(from: &Tap, frames: &SyncSender<(Instant, Vec<u8>)>, line: impl Fn() -> Line, mut random: Random) {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut last_due = Instant::now();
    loop {
        let length = match from.recv(&mut buffer) {
            Ok(length) => length,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let Line { delay, jitter, loss } = line();
        if random.chance(loss) {
            continue;
        }
        last_due = last_due.max(Instant::now() + delay + jitter.mul_f64(random.unit()));
        match frames.try_send((last_due, buffer[..length].to_vec())) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

/// Writes frames when they are due.
fn give(to: &Tap, frames: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, frame)) = frames.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A device that refuses a frame has lost it; one that is gone ends the other thread, and that ends this one.
        let _ = to.send(&frame);
    }
}
