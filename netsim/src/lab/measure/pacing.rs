//! Pacing: a bundle is fetched by all over links of 1 Mbit/s. Nobody is suspected, and requests take hardly longer than without it.
//!
//! It is what `netsim/tests/pacing.rs` shows in the simulator, on sockets. The clients ask in mode `hedged`, as is wise in such networks: one
//! input to seven replicas would keep such a link busy for longer than a probe waits.

use std::process::{Child, Stdio};
use std::time::Duration;

use rocoin::inference::Mode;
use rocoin::node::NodeSnapshot;

use super::{Count, LabError, Measured, Requests, Series, Site, SiteOptions, Statistic, Target, Trials, reasons};
use crate::harness::{Load, LoadOptions, Moment, NodeOptions, Outcome};
use crate::lab::GroundKind;
use crate::lab::made_up::MadeUp;

const NODES: usize = 8;
const PARTS: u16 = 2;
/// Of every host's link, each way, bit/s.
const LINK_BITS_PER_S: u64 = 1_000_000;
/// Of a student, FLOP, and of a device, FLOP/s: a run takes 50 ms.
const FLOPS: u64 = 20_000_000;
const FLOPS_PER_S: f64 = 4e8;
/// Of a student of the bundle that is served all the while.
const FILE_BYTES: usize = 20_000;
/// The first requests tell the coordinators how long replicas take.
const WARM_UP: Duration = Duration::from_secs(10);
/// Three requests a second; an attempt may take long.
const LOAD: LoadOptions =
    LoadOptions { clients: 2, pace: Duration::from_millis(667), attempt: Duration::from_secs(10) };
/// So many times as long may a request take while the bundle is fetched.
const GROWTH: f64 = 1.2;

/// What a mesh did in some time.
struct Watched {
    outcomes: Vec<Outcome>,
    suspicions: usize,
    verdicts: usize,
}

pub(super) fn measure(options: &SiteOptions, trials: &Trials) -> Result<Measured, LabError> {
    if options.ground == GroundKind::Loopback {
        let notes = vec!["not measured: slow links need hosts of their own".to_owned()];
        let (target, ground) = (Target::PACING, options.ground);
        return Ok(Measured { target, nodes: NODES, ground, series: Vec::new(), counts: Vec::new(), notes });
    }
    let served = MadeUp { version: 1, parts: PARTS, flops: FLOPS, file_bytes: FILE_BYTES };
    let folder = served.write()?;
    let service = served.service(folder.path(), &options.service)?;
    let device = |node: usize| NodeOptions {
        emulate_flops_per_s: Some(FLOPS_PER_S),
        flags: ["--link-bits-per-s".to_owned(), LINK_BITS_PER_S.to_string()].to_vec(),
        ..NodeOptions::named(&format!("device-{}", node + 1))
    };
    // From the start: what a node has learned of a link is of no use once another rate is set.
    let options = SiteOptions { nodes: NODES, service, link_bits_per_s: Some(LINK_BITS_PER_S), ..options.clone() };
    let mut site = Site::of((0..NODES).map(device).collect(), options)?;
    site.rest()?;
    site.say(&format!("pacing for {} s without, and as long with a bundle on its way", trials.pacing.as_secs()));
    let load = start_load(&site)?;
    watch(&mut site, &load, WARM_UP)?;
    let without = watch(&mut site, &load, trials.pacing)?;
    // No link carries all of it in the time.
    let file_bytes = usize::try_from(LINK_BITS_PER_S / 8 * (trials.pacing.as_secs() + 5)).unwrap_or(usize::MAX);
    let next = MadeUp { version: 2, file_bytes: file_bytes / usize::from(PARTS), ..served };
    let next = next.write()?;
    let _deploying = Deploying::start(&site, next.path())?;
    let before = fetched(&site);
    let with = watch(&mut site, &load, trials.pacing)?;
    let bytes = fetched(&site) - before;
    drop(load);
    let mut measured = compare(&site, &without, &with);
    measured.counts.push(Count::of("bytes fetched meanwhile, all nodes", usize::try_from(bytes).unwrap_or(usize::MAX)));
    measured.notes.push(format!("links of {} Mbit/s, mode hedged, 3 requests/s", LINK_BITS_PER_S / 1_000_000));
    Ok(measured)
}

fn compare(site: &Site, without: &Watched, with: &Watched) -> Measured {
    let series = |name: &str, watched: &Watched| {
        let mut series = Series::new(name, "ms");
        let answered = watched.outcomes.iter().filter(|outcome| !outcome.is_failed());
        series.values = answered.map(|outcome| outcome.took.as_secs_f64() * 1e3).collect();
        series
    };
    let undisturbed = series("answers without a bundle on its way", without);
    let mut disturbed = series("answers with a bundle on its way", with);
    for of in [Statistic::P50, Statistic::P95] {
        disturbed = disturbed.at_most(of, undisturbed.statistic(of).unwrap_or_default() * GROWTH);
    }
    // A busy machine makes a node late, and late nodes are suspected: a quick check does not mind.
    let mut suspicions = Series::new("suspicions with it on its way", "").at_most(Statistic::Max, 0.0);
    #[expect(clippy::cast_precision_loss, reason = "some few")]
    suspicions.push(Some(with.suspicions as f64));
    let mut requests = Requests::default();
    requests.add(&with.outcomes);
    let mut counts = requests.counts(Some(0)).to_vec();
    counts.push(Count::at_most("verdicts", with.verdicts, 0));
    counts.push(Count::of("suspicions without it", without.suspicions));
    let shown = |series: &Series| {
        let [p50, p95] = [Statistic::P50, Statistic::P95].map(|of| series.statistic(of).unwrap_or_default());
        format!("{p50:.1} and {p95:.1} ms")
    };
    let mut notes = vec![format!("p50 and p95 without: {}; with: {}", shown(&undisturbed), shown(&disturbed))];
    notes.extend(reasons(&with.outcomes));
    Measured { series: vec![undisturbed, disturbed, suspicions], counts, notes, ..Measured::on(site, Target::PACING.0) }
}

fn start_load(site: &Site) -> Result<Load, LabError> {
    let service = &site.options().service;
    let client = |node: usize| Ok(site.mesh().nodes()[node].client()?.in_mode(Some(Mode::Hedged)));
    let clients = (0..site.nodes()).map(client).collect::<Result<_, LabError>>()?;
    Ok(Load::start(service.images.clone(), service.model.clone(), LOAD, clients))
}

/// Lets the load run for some time.
fn watch(site: &mut Site, load: &Load, time: Duration) -> Result<Watched, LabError> {
    load.take_outcomes();
    let start = Moment::now();
    site.pause(time)?;
    let outcomes = load.take_outcomes();
    let mut noted = |what: &str| {
        let of = |node: usize| site.events(node, start).iter().filter(|event| event.event == what).count();
        (0..NODES).map(of).sum()
    };
    let (suspicions, verdicts) = (noted("suspected"), noted("down"));
    Ok(Watched { outcomes, suspicions, verdicts })
}

/// Bytes of chunks that came to any node until now.
fn fetched(site: &Site) -> u64 {
    let of = |status: &NodeSnapshot| status.counters.get("network_bulk_received_bytes").copied().unwrap_or(0);
    site.mesh().statuses().iter().map(|(_, status)| of(status)).sum()
}

/// `rocoin deploy`, which would wait until the bundle is served.
struct Deploying(Child);

impl Deploying {
    fn start(site: &Site, bundle: &std::path::Path) -> Result<Self, LabError> {
        let node = &site.mesh().nodes()[0];
        let http = node.announcement()?.http.clone();
        let mut command = node.command();
        command.arg("deploy").arg(bundle).args(["--node", &http]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.map_err(LabError::system("run `rocoin deploy`"))?))
    }
}

impl Drop for Deploying {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
