//! A world with every knob drawn from one seed.

use std::sync::Arc;

use rocoin::bugs::Bugs;
use rocoin::fleet::Capability;
use rocoin::inference::Mode;
use rocoin::time::{Duration, Instant};

use crate::fact::Kept;
use crate::fault::{Fault, Scheduled, Target};
use crate::model::Model;
use crate::random::Random;
use crate::run::{Plan, Recovery};
use crate::world::{HostSpec, LoadSpec, NetworkSpec, Pays, Setup};

/// Hosts of a swarm world.
const HOSTS: std::ops::RangeInclusive<usize> = 3..=12;
/// No fault comes before this: the mesh forms meanwhile, more or less.
const FIRST_FAULT_S: f64 = 3.0;
/// How long things go wrong, s.
const SAFETY_S: (f64, f64) = (200.0, 240.0);
/// The mesh then has so long to recover. Ours: a suspicion under the worst local health (8 × 1.2 s × 6), and all that follows it.
const RECOVERY: Duration = Duration::from_secs(90);
/// The share of worlds whose queues are short.
const TIGHT: f64 = 0.25;
/// The share of worlds whose bundle is changed often, under full load (answers under way are what a change could break), and how
/// often on average.
const CHANGING: f64 = 0.15;
const CHANGED_EVERY: Duration = Duration::from_secs(15);
/// Requests a second, over the whole mesh.
const LOAD_RATE: (f64, f64) = (0.5, 10.0);
/// The share of worlds that are left alone for a while before some hosts fail for good, and how long: longer than what the
/// slowest invariant waits for.
const CALM: f64 = 0.3;
const CALM_FOR: Duration = Duration::from_secs(50);
/// The shares of worlds that ask replicas in another mode than `all`.
const HEDGED: f64 = 0.15;
const VERIFY: f64 = 0.15;
/// There some host begins to go wrong so often, and does so long, on average: what those modes are for.
const WRONG_EVERY: Duration = Duration::from_secs(20);
/// In mode `hedged` it becomes so much slower that the next replica has to be asked.
const SLOWER: (f64, f64) = (30.0, 300.0);
/// Runs that a device does at once.
const WORKERS_MAX: usize = 3;
/// The share of worlds in which each of these is drawn rather than as the program has it: ρ, how far local health stretches waits, how long a
/// cut has to last to end a connection, how often hosts call out, how often clients turn to another node.
const OTHERWISE: f64 = 0.2;
const RHO: (f64, f64) = (0.5, 0.999);
const HEALTH_MAX: usize = 8;
const BREAK_AFTER_S: (f64, f64) = (0.5, 10.0);
const DISCOVERY_S: (f64, f64) = (1.0, 30.0);
const RETRIES_MAX: usize = 3;
/// A made-up student of the least size needs 120 kB of RAM; four of them fit anywhere.
const MEMORY_BYTES: (f64, f64) = (6e5, 6e6);

/// The plan of a seed: the same for the same seed, and unlike those of others.
pub fn plan(seed: u64, bugs: Bugs) -> Plan {
    let mut draw = Draw { random: Random::new(seed, "swarm"), hosts: 0, clones: Vec::new() };
    draw.plan(seed, bugs)
}

/// Mostly those of the program; now and then other ones, or so tight that they are reached.
fn settings(seed: u64) -> rocoin::node::Config {
    let mut random = Random::new(seed, "swarm limits");
    let mut config = rocoin::node::Config::default();
    if random.chance(TIGHT) {
        config.coordinator.open_requests_max = 2 + random.below(6);
        config.replica.queue_max = 4 + random.below(12);
    }
    config.replica.workers = 1 + Random::new(seed, "swarm workers").below(WORKERS_MAX);
    let mut random = Random::new(seed, "swarm settings");
    if random.chance(OTHERWISE) {
        config.leadership.plan.rho = random.between(RHO.0, RHO.1);
    }
    if random.chance(OTHERWISE) {
        config.membership.health_max = 1 + u32::try_from(random.below(HEALTH_MAX)).unwrap_or(0);
    }
    config
}

/// Now and then other links, other clients, or a least number of members.
fn draw_otherwise(seed: u64, plan: &mut Plan) {
    let mut random = Random::new(seed, "swarm otherwise");
    let (hosts, setup) = (plan.setup.hosts.len(), &mut plan.setup);
    setup.network.both_ways = random.chance(OTHERWISE);
    if random.chance(OTHERWISE) {
        setup.network.pays = Pays::Payloads;
    }
    if random.chance(OTHERWISE) {
        setup.network.break_after_s = random.log_between(BREAK_AFTER_S.0, BREAK_AFTER_S.1);
    }
    if random.chance(OTHERWISE) {
        setup.network.discovery_s = random.log_between(DISCOVERY_S.0, DISCOVERY_S.1);
    }
    if random.chance(OTHERWISE) {
        setup.load.retries = u32::try_from(random.below(RETRIES_MAX + 1)).unwrap_or(0);
    }
    if random.chance(OTHERWISE) {
        let stay = plan.recovery.as_ref().map_or(hosts, |recovery| hosts - recovery.without.len());
        setup.node.leadership.min_members = 1 + random.below(stay);
    }
    // They have no word of each other but that, and one clock.
    setup.acquainted = setup.in_place && random.chance(OTHERWISE);
}

/// Now and then one bundle takes the other's place again and again, under load.
fn deploy_often(seed: u64, plan: &mut Plan) {
    let mut random = Random::new(seed, "swarm deployments");
    if !random.chance(CHANGING) {
        return;
    }
    plan.setup.load.rate_per_s = LOAD_RATE.1;
    let mut at = Instant::ZERO;
    for bundle in (0..2).cycle() {
        at = at + random.exponential(CHANGED_EVERY);
        if at >= Instant::ZERO + plan.safety {
            break;
        }
        plan.setup.schedule.push(Scheduled { at, fault: Fault::Deploy { on: Target::Random, bundle } });
    }
}

/// Mostly as the program does it; now and then the replicas are asked in another mode, and again and again some host is slow for a while, in
/// mode `hedged`, or lies, in mode `verify`.
fn draw_mode(seed: u64, plan: &mut Plan) {
    let mut random = Random::new(seed, "swarm modes");
    let hosts = plan.setup.hosts.len();
    plan.setup.load.mode = match random.unit() {
        drawn if drawn < HEDGED => Mode::Hedged,
        drawn if drawn < HEDGED + VERIFY => Mode::Verify,
        _ => return,
    };
    let (mut at, end) = (Instant::ZERO, Instant::ZERO + plan.safety);
    loop {
        at = at + random.exponential(WRONG_EVERY);
        let on = Target::Host(u32::try_from(random.below(hosts)).unwrap_or(0));
        let until = at + random.exponential(WRONG_EVERY);
        if until >= end {
            return;
        }
        let (wrong, right) = if plan.setup.load.mode == Mode::Verify {
            (Fault::Lie { on: on.clone(), lies: true }, Fault::Lie { on, lies: false })
        } else {
            let factor = random.log_between(SLOWER.0, SLOWER.1);
            (Fault::Slow { on: on.clone(), factor }, Fault::Slow { on, factor: 1.0 })
        };
        plan.setup.schedule.push(Scheduled { at, fault: wrong });
        plan.setup.schedule.push(Scheduled { at: until, fault: right });
    }
}

/// Adds a while in which nothing is wrong: some invariants demand nothing before.
fn calm_down(plan: &mut Plan, without: Vec<u32>) {
    let end = Instant::ZERO + plan.safety;
    plan.setup.schedule.retain(|line| line.at < end);
    plan.setup.schedule.push(Scheduled { at: end, fault: Fault::Calm { without } });
    plan.safety += CALM_FOR;
}

struct Draw {
    random: Random,
    hosts: usize,
    /// Hosts that become copies of others, and those others: a person has to take them apart, so that they are gone when the mesh
    /// has to recover.
    clones: Vec<u32>,
}

impl Draw {
    fn plan(&mut self, seed: u64, bugs: Bugs) -> Plan {
        self.hosts = HOSTS.start() + self.random.below(HOSTS.end() - HOSTS.start() + 1);
        let parts = 2 + u16::try_from(self.random.below(3)).unwrap_or(0);
        let variants = 100 * u64::from(parts);
        let safety = self.random.between(SAFETY_S.0, SAFETY_S.1);
        let setup = Setup {
            seed,
            hosts: (0..self.hosts).map(|_| self.host()).collect(),
            network: self.network(),
            node: settings(seed),
            models: (0..2).map(|v| Arc::new(Model::synthetic(parts, variants + v))).collect(),
            in_place: self.random.chance(0.5),
            acquainted: false,
            runs_fail: self.random.chance(0.2),
            load: self.load(),
            schedule: self.schedule(safety),
            bugs,
        };
        let clones = self.clones.clone();
        let recovery = Recovery { without: self.without(), within: RECOVERY };
        let mut plan = Plan { setup, safety: Duration::from_secs_f64(safety), recovery: Some(recovery) };
        deploy_often(seed, &mut plan);
        draw_mode(seed, &mut plan);
        draw_otherwise(seed, &mut plan);
        if Random::new(seed, "swarm calm").chance(CALM) {
            calm_down(&mut plan, clones);
        }
        plan
    }

    fn host(&mut self) -> HostSpec {
        let random = &mut self.random;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes in a range")]
        let memory_bytes = random.log_between(MEMORY_BYTES.0, MEMORY_BYTES.1) as u64;
        let capability = Capability {
            flops_per_s: random.log_between(5e7, 2e9),
            memory_bytes,
            link_bits_per_s: random.log_between(1e6, 1e9),
            link_delay_s: 0.0,
            failure_probability: random.between(0.01, 0.2),
        };
        let priority = if random.chance(0.1) { 1 } else { 0 };
        let disk_bytes = if random.chance(0.2) { 60_000 } else { 1 << 30 };
        HostSpec { capability, priority, disk_bytes, sync_s: random.log_between(0.0005, 0.05) }
    }

    fn network(&mut self) -> NetworkSpec {
        let delay_s = self.random.log_between(0.0002, 0.03);
        NetworkSpec {
            delay_s,
            jitter_s: delay_s * self.random.between(0.0, 2.0),
            loss: self.sometimes(0.3, 0.05),
            drop: self.sometimes(0.3, 0.01),
            duplicate: self.sometimes(0.3, 0.02),
            reorder: self.sometimes(0.3, 0.05),
            rate_bits_per_s: 0.0,
            pays: Pays::Everything,
            ..NetworkSpec::default()
        }
    }

    /// Zero mostly, else up to `most`.
    fn sometimes(&mut self, chance: f64, most: f64) -> f64 {
        if self.random.chance(chance) { self.random.between(0.0, most) } else { 0.0 }
    }

    fn load(&mut self) -> LoadSpec {
        LoadSpec {
            rate_per_s: self.random.log_between(LOAD_RATE.0, LOAD_RATE.1),
            from_s: 0.0,
            deadline_s: self.random.log_between(0.5, 10.0),
            min_parts: 1 + self.random.below(2),
            ..LoadSpec::default()
        }
    }

    /// Episodes: something goes wrong, and mostly is put right after a while.
    fn schedule(&mut self, safety: f64) -> Vec<Scheduled> {
        let mean = self.random.log_between(3.0, 40.0);
        let mut at = FIRST_FAULT_S;
        let mut schedule = Vec::new();
        loop {
            at += self.random.exponential(Duration::from_secs_f64(mean)).as_secs_f64();
            if at >= safety {
                return schedule;
            }
            let lasts = self.random.log_between(0.05, 40.0);
            let (wrong, right) = self.episode();
            let when = |s: f64| Instant::ZERO + Duration::from_secs_f64(s);
            schedule.push(Scheduled { at: when(at), fault: wrong });
            if let Some(fault) = right {
                schedule.push(Scheduled { at: when((at + lasts).min(safety)), fault });
            }
        }
    }

    fn any_host(&mut self) -> Target {
        Target::Host(u32::try_from(self.random.below(self.hosts)).unwrap_or(0))
    }

    /// One host by name, so that the same one is put right later; rarely the leader's, or a whole group.
    fn victims(&mut self) -> Target {
        match self.random.below(10) {
            0 => Target::Leader,
            1 => Target::Group(u16::try_from(self.random.below(2)).unwrap_or(0)),
            2 => Target::Some(1 + u32::try_from(self.random.below(self.hosts / 2)).unwrap_or(0)),
            _ => self.any_host(),
        }
    }

    /// What goes wrong, and what puts it right.
    fn episode(&mut self) -> (Fault, Option<Fault>) {
        let on = self.any_host();
        let again = on.clone();
        match self.random.below(20) {
            0..=3 => self.crash(),
            4 | 5 => (Fault::Pause { on: self.victims() }, Some(Fault::Resume { on: Target::All })),
            6 => (
                Fault::Slow { on, factor: self.random.log_between(2.0, 100.0) },
                Some(Fault::Slow { on: again, factor: 1.0 }),
            ),
            7 => {
                let (stall_s, run_s) = (self.random.log_between(0.1, 5.0), self.random.log_between(0.1, 5.0));
                (Fault::Starve { on, stall_s, run_s }, Some(Fault::Starve { on: again, stall_s: 0.0, run_s: 1.0 }))
            }
            8 | 9 => (Fault::Halves, Some(Fault::Heal)),
            10 => (Fault::Partition { sides: self.sides() }, Some(Fault::Heal)),
            11 => (Fault::Isolate { on: self.victims() }, Some(Fault::Heal)),
            12 => (Fault::Cut { from: on, to: Target::Random }, Some(Fault::Heal)),
            13 => (
                Fault::Clog { on, factor: self.random.log_between(2.0, 50.0) },
                Some(Fault::Clog { on: again, factor: 1.0 }),
            ),
            14 => {
                let (down_s, up_s) = (self.random.log_between(0.05, 5.0), self.random.log_between(0.05, 5.0));
                (
                    Fault::Flap { on, times: 2 + u32::try_from(self.random.below(8)).unwrap_or(0), down_s, up_s },
                    Some(Fault::Heal),
                )
            }
            // One file each: what is fetched then comes from a damaged disk now and then.
            15 => (Fault::CorruptArtifact { on: Target::All }, None),
            16 => (Fault::DiskFull { on, full: true }, Some(Fault::DiskFull { on: again, full: false })),
            17 => (
                Fault::DiskSlow { on, factor: self.random.log_between(2.0, 200.0) },
                Some(Fault::DiskSlow { on: again, factor: 1.0 }),
            ),
            18 => (Fault::ClockJump { on, by_s: self.random.log_between(0.1, 1000.0) }, None),
            _ => self.rare(),
        }
    }

    fn crash(&mut self) -> (Fault, Option<Fault>) {
        let disk = match self.random.below(6) {
            0 => Kept::Nothing,
            1 | 2 => Kept::All,
            _ => Kept::Synced,
        };
        let crash = Fault::Crash { on: self.victims(), disk, silent: self.random.chance(0.5) };
        (crash, self.random.chance(0.9).then_some(Fault::Restart { on: Target::All }))
    }

    fn rare(&mut self) -> (Fault, Option<Fault>) {
        let on = self.any_host();
        match self.random.below(if self.clones.is_empty() { 4 } else { 3 }) {
            0 | 1 => (Fault::Drain { on }, Some(Fault::Restart { on: Target::All })),
            2 => (Fault::Deploy { on, bundle: self.random.below(2) }, None),
            _ => {
                let drawn = self.random.below(self.hosts);
                let host = |host| u32::try_from(host).unwrap_or(0);
                // No host becomes a copy of itself.
                let is_same = on == Target::Host(host(drawn));
                let to = host(if is_same { (drawn + 1) % self.hosts } else { drawn });
                if let Target::Host(from) = on {
                    self.clones.extend([from, to]);
                }
                (Fault::Clone { from: on, to: Target::Host(to) }, None)
            }
        }
    }

    fn sides(&mut self) -> Vec<Vec<u32>> {
        let mut sides = vec![Vec::new(); 3];
        for host in 0..u32::try_from(self.hosts).unwrap_or(0) {
            sides[self.random.below(3)].push(host);
        }
        sides
    }

    /// Who fails for good: copies and originals, and sometimes some more; one host always stays.
    fn without(&mut self) -> Vec<u32> {
        let mut without = std::mem::take(&mut self.clones);
        if self.random.chance(0.5) {
            let more = self.random.below(self.hosts / 2 + 1);
            without.extend((0..more).map(|_| u32::try_from(self.random.below(self.hosts)).unwrap_or(0)));
        }
        let mut seen = std::collections::BTreeSet::new();
        without.retain(|host| seen.insert(*host));
        without.truncate(self.hosts - 1);
        without
    }
}
