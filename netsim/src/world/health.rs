//! Whether the mesh is one, as somebody who sees all of it would say.

use rocoin::deployment;
use rocoin::id::{Digest, Epoch, NodeId};

use super::World;
use crate::fact::{AskId, HostId};

impl World {
    /// What keeps the running nodes from being one mesh that serves every part; `None` if nothing does.
    pub fn trouble(&self) -> Option<String> {
        let nodes: Vec<_> = self.host_ids().filter_map(|h| Some((h, self.host(h).node.as_deref()?))).collect();
        let (first, one) = nodes.first()?;
        let Some(leader) = one.leadership().leader() else { return Some(format!("{first} follows nobody")) };
        if !nodes.iter().any(|(_, node)| node.membership().me().id == leader) {
            return Some(format!("{first} follows {leader:?}, which does not run"));
        }
        let epoch = one.leadership().plan().map(|plan| plan.epoch);
        for (host, node) in &nodes {
            if node.leadership().leader() != Some(leader) {
                return Some(format!(
                    "{first} follows {leader:?}, and {host} follows {:?}",
                    node.leadership().leader()
                ));
            }
            let its = node.leadership().plan().map(|plan| plan.epoch);
            if its != epoch {
                let text = |epoch: Option<rocoin::id::Epoch>| epoch.map_or("none".to_owned(), |e| e.to_string());
                return Some(format!("{first} is at epoch {}, and {host} at {}", text(epoch), text(its)));
            }
        }
        let planned = |host: &HostId| self.host(*host).disk.durable.plan.is_some();
        if epoch.is_none()
            && let Some((host, _)) = nodes.iter().find(|(host, _)| planned(host))
        {
            return Some(format!("nobody follows a plan, though {host} has one on its disk"));
        }
        // What nobody has any more, nobody can be asked to serve.
        let wanted = self.can_be_served()?;
        for (host, node) in &nodes {
            let follows = [
                ("is to serve", node.record().desired.as_ref().map(|deployment| deployment.bundle)),
                ("plans for", node.leadership().plan().map(|plan| plan.bundle)),
                ("serves", node.serving().map(|(bundle, _)| bundle)),
            ];
            if let Some((what, bundle)) = follows.into_iter().find(|(_, bundle)| *bundle != Some(wanted)) {
                return Some(format!("{host} {what} {bundle:?}, and {wanted} was deployed last"));
            }
            let (served, parts) = node.parts_served();
            if parts == 0 || served < parts {
                return Some(format!("{host} sees {served} of {parts} parts served"));
            }
        }
        None
    }

    /// The hosts whose node sees every part of what it serves with a replica.
    pub(crate) fn sighted(&self) -> impl Iterator<Item = HostId> {
        self.host_ids().filter(|host| {
            let (served, parts) = self.host(*host).node.as_ref().map_or((0, 0), |node| node.parts_served());
            parts > 0 && served == parts
        })
    }

    /// Whether every running node holds every other alive.
    pub fn everybody_knows_everybody(&self) -> bool {
        let alive = self.alive_counts();
        alive.iter().all(|count| count + 1 == alive.len())
    }

    /// How many others each running node holds alive.
    pub fn alive_counts(&self) -> Vec<usize> {
        self.hosts.iter().filter_map(|host| Some(host.node.as_ref()?.membership().alive())).collect()
    }

    /// A running host's identity, and the plan it has adopted.
    pub fn identity(&self, host: HostId) -> Option<(NodeId, Option<Epoch>)> {
        let node = self.host(host).node.as_deref()?;
        Some((node.membership().me().id, node.leadership().plan().map(|plan| plan.epoch)))
    }

    /// The bundle that was deployed last, of those the running nodes know of, if the mesh can still serve it: its manifest and the planned
    /// student of each part (any, while no plan is for it) are on the disks together.
    ///
    /// No node deletes what its plan needs (`students-survive` sees to that): if it is not so, faults destroyed every copy.
    pub(crate) fn can_be_served(&self) -> Option<Digest> {
        let running = || self.hosts.iter().filter(|host| host.is_running());
        let nodes = || self.hosts.iter().filter_map(|host| host.node.as_deref());
        let desired = nodes().filter_map(|node| node.record().desired.as_ref());
        let wanted = desired.max_by_key(|deployment| deployment::rank(deployment))?.bundle;
        let model = self.models.iter().find(|model| model.digest() == wanted)?;
        let is_sound = |digest: Digest| running().any(|host| host.disk.is_sound(digest));
        let plans = nodes().filter_map(|node| node.leadership().plan()).filter(|plan| plan.bundle == wanted);
        let can_be_had = match plans.max_by_key(|plan| plan.epoch) {
            Some(plan) => plan.groups.iter().all(|group| is_sound(group.student)),
            None => model.manifest().parts.iter().all(|part| part.students.iter().any(|card| is_sound(card.digest))),
        };
        (is_sound(wanted) && can_be_had).then_some(wanted)
    }

    /// The name of the request that is asked next.
    pub(crate) fn next_ask(&self) -> AskId {
        self.clients.next_ask()
    }
}
