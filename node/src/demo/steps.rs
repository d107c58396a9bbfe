//! The steps: each does something to the mesh under load and watches until it is whole again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rocoin::id::NodeId;
use rocoin::node::NodeSnapshot;
use rocoin_netsim::harness::{Load, Mesh, Outcome, is_redundant, is_whole, victims};

use super::observer::Observer;
use super::report::StepReport;
use super::screen::Screen;
use crate::interrupt::Interrupt;

/// Every step lasts at least so long, so that there are requests to count.
const STEP_MIN: Duration = Duration::from_secs(6);
/// And so long after the mesh is whole again.
const AFTER_RECOVERY: Duration = Duration::from_secs(3);
/// A mesh that is not whole by then is taken as not recovered.
const RECOVERY_MAX: Duration = Duration::from_secs(20);
/// Between two looks at the mesh.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The mesh, the load on it, and who watches.
#[derive(Debug)]
pub(super) struct Stage {
    // Dropped in this order: the clients stop before the nodes do.
    pub(super) load: Load,
    pub(super) mesh: Mesh,
    pub(super) observer: Observer,
    pub(super) interrupt: Interrupt,
    pub(super) screen: Screen,
    pub(super) parts: usize,
}

impl Stage {
    /// All steps, in order.
    pub(super) fn play(mut self) -> anyhow::Result<Vec<StepReport>> {
        self.screen.header();
        self.load.take_outcomes();
        let mut steps = vec![self.watch("steady", Instant::now(), Self::whole)?];

        let victims = victims::one_per_group(&self.status()?);
        let start = Instant::now();
        self.kill(&victims)?;
        steps.push(self.watch("kill-one-per-group", start, Self::whole)?);

        let follower = victims::follower(&self.status()?).and_then(|id| self.mesh.index_of(id));
        let frozen = follower.context("the mesh names no replica that does not lead, so there is none to freeze")?;
        let start = Instant::now();
        self.mesh.node(frozen).freeze()?;
        self.retarget()?;
        steps.push(self.watch("freeze", start, Self::whole)?);
        self.mesh.node(frozen).thaw()?;
        self.bring_back()?;

        let leader = self.status()?.leader.into_iter().collect();
        let start = Instant::now();
        self.kill(&leader)?;
        steps.push(self.watch("kill-leader", start, Self::whole)?);
        self.bring_back()?;

        let group = victims::whole_group(&self.status()?);
        let start = Instant::now();
        self.kill(&group)?;
        steps.push(self.watch("kill-group", start, Self::whole)?);

        let well: Vec<usize> = self.mesh.well().map(|(node, _)| node).collect();
        let (left, right) = well.split_at(well.len() / 2);
        ensure!(!left.is_empty(), "too few nodes are left to cut the mesh in two");
        let start = Instant::now();
        self.mesh.partition(&[left, right])?;
        let sides = [left, right];
        steps.push(self.watch("partition", start, |stage| sides.iter().all(|side| stage.side_is_whole(side)))?);

        let start = Instant::now();
        self.mesh.heal()?;
        steps.push(self.watch("heal", start, Self::whole)?);

        let start = Instant::now();
        self.start_dead()?;
        steps.push(self.watch("restore", start, Self::whole)?);
        Ok(steps)
    }

    /// What happened at `start` is done: lets the load run on and watches until `recovered` holds and some time after.
    fn watch(
        &mut self,
        event: &'static str,
        start: Instant,
        recovered: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<StepReport> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        let mut whole_since: Option<Instant> = None;
        loop {
            self.interrupt.check()?;
            std::thread::sleep(LOOK_EVERY);
            self.observer.look(&self.mesh);
            self.retarget()?;
            outcomes.extend(self.load.take_outcomes());
            match (recovered(self), whole_since) {
                (true, None) => whole_since = Some(Instant::now()),
                (false, Some(_)) => whole_since = None,
                (true, Some(_)) | (false, None) => {}
            }
            let report = self.report(event, &outcomes, start, whole_since);
            self.screen.progress(&report);
            let rested = whole_since.is_some_and(|since| since.elapsed() >= AFTER_RECOVERY);
            let over = start.elapsed() >= STEP_MIN && rested || start.elapsed() >= RECOVERY_MAX + AFTER_RECOVERY;
            if over {
                self.screen.finish(&report);
                return Ok(report);
            }
        }
    }

    fn report(&self, event: &'static str, outcomes: &[Outcome], start: Instant, whole: Option<Instant>) -> StepReport {
        StepReport {
            alive: self.mesh.well().count(),
            leader: self.observer.leader(),
            epoch: self.observer.epoch(),
            parts_served: self.observer.parts_served(),
            ..StepReport::count(event, outcomes, start, whole)
        }
    }

    /// All well nodes are one mesh: they see just each other alive, follow one leader by one plan, and hold every part.
    fn whole(&self) -> bool {
        let well: Vec<usize> = self.mesh.well().map(|(node, _)| node).collect();
        self.side_is_whole(&well)
    }

    fn side_is_whole(&self, side: &[usize]) -> bool {
        let ids: BTreeSet<NodeId> = side.iter().filter_map(|node| self.mesh.nodes()[*node].id().ok()).collect();
        let statuses: Vec<&NodeSnapshot> =
            self.observer.statuses().iter().filter(|(node, _)| side.contains(node)).map(|(_, s)| s).collect();
        is_whole(&ids, &statuses, self.parts).is_ok()
    }

    /// kill -9, all at once, while requests are under way at them.
    fn kill(&mut self, victims: &BTreeSet<NodeId>) -> anyhow::Result<()> {
        let nodes: Vec<usize> = victims.iter().filter_map(|id| self.mesh.index_of(*id)).collect();
        ensure!(!nodes.is_empty(), "the mesh names nobody to kill: there is no leader, or no part is held");
        self.mesh.kill_all(&nodes)?;
        self.retarget()
    }

    /// The clients ask the nodes that were ready at the last look, as behind any load balancer that checks; all well ones where none
    /// was. A node that has just started answers with what it has until it has met the others.
    fn retarget(&self) -> anyhow::Result<()> {
        let ready: BTreeSet<usize> = self.observer.ready(self.parts).collect();
        let (ready, others): (Vec<_>, Vec<_>) = self.mesh.well().partition(|(node, _)| ready.contains(node));
        let asked = if ready.is_empty() { others } else { ready };
        self.load.retarget(asked.into_iter().map(|(_, node)| node.client()).collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Between two steps: what was killed is started again, as an operator would, and the mesh comes to rest.
    fn bring_back(&mut self) -> anyhow::Result<()> {
        self.start_dead()?;
        let start = Instant::now();
        while start.elapsed() < RECOVERY_MAX {
            self.interrupt.check()?;
            self.observer.look(&self.mesh);
            self.retarget()?;
            let redundant = |(_, status): &(usize, NodeSnapshot)| is_redundant(status, self.parts).is_ok();
            if self.whole() && self.observer.statuses().iter().all(redundant) {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("the mesh did not come to rest between two steps within {} s", RECOVERY_MAX.as_secs())
    }

    fn start_dead(&mut self) -> anyhow::Result<()> {
        let dead: Vec<usize> =
            (0..self.mesh.nodes().len()).filter(|node| !self.mesh.nodes()[*node].is_running()).collect();
        for node in dead {
            self.mesh.restart(node)?;
        }
        Ok(())
    }

    /// What a well node knows now.
    fn status(&mut self) -> anyhow::Result<NodeSnapshot> {
        self.observer.look(&self.mesh);
        let status = self.observer.statuses().first().map(|(_, status)| status.clone());
        status.ok_or_else(|| anyhow::anyhow!("no node answers"))
    }
}
