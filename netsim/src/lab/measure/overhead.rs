//! T10: what the mesh adds to an answer: the time from the request's arrival at its coordinator to the last answer that it needed, less
//! the run of the slowest student that it needed. On loopback, 4 parts × 2 replicas, through a ninth node that holds nothing.
//!
//! The students are made up: a run sleeps for as long as it takes, from its beginning on the replica's worker to its end there, and takes
//! no core from anybody. What is left is the mesh, and how long nine processes wait for the machine's cores to do its work.

use std::time::Duration;

use super::{LabError, Measured, Series, Site, SiteOptions, Statistic, Trials};
use crate::harness::{NodeOptions, Question};
use crate::lab::GroundKind;
use crate::lab::made_up::MadeUp;

/// Nodes that hold parts.
const REPLICAS: usize = 8;
/// ms.
const LIMITS_MS: (f64, f64) = (0.3, 1.0);
/// Held twice each.
const PARTS: u16 = 4;
/// What each student claims to take, FLOP.
const FLOPS: u64 = 10_000_000;
/// What a run takes, s, if its replica were the coordinator. Longer than it takes to ask all, so that nothing of that is in its shadow.
const RUN_S: f64 = 0.005;
/// Each replica is quicker than the one before it by this share of [`RUN_S`]. The devices of a fleet have cores of their own, but here all
/// share a few: if eight runs ended at one moment, how long they wait for a core would be measured.
const QUICKER: f64 = 0.025;
/// Of a student's file; it is as good as nothing.
const FILE_BYTES: usize = 1000;
/// Asked and not counted.
const WARM_UP: usize = 20;
pub(super) fn measure(options: &SiteOptions, trials: &Trials) -> Result<Measured, LabError> {
    let made_up = MadeUp { version: 1, parts: PARTS, flops: FLOPS, file_bytes: FILE_BYTES };
    let bundle = made_up.write()?;
    let service = made_up.service(bundle.path(), &options.service)?;
    let options = SiteOptions { nodes: REPLICAS + 1, ground: GroundKind::Loopback, service, ..options.clone() };
    // The coordinator has no room for a student.
    let device = |node: usize| NodeOptions {
        emulate_flops_per_s: Some(FLOPS as f64 / RUN_S * (1.0 + QUICKER * node as f64)),
        memory_bytes: Some(if node == 0 { 1 } else { 1 << 30 }),
        ..NodeOptions::named(&if node == 0 { "coordinator".to_owned() } else { format!("replica-{node}") })
    };
    let site = Site::of((0..=REPLICAS).map(device).collect(), options)?;
    let (client, service) = (site.mesh().nodes()[0].client()?, &site.options().service);
    let mut added = Series::new("at the coordinator", "ms").at_most(Statistic::P50, LIMITS_MS.0);
    added = added.at_most(Statistic::P99, LIMITS_MS.1);
    let mut with_http = Series::new("at the client, HTTP and JSON included", "ms");
    let mut runs = Series::new("run of the slowest student needed", "ms");
    site.say(&format!("T10 {} requests", trials.requests));
    for number in 0..WARM_UP + trials.requests {
        site.check()?;
        let (image, _) = service.images.nth(number);
        let (shape, deadline) = (service.images.shape(), Duration::from_secs(2));
        let question = Question { model: &service.model, image, shape, deadline, min_parts: service.parts };
        let reply = client.infer(&question).ok();
        if number < WARM_UP {
            continue;
        }
        let times = reply.and_then(|reply| {
            let slowest = reply.run.iter().max()?.as_secs_f64();
            let answered = reply.after.iter().max()?.as_secs_f64();
            Some([answered - slowest, reply.took.as_secs_f64() - slowest, slowest].map(|s| s * 1e3))
        });
        for (i, series) in [&mut added, &mut with_http, &mut runs].into_iter().enumerate() {
            series.push(times.map(|times| times[i]));
        }
    }
    let notes = vec![format!("one request after the other; a run is as its replica measured it; {} cores", cores())];
    Ok(Measured { series: vec![added, with_http, runs], notes, ..Measured::on(&site, 10) })
}

/// Nine processes share them.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
