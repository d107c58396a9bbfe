//! What happened in this node, kept for those who watch it: metrics, the last events, the requests of the last minute.
//!
//! The actor tells it everything as it happens; whoever watches reads it without the actor's help. Bounds: the last
//! [`journal::KEPT`] events, one minute of requests, metrics with labels of a few values each.

pub(crate) mod journal;
mod metrics;
mod page;
pub(crate) mod recent;
pub(crate) mod replicas;

use std::time::Duration;

use rocoin::inference::Answer;
use rocoin::node::Event;
use rocoin::{inference, leadership, membership};

pub(crate) use self::journal::Journal;
pub(crate) use self::metrics::{Metrics, Turned};
pub(crate) use self::page::{Format, Page};
pub(crate) use self::recent::Recent;
pub(crate) use self::replicas::Replicas;

/// What happened so far. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observer {
    /// Totals and distributions since the start.
    pub(crate) metrics: Metrics,
    /// The last events.
    pub(crate) journal: Journal,
    /// The requests of the last minute.
    pub(crate) recent: Recent,
    /// How quickly whose answers came.
    pub(crate) replicas: Replicas,
}

impl Observer {
    /// Something happened, in a step of the actor that took so long.
    pub(crate) fn see(&self, event: &Event, step: Duration) {
        self.metrics.see(event);
        match event {
            Event::Leadership(leadership::Event::Planned { .. }) => self.metrics.planned(step),
            Event::Inference(inference::Event::Finished { outcome, took, .. }) => self.recent.finished(*outcome, *took),
            Event::Membership(membership::Event::Left { member }) => self.replicas.forget(*member),
            Event::Membership(_) | Event::Leadership(_) | Event::Deployment(_) | Event::Inference(_) => {}
        }
        self.journal.tell(event);
    }

    /// A client gets this answer.
    pub(crate) fn answered(&self, answer: &Answer) {
        self.metrics.answered(answer);
        self.replicas.answered(answer);
    }
}
