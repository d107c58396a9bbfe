//! What nodes write to their disks and read from them, and how long that takes.

use rocoin::blob::Blob;
use rocoin::bugs::Bug;
use rocoin::deployment::ChunkError;
use rocoin::id::{Digest, NodeId};
use rocoin::node::{Durable, Input, WriteId};
use rocoin::time::Duration;

use super::World;
use super::event::Event;
use super::host::{Waiting, Writing};
use crate::fact::{Fact, HostId};

/// Writing and reading artifacts, bytes/s.
const DISK_BYTES_PER_S: f64 = 40e6;
/// With the bug, a write is confirmed so much before it is on the disk.
const SYNC_SKIPPED: Duration = Duration::from_secs(5);

impl World {
    /// Puts every artifact of the first bundle on a host's disk.
    pub(super) fn fill_disk(&mut self, host: HostId) {
        let Some(model) = self.models.first().cloned() else { return };
        self.host_mut(host).disk.artifacts.extend(model.artifacts().iter().map(|(d, b)| (*d, b.clone())));
    }

    /// A later state contains an earlier one: of those that wait only the last is written.
    pub(super) fn persist(&mut self, host: HostId, write: WriteId, durable: Durable) {
        if self.bugs.has(Bug::SkipSync) {
            self.later(host, Duration::ZERO, Input::Persisted { write, result: Ok(()) });
        }
        let pace = self.random.between(1.0, 2.0);
        let disk = &mut self.host_mut(host).disk;
        if disk.writing.is_none() {
            return self.write(host, Waiting { ids: vec![write], durable, pace });
        }
        let mut ids = disk.waiting.take().map(|waiting| waiting.ids).unwrap_or_default();
        ids.push(write);
        disk.waiting = Some(Waiting { ids, durable, pace });
    }

    fn write(&mut self, host: HostId, Waiting { ids, durable, pace }: Waiting) {
        let (sync, slow) = (self.host(host).spec.sync_s, self.host(host).disk.slow);
        let mut takes = Duration::from_secs_f64(sync * slow * pace);
        if self.bugs.has(Bug::SkipSync) {
            takes += SYNC_SKIPPED;
        }
        let done = self.now + takes;
        self.host_mut(host).disk.writing = Some(Writing { ids, durable, done });
        self.await_write(host);
    }

    pub(super) fn await_write(&mut self, host: HostId) {
        let life = self.host(host).life;
        if let Some(done) = self.host(host).disk.writing.as_ref().map(|write| write.done) {
            self.queue.push(done, Event::Written { host, life });
        }
    }

    /// A synced write is done, unless it will be done at another time by now.
    pub(super) fn written(&mut self, host: HostId, life: u32) {
        let now = self.now;
        let h = self.host_mut(host);
        let Some(write) = h.disk.writing.take_if(|write| h.life == life && write.done == now) else { return };
        let full = h.disk.full;
        if !full {
            let wanted = write.durable.desired.as_ref().map(|desired| desired.sequence);
            h.disk.durable = write.durable;
            self.tell(Fact::Written { host, wanted });
        }
        if !self.bugs.has(Bug::SkipSync) {
            let result = if full { Err("no space left on device".to_owned()) } else { Ok(()) };
            for write in write.ids {
                self.later(host, Duration::ZERO, Input::Persisted { write, result: result.clone() });
            }
        }
        if let Some(next) = self.host_mut(host).disk.waiting.take() {
            self.write(host, next);
        }
    }

    pub(super) fn store(&mut self, host: HostId, artifact: Digest, bytes: Blob) {
        let disk = &self.host(host).disk;
        let wait = time_for(bytes.len(), DISK_BYTES_PER_S).mul_f64(disk.slow) + Duration::from_millis(1);
        let room = disk.used_bytes() + bytes.len() as u64 <= self.host(host).spec.disk_bytes.max(1 << 20);
        let sound = Digest::of(bytes.as_bytes()) == artifact;
        let result = if disk.full || !room { Err("no space left on device".to_owned()) } else { Ok(()) };
        if result.is_ok() {
            let h = self.host_mut(host);
            h.disk.artifacts.insert(artifact, bytes);
            h.disk.unsynced.insert(artifact);
            if sound {
                h.disk.damaged.remove(&artifact);
                h.verified.insert(artifact);
            } else {
                h.disk.damaged.insert(artifact);
            }
        }
        self.tell(Fact::Fetched { host, artifact, sound });
        self.later(host, wait, Input::ArtifactStored { artifact, result });
    }

    pub(super) fn read_chunk(&mut self, host: HostId, to: NodeId, (artifact, offset, length): (Digest, u64, u32)) {
        let h = self.host_mut(host);
        let is_gone = !h.verified.contains(&artifact) && !h.verify(artifact);
        if is_gone {
            self.tell_stored(host);
        }
        let disk = &self.host(host).disk;
        let chunk = disk.artifacts.get(&artifact).and_then(|blob| {
            let from = usize::try_from(offset).ok()?.min(blob.len());
            let end = from.saturating_add(usize::try_from(length).ok()?).min(blob.len());
            Some((blob.len() as u64, blob.as_bytes()[from..end].iter().copied().collect()))
        });
        let chunk = chunk.ok_or(ChunkError::Absent);
        let wait = (time_for(usize::try_from(length).unwrap_or(0), DISK_BYTES_PER_S) + Duration::from_micros(50))
            .mul_f64(disk.slow);
        self.later(host, wait, Input::ChunkRead { to, artifact, offset, chunk });
    }

    pub(super) fn tell_stored(&mut self, host: HostId) {
        let disk = &self.host(host).disk;
        let held: Vec<_> = disk.artifacts.keys().copied().collect();
        let sound = held.iter().filter(|artifact| disk.is_sound(**artifact)).copied().collect();
        self.tell(Fact::Stored { host, held, sound });
    }
}

/// How long so many bytes take.
pub(super) fn time_for(bytes: usize, per_s: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "files are far smaller than 2^53 bytes")]
    Duration::from_secs_f64(bytes as f64 / per_s)
}
