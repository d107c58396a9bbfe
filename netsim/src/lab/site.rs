//! A mesh that serves a bundle, stands on some ground, is watched, and can be hurt.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rocoin::id::NodeId;
use rocoin::membership::State;
use rocoin::node::NodeSnapshot;

use super::{Ground, GroundKind, LabError, SmallDisk, leftovers};
use crate::harness::{
    EventLog, Images, Load, LoadOptions, Mesh, Moment, NodeOptions, TimedEvent, is_redundant, is_whole,
};

/// Emulated compute, GFLOP/s, in turn: boards of a few generations. Sleeping makes up the difference, so many fit on one machine.
const GFLOPS: [f64; 8] = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0];
/// RAM for students, bytes: room for some, not for a teacher.
const MEMORY_BYTES: u64 = 16 << 20;
/// A mesh that is not whole by then has not come together, or has not recovered.
pub(super) const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks at files.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between two looks at all nodes' status.
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// Nodes for which the load is one request every [`LoadOptions::default`]'s pace; more nodes run more replicas of each request on the
/// same cores, so that larger meshes are asked less often.
const LOAD_NODES: usize = 8;

/// What is served, and by which program.
#[derive(Debug, Clone)]
pub struct Service {
    /// The program `rocoin`.
    pub binary: PathBuf,
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The model's name.
    pub model: String,
    /// Its parts.
    pub parts: usize,
    /// What is asked about.
    pub images: Arc<Images>,
}

/// A mesh to be set up.
#[derive(Clone)]
pub struct SiteOptions {
    /// Nodes.
    pub nodes: usize,
    /// On what.
    pub ground: GroundKind,
    /// What it serves.
    pub service: Arc<Service>,
    /// Whether each node's state is on a small disk that can be filled; needs root.
    pub small_disks: bool,
    /// Whether the nodes are to find out who is alive by plain time-outs.
    pub plain_timeouts: bool,
    /// The rate of every host's link, each way, from before its node starts until the network is healed; `None`: as fast as the machine is.
    /// Loopback has none.
    pub link_bits_per_s: Option<u64>,
    /// Where the nodes' logs and event files are kept at the end; a mesh that follows writes over them.
    pub logs: Option<PathBuf>,
    /// Set by Ctrl-C: whatever waits ends with [`LabError::Interrupted`].
    pub interrupted: Arc<AtomicBool>,
    /// Told how things go, for people.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for SiteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteOptions").field("nodes", &self.nodes).field("ground", &self.ground).finish_non_exhaustive()
    }
}

/// A mesh that serves. Dropping it ends the nodes and removes all that was made.
#[derive(Debug)]
pub struct Site {
    // Dropped in this order: the nodes' folder, then their hosts.
    mesh: Mesh,
    ground: Ground,
    logs: Vec<EventLog>,
    disks: Vec<SmallDisk>,
    options: SiteOptions,
}

impl Site {
    /// Starts the nodes, waits until they are one mesh, gives them the bundle, and waits until each part is held twice.
    ///
    /// # Errors
    /// [`LabError`]; nothing is left of it then.
    pub fn start(options: SiteOptions) -> Result<Self, LabError> {
        let devices = (0..options.nodes).map(|node| NodeOptions {
            emulate_flops_per_s: Some(GFLOPS[node % GFLOPS.len()] * 1e9),
            memory_bytes: Some(MEMORY_BYTES),
            ..NodeOptions::named(&format!("device-{}", node + 1))
        });
        let devices = devices.collect();
        Self::of(devices, options)
    }

    /// The same, with devices of one's own; how many they are counts, not [`SiteOptions::nodes`].
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn of(mut devices: Vec<NodeOptions>, options: SiteOptions) -> Result<Self, LabError> {
        leftovers::sweep();
        let ground = Ground::new(options.ground, devices.len())?;
        if let (Some(hosts), Some(rate)) = (ground.hosts(), options.link_bits_per_s) {
            (0..devices.len()).try_for_each(|host| hosts.limit_rate(host, Some(rate)))?;
        }
        let mut mesh = Mesh::in_folder(&leftovers::folder_prefix(), &options.service.binary)?;
        let (mut logs, mut disks) = (Vec::new(), Vec::new());
        for (node, device) in devices.iter_mut().enumerate() {
            let events = mesh.dir().join(format!("{}.events.jsonl", device.name));
            logs.push(EventLog::new(&events));
            if options.small_disks {
                disks.push(SmallDisk::mount(&mesh.dir().join(&device.name).join("state"))?);
            }
            device.flags.extend(["--workers", "1", "--event-file"].map(str::to_owned));
            device.flags.push(events.to_string_lossy().into_owned());
            if options.plain_timeouts {
                device.flags.push("--plain-timeouts".to_owned());
            }
            match options.ground {
                GroundKind::Namespaces => {
                    (device.place, device.mdns, device.seeded) = (ground.place(node), true, false)
                }
                GroundKind::Loopback => device.flags.push("--fault-injection".to_owned()),
            }
        }
        let count = devices.len();
        let started = mesh.start_all(devices);
        let mut site = Self { mesh, ground, logs, disks, options };
        started?;
        site.wait_for_whole("all nodes see each other", |site| site.all_see(count))?;
        site.mesh.deploy(&site.options.service.bundle)?;
        site.wait_for_whole("every part is held twice", Self::recovered)?;
        Ok(site)
    }

    /// The processes.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The processes, to be changed.
    pub fn mesh_mut(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    /// A node's small disk, if it has one.
    pub fn disk(&self, node: usize) -> Option<&SmallDisk> {
        self.disks.get(node)
    }

    /// What they stand on.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// What it was set up with.
    pub fn options(&self) -> &SiteOptions {
        &self.options
    }

    /// Tells people.
    pub fn say(&self, text: &str) {
        (self.options.say)(text);
    }

    /// How many nodes there are, running or not.
    pub fn nodes(&self) -> usize {
        self.mesh.nodes().len()
    }

    /// The nodes that run and are not frozen.
    pub fn well(&self) -> Vec<usize> {
        self.mesh.well().map(|(node, _)| node).collect()
    }

    /// A node's identity.
    ///
    /// # Errors
    /// [`LabError::Harness`] if it was never started.
    pub fn id(&self, node: usize) -> Result<NodeId, LabError> {
        Ok(self.mesh.nodes()[node].id()?)
    }

    /// The nodes of these identities.
    pub fn indices(&self, ids: &BTreeSet<NodeId>) -> Vec<usize> {
        ids.iter().filter_map(|id| self.mesh.index_of(*id)).collect()
    }

    /// What some well node knows now.
    ///
    /// # Errors
    /// [`LabError::Unmeasured`] if none answers.
    pub fn status(&self) -> Result<NodeSnapshot, LabError> {
        let status = self.mesh.well().find_map(|(_, node)| node.status().ok());
        status.ok_or_else(|| LabError::Unmeasured("no node answers".to_owned()))
    }

    /// kill -9 to all of these; the moment before.
    ///
    /// # Errors
    /// [`LabError::Harness`].
    pub fn kill(&mut self, nodes: &[usize]) -> Result<Moment, LabError> {
        let at = Moment::now();
        self.mesh.kill_all(nodes)?;
        Ok(at)
    }

    /// Only nodes of one side reach each other from now on.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn part(&self, sides: &[&[usize]]) -> Result<Moment, LabError> {
        let at = Moment::now();
        self.ground.part(&self.mesh, sides)?;
        Ok(at)
    }

    /// One node reaches nobody from now on, and nobody notices by itself.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn cut(&self, node: usize) -> Result<Moment, LabError> {
        if let Some(hosts) = self.ground.hosts() {
            let at = Moment::now();
            hosts.cut(&[node])?;
            return Ok(at);
        }
        let others: Vec<usize> = (0..self.nodes()).filter(|other| *other != node).collect();
        self.part(&[&others, &[node]])
    }

    /// The network is well again.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn heal(&self) -> Result<Moment, LabError> {
        let at = Moment::now();
        self.ground.heal(&self.mesh)?;
        Ok(at)
    }

    /// Makes everything well: thaws, heals, starts what is dead; and waits until the mesh is whole and each part held twice.
    ///
    /// # Errors
    /// [`LabError::Harness`] with what is lacking when time is up.
    pub fn restore(&mut self) -> Result<(), LabError> {
        for node in 0..self.nodes() {
            let process = self.mesh.node(node);
            if process.is_running() && !process.is_well() {
                process.thaw()?;
            }
        }
        self.heal()?;
        for node in 0..self.nodes() {
            if !self.mesh.nodes()[node].is_running() {
                self.start_again(node)?;
            }
        }
        self.wait_for_whole("the mesh is whole again", Self::recovered)
    }

    /// Starts a node that was killed, as its ground wants it: told of others, or left to find them.
    ///
    /// # Errors
    /// [`LabError::Harness`] with its log.
    pub fn start_again(&mut self, node: usize) -> Result<(), LabError> {
        match self.options.ground {
            GroundKind::Namespaces => self.mesh.node(node).start(&[])?,
            GroundKind::Loopback => self.mesh.restart(node)?,
        }
        Ok(())
    }

    /// All well nodes are one mesh, and every part is held twice.
    ///
    /// # Errors
    /// What is lacking, for people.
    pub fn recovered(&self) -> Result<(), String> {
        let statuses = self.mesh.statuses();
        self.is_one_mesh(&self.well(), &statuses)?;
        statuses.iter().try_for_each(|(_, status)| is_redundant(status, self.options.service.parts))
    }

    /// Waits until nothing is left of older plans: each part is ready just where the plan has it. A mesh that is whole gets there by
    /// itself within some seconds.
    ///
    /// # Errors
    /// [`LabError::Unmeasured`] with what is lacking when time is up.
    pub fn rest(&mut self) -> Result<(), LabError> {
        self.wait_for_whole("nothing is left of older plans", |site| {
            site.recovered()?;
            let is_left = |(_, status): &(usize, NodeSnapshot)| {
                let set = |ids: &[NodeId]| ids.iter().copied().collect::<BTreeSet<_>>();
                status.parts.iter().any(|part| set(&part.group) != set(&part.ready))
            };
            let left = site.mesh.statuses().into_iter().find(is_left);
            left.map_or(Ok(()), |(_, status)| Err(format!("{} has more or less ready than planned", status.name)))
        })
    }

    /// These nodes are one mesh by what each of them says now.
    ///
    /// # Errors
    /// What is lacking, for people.
    pub fn whole(&self, side: &[usize]) -> Result<(), String> {
        self.is_one_mesh(side, &self.mesh.statuses())
    }

    fn is_one_mesh(&self, side: &[usize], statuses: &[(usize, NodeSnapshot)]) -> Result<(), String> {
        let ids: BTreeSet<NodeId> = side.iter().filter_map(|node| self.id(*node).ok()).collect();
        let statuses: Vec<_> = statuses.iter().filter(|(node, _)| side.contains(node)).map(|(_, s)| s).collect();
        is_whole(&ids, &statuses, self.options.service.parts)
    }

    fn all_see(&self, count: usize) -> Result<(), String> {
        let statuses = self.mesh.statuses();
        let seen =
            |status: &NodeSnapshot| status.members.iter().filter(|m| m.state == State::Alive && m.routable).count();
        let least = statuses.iter().map(|(_, status)| seen(status)).min().unwrap_or(0);
        let is_one = statuses.windows(2).all(|two| two[0].1.leader == two[1].1.leader);
        let holds = statuses.len() == count && least == count && is_one;
        if holds { Ok(()) } else { Err(format!("one of {} nodes sees {least} of {count}", statuses.len())) }
    }

    /// What a node noted from a moment on.
    pub fn events(&mut self, node: usize, since: Moment) -> &[TimedEvent] {
        self.logs[node].since(since)
    }

    /// When a node first noted this of a member, after a moment.
    pub fn first(&mut self, node: usize, since: Moment, event: &str, member: NodeId) -> Option<Moment> {
        self.events(node, since).iter().find(|e| e.is(event, member)).map(|e| e.at)
    }

    /// Forgets what was noted before a moment.
    pub fn forget_before(&mut self, moment: Moment) {
        self.logs.iter_mut().for_each(|log| log.forget_before(moment));
    }

    /// A steady load on these nodes.
    ///
    /// # Errors
    /// [`LabError::Harness`] if one was never started.
    pub fn load(&self, targets: &[usize]) -> Result<Load, LabError> {
        let Service { images, model, .. } = &*self.options.service;
        let clients = targets.iter().map(|node| self.mesh.nodes()[*node].client()).collect::<Result<_, _>>()?;
        Ok(Load::start(Arc::clone(images), model.clone(), self.load_options(), clients))
    }

    /// How much is asked of a mesh of this size.
    pub fn load_options(&self) -> LoadOptions {
        let usual = LoadOptions::default();
        let times = u32::try_from(self.nodes().div_ceil(LOAD_NODES)).unwrap_or(u32::MAX);
        LoadOptions { pace: usual.pace * times, ..usual }
    }

    /// Waits so long.
    ///
    /// # Errors
    /// [`LabError::Interrupted`].
    pub fn pause(&self, time: Duration) -> Result<(), LabError> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.check()?;
            std::thread::sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    /// Looks often until there is a value, or time is up.
    ///
    /// # Errors
    /// [`LabError::Interrupted`], or of a look.
    pub fn watch<T>(
        &mut self,
        within: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, LabError>,
    ) -> Result<Option<T>, LabError> {
        let end = Instant::now() + within;
        loop {
            self.check()?;
            if let Some(value) = look(self)? {
                return Ok(Some(value));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits for something that must come about.
    pub(super) fn wait_for_whole(
        &mut self,
        what: &str,
        holds: impl Fn(&Self) -> Result<(), String>,
    ) -> Result<(), LabError> {
        let end = Instant::now() + WHOLE_WITHIN;
        loop {
            self.check()?;
            match holds(self) {
                Ok(()) => return Ok(()),
                Err(lacking) if Instant::now() >= end => {
                    let seconds = WHOLE_WITHIN.as_secs();
                    return Err(LabError::Unmeasured(format!("after {seconds} s still not: {what}; {lacking}")));
                }
                Err(_) => std::thread::sleep(STATUS_EVERY),
            }
        }
    }

    /// What cannot be copied is said, and missing.
    fn keep_logs(&self, folder: &Path) {
        for node in self.mesh.nodes() {
            let name = node.name();
            for (from, to) in [
                (node.dir().join("log"), format!("{name}.log")),
                (self.mesh.dir().join(format!("{name}.events.jsonl")), format!("{name}.events.jsonl")),
            ] {
                let copied = std::fs::create_dir_all(folder).and_then(|()| std::fs::copy(&from, folder.join(&to)));
                if let Err(error) = copied {
                    self.say(&format!("cannot keep {to} in {}: {error}", folder.display()));
                }
            }
        }
    }

    /// # Errors
    /// [`LabError::Interrupted`].
    pub(super) fn check(&self) -> Result<(), LabError> {
        if self.options.interrupted.load(Ordering::Relaxed) { Err(LabError::Interrupted) } else { Ok(()) }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Nodes end before their disks go, and those before the folder in which they are mounted.
        for node in 0..self.nodes() {
            let _ = self.mesh.node(node).kill();
        }
        if let Some(folder) = &self.options.logs {
            self.keep_logs(folder);
        }
        self.disks.clear();
    }
}
