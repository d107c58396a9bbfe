//! What is done to nodes, for how long, and how it ends.

use std::time::{Duration, Instant};

use super::{FaultEntry, WITNESSES, hurt_max};
use crate::lab::hosts::{Impairment, Line};
use crate::lab::{GroundKind, LabError, Site, SmallDisk, Starved};
use crate::random::Random;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// kill -9, started again later.
    Kill,
    /// kill -9, and its disk is gone when it starts again.
    Wipe,
    /// SIGTERM, started again later.
    Leave,
    /// SIGSTOP and SIGCONT.
    Freeze,
    /// Reaches nobody.
    Cut,
    /// The mesh in two halves.
    Halves,
    /// Delay, jitter and loss both ways.
    BadLine,
    /// What it sends arrives, what is sent to it does not.
    Deaf,
    /// A slow link.
    Slow,
    /// No byte is free on its disk.
    FullDisk,
    /// Little processor time.
    Starve,
}

impl Kind {
    /// One that this ground can do.
    pub(super) fn draw(random: &mut Random, ground: GroundKind) -> Self {
        const ANYWHERE: [Kind; 7] =
            [Kind::Kill, Kind::Wipe, Kind::Leave, Kind::Freeze, Kind::Cut, Kind::Halves, Kind::Starve];
        const ON_HOSTS: [Kind; 4] = [Kind::BadLine, Kind::Deaf, Kind::Slow, Kind::FullDisk];
        let kinds: Vec<Self> = match ground {
            GroundKind::Namespaces => [&ANYWHERE[..], &ON_HOSTS[..]].concat(),
            GroundKind::Loopback => ANYWHERE.to_vec(),
        };
        *random.pick(&kinds).unwrap_or(&Self::Kill)
    }

    fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Wipe | Self::Leave)
    }

    fn is_of_the_network(self) -> bool {
        matches!(self, Self::Cut | Self::Halves)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Wipe => "killed, its disk wiped",
            Self::Leave => "told to leave",
            Self::Freeze => "stopped",
            Self::Cut => "cut off",
            Self::Halves => "cut in halves",
            Self::BadLine => "on a bad line",
            Self::Deaf => "deaf",
            Self::Slow => "on a slow link",
            Self::FullDisk => "with a full disk",
            Self::Starve => "starved",
        }
    }
}

/// A fault that is on.
#[derive(Debug)]
struct Open {
    kind: Kind,
    nodes: Vec<usize>,
    until: Instant,
    starved: Option<Starved>,
}

/// The faults that are on.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Open>);

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does something to a node that is well; `None` if enough are hurt already, or it does not go with what is on.
    pub(super) fn begin(
        &mut self,
        site: &mut Site,
        kind: Kind,
        random: &mut Random,
        start: Instant,
        now: Instant,
    ) -> Result<Option<FaultEntry>, LabError> {
        let hurt: Vec<usize> =
            self.0.iter().filter(|open| open.kind != Kind::Halves).flat_map(|o| o.nodes.clone()).collect();
        // Cuts are made by moving all hosts, so there is one at a time.
        let is_cut = self.0.iter().any(|open| open.kind.is_of_the_network());
        if hurt.len() >= hurt_max(site.nodes()) || (is_cut && kind.is_of_the_network()) {
            return Ok(None);
        }
        let first = if kind.kills() { WITNESSES } else { 0 };
        let candidates: Vec<usize> = (first..site.nodes()).filter(|node| !hurt.contains(node)).collect();
        let Some(&node) = random.pick(&candidates) else { return Ok(None) };
        let mut nodes = vec![node];
        let mut starved = None;
        match kind {
            Kind::Kill | Kind::Wipe => {
                site.kill(&nodes)?;
            }
            Kind::Leave => {
                site.mesh_mut().node(node).stop()?;
            }
            Kind::Freeze => site.mesh_mut().node(node).freeze()?,
            Kind::Cut => {
                site.cut(node)?;
            }
            Kind::Halves => {
                let mut all: Vec<usize> = (0..site.nodes()).collect();
                random.shuffle(&mut all);
                let (left, right) = all.split_at(all.len() / 2);
                site.part(&[left, right])?;
                nodes = left.to_vec();
            }
            Kind::BadLine => {
                let ms = |random: &mut Random, low, high| Duration::from_secs_f64(random.between(low, high) / 1e3);
                let line = Line {
                    delay: ms(random, 2.0, 40.0),
                    jitter: ms(random, 0.0, 20.0),
                    loss: random.between(0.0, 0.05),
                };
                impair(site, node, Impairment::both(line))?;
            }
            Kind::Deaf => {
                let received = Line { loss: 1.0, ..Line::default() };
                impair(site, node, Impairment { received, ..Impairment::default() })?;
            }
            Kind::Slow => limit(site, node, Some(2_000_000))?,
            Kind::FullDisk => site.disk(node).map_or(Ok(()), SmallDisk::fill)?,
            Kind::Starve => {
                let pids: Vec<u32> = site.mesh().nodes()[node].pid().into_iter().collect();
                starved = Some(Starved::new(&pids));
            }
        }
        let lasts = Duration::from_secs_f64(random.log_between(0.5, 12.0));
        let names: Vec<String> = nodes.iter().map(|node| site.mesh().nodes()[*node].name().to_owned()).collect();
        self.0.push(Open { kind, nodes, until: now + lasts, starved });
        let what = format!("{} {}", names.join(", "), kind.words());
        Ok(Some(FaultEntry { at_s: (now - start).as_secs_f64(), lasts_s: lasts.as_secs_f64(), what }))
    }

    /// Ends what has lasted long enough; whether anything has.
    pub(super) fn end_those_due(&mut self, site: &mut Site, now: Instant) -> Result<bool, LabError> {
        let (due, on): (Vec<Open>, Vec<Open>) = self.0.drain(..).partition(|open| open.until <= now);
        self.0 = on;
        let any = !due.is_empty();
        for open in due {
            self.end(site, open)?;
        }
        Ok(any)
    }

    fn end(&self, site: &mut Site, open: Open) -> Result<(), LabError> {
        let Open { kind, nodes, starved, .. } = open;
        drop(starved);
        let node = nodes[0];
        match kind {
            Kind::Kill | Kind::Leave => site.start_again(node)?,
            Kind::Wipe => {
                site.mesh_mut().node(node).wipe()?;
                site.start_again(node)?;
            }
            Kind::Freeze => site.mesh_mut().node(node).thaw()?,
            Kind::Cut | Kind::Halves => rejoin(site)?,
            Kind::BadLine | Kind::Deaf => impair(site, node, Impairment::default())?,
            Kind::Slow => limit(site, node, None)?,
            Kind::FullDisk => site.disk(node).map_or(Ok(()), SmallDisk::free)?,
            Kind::Starve => {}
        }
        Ok(())
    }
}

/// Ends a cut, and leaves bad lines as they are.
fn rejoin(site: &Site) -> Result<(), LabError> {
    match site.ground().hosts() {
        Some(hosts) => hosts.join(&(0..site.nodes()).collect::<Vec<_>>(), 0),
        None => site.heal().map(|_| ()),
    }
}

fn impair(site: &Site, node: usize, impairment: Impairment) -> Result<(), LabError> {
    site.ground().hosts().map_or(Ok(()), |hosts| hosts.impair(node, impairment))
}

fn limit(site: &Site, node: usize, bits_per_s: Option<u64>) -> Result<(), LabError> {
    site.ground().hosts().map_or(Ok(()), |hosts| hosts.limit_rate(node, bits_per_s))
}
