//! T10: what the mesh adds to an answer: the time from the request's arrival at its coordinator to the last answer that it needed, less
//! the run of the slowest student that it needed. On loopback, 4 parts × 2 replicas, through a ninth node that holds nothing.

use std::time::Duration;

use super::{LabError, Measured, Series, Site, SiteOptions, Statistic, Trials};
use crate::harness::{NodeOptions, Question};
use crate::lab::GroundKind;

/// Nodes that hold parts.
const REPLICAS: usize = 8;
/// ms.
const LIMITS_MS: (f64, f64) = (0.3, 1.0);
/// A student's run is stretched to what it takes at this rate, FLOP/s. So the replicas' runs end one after the other and with the cores
/// idle, and it is the mesh that is measured rather than eight runs on few cores.
const FLOPS_PER_S: f64 = 0.5e9;
/// Asked and not counted.
const WARM_UP: usize = 20;
/// Between two requests.
const PACE: Duration = Duration::from_millis(5);

pub(super) fn measure(options: &SiteOptions, trials: &Trials) -> Result<Measured, LabError> {
    let options = SiteOptions { nodes: REPLICAS + 1, ground: GroundKind::Loopback, ..options.clone() };
    // The coordinator has no room for a student.
    let device = |node: usize| NodeOptions {
        emulate_flops_per_s: Some(FLOPS_PER_S * (1.0 + node as f64 / 100.0)),
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
        site.pause(PACE)?;
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
    let notes = vec!["the slowest student's run is as its replica measured it".to_owned()];
    Ok(Measured { series: vec![added, with_http, runs], notes, ..Measured::on(&site, 10) })
}
