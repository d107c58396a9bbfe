//! T4: what an idle node sends and receives, by its own counters and by those of its host's interface.
//!
//! The interface counts all there is: frames with their headers, acknowledgements, encryption, multicast and the address topic.

use std::time::{Duration, Instant};

use rocoin::node::NodeSnapshot;

use super::{LabError, Measured, Series, Site, Statistic, Trials};
use crate::lab::hosts::Traffic;

/// Messages and bytes a second.
const LIMITS: (f64, f64) = (20.0, 4096.0);

/// Nobody fetches any more if nothing came between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is kept beside the plan is fetched within this.
const FETCHED_WITHIN: Duration = Duration::from_secs(90);

/// One node's counters.
#[derive(Debug, Clone, Copy)]
struct Counted {
    messages: u64,
    bytes: u64,
    interface: Option<Traffic>,
}

pub(super) fn measure(site: &mut Site, trials: &Trials) -> Result<Measured, LabError> {
    site.rest()?;
    wait_for_fetching(site)?;
    site.say(&format!("T4 idle for {} s", trials.idle.as_secs()));
    let start = Instant::now();
    let before = count(site)?;
    site.pause(trials.idle)?;
    let (after, seconds) = (count(site)?, start.elapsed().as_secs_f64());
    let mut series = vec![
        Series::new("control messages a node", "1/s").at_most(Statistic::Max, LIMITS.0),
        Series::new("their bytes a node", "B/s").at_most(Statistic::Max, LIMITS.1),
    ];
    if site.ground().hosts().is_some() {
        series.push(Series::new("bytes at a node's interface", "B/s").at_most(Statistic::Max, LIMITS.1));
        series.push(Series::new("frames at a node's interface", "1/s"));
        series.push(Series::new("multicast bytes at a node's interface", "B/s"));
    }
    for (before, after) in before.iter().zip(&after) {
        let mut grown = vec![after.messages - before.messages, after.bytes - before.bytes];
        if let (Some(before), Some(after)) = (before.interface, after.interface) {
            let multicast = after.multicast_bytes - before.multicast_bytes;
            grown.extend([after.bytes - before.bytes, after.packets - before.packets, multicast]);
        }
        for (series, grown) in series.iter_mut().zip(grown) {
            #[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
            series.push(Some(grown as f64 / seconds));
        }
    }
    let notes = vec![format!("one value a node, over {seconds:.0} s")];
    Ok(Measured { series, notes, ..Measured::on(site, 4) })
}

/// Waits until nobody fetches what it keeps on its disk beside the plan.
fn wait_for_fetching(site: &mut Site) -> Result<(), LabError> {
    let mut before = None;
    let done = site.watch(FETCHED_WITHIN, |site| {
        let fetched = |status: &NodeSnapshot| status.counters.get("network_bulk_received").copied().unwrap_or(0);
        let now: u64 = site.mesh().statuses().iter().map(|(_, status)| fetched(status)).sum();
        let is_over = before.replace(now) == Some(now);
        site.pause(LOOK_EVERY)?;
        Ok(is_over.then_some(()))
    })?;
    done.ok_or_else(|| LabError::Unmeasured("the nodes go on fetching".to_owned()))
}

fn count(site: &Site) -> Result<Vec<Counted>, LabError> {
    let of = |node: usize| -> Result<Counted, LabError> {
        let counters = site.mesh().nodes()[node].status()?.counters;
        let sum = |what: &str| -> u64 {
            let ways = ["sent", "received"].map(|way| format!("network_control_{way}{what}"));
            ways.iter().filter_map(|name| counters.get(name)).sum()
        };
        let interface = site.ground().hosts().map(|hosts| hosts.all()[node].traffic()).transpose()?;
        Ok(Counted { messages: sum(""), bytes: sum("_bytes"), interface })
    };
    (0..site.nodes()).map(of).collect()
}
