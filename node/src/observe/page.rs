//! The page of metrics, as Prometheus scrapes it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use rocoin::membership::State;
use rocoin::node::{Lane, NodeSnapshot};

use super::Metrics;
use super::metrics::label;
use crate::network::{LaneCounts, NetworkCounters};

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0, as scrapers ask for.
    OpenMetrics,
    /// Prometheus' own text format 0.0.4, for everybody else.
    Prometheus,
}

impl Format {
    /// Which of the two an `Accept` header names.
    pub(crate) fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// What a page shows.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// What was counted as it happened.
    pub(crate) metrics: &'a Metrics,
    /// What the node knows now, and what its machines counted.
    pub(crate) snapshot: &'a NodeSnapshot,
    /// What went over its links.
    pub(crate) network: &'a NetworkCounters,
    /// Bytes of the artifacts that it keeps.
    pub(crate) stored_bytes: u64,
}

impl Page<'_> {
    /// The whole page.
    pub(crate) fn write(&self, format: Format) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("rocoin");
        self.register_build(&mut registry);
        self.metrics.register(&mut registry);
        self.register_mesh(&mut registry);
        self.register_load(&mut registry);
        self.register_links(&mut registry);
        self.register_rest(&mut registry);
        let mut page = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut page, &registry)?,
            Format::Prometheus => prometheus_text::encode(&mut page, &registry)?,
        }
        Ok(page)
    }

    fn register_build(&self, into: &mut Registry) {
        let info = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("arch", std::env::consts::ARCH.to_owned()),
            ("os", std::env::consts::OS.to_owned()),
        ];
        into.register("build", "The program", Info::new(info));
        let node = [("node", self.snapshot.node.to_string()), ("name", self.snapshot.name.clone())];
        into.register("node", "Who this node is", Info::new(node));
    }

    fn register_mesh(&self, into: &mut Registry) {
        let s = self.snapshot;
        let members = Family::<_, Gauge>::default();
        for state in [State::Alive, State::Suspect, State::Down] {
            let name = match state {
                State::Alive => "alive",
                State::Suspect => "suspect",
                State::Down => "down",
            };
            let count = s.members.iter().filter(|member| member.state == state).count();
            members.get_or_create(&label("state", name)).set(whole(count));
        }
        into.register("members", "Members that this node knows of, itself included, by state", members);
        let routable = s.members.iter().filter(|member| member.routable).count();
        gauge(into, "members_routable", "Members that requests are sent to, itself included", routable);
        gauge(into, "parts", "Parts of the bundle that is served", s.parts.len());
        gauge(into, "parts_served", "Parts with a ready replica that this node reaches", s.parts_served);
        let least = s.parts.iter().map(|part| part.ready.len()).min().unwrap_or_default();
        gauge(into, "replicas_ready_min", "Ready replicas of the part that has fewest", least);
        gauge(into, "term", "The highest term seen", s.term.0);
        let epoch = |at: usize| s.epoch.as_deref().and_then(|e| e.split('.').nth(at)?.parse::<u64>().ok()).unwrap_or(0);
        gauge(into, "epoch_term", "The term of the plan adopted; 0 without one", epoch(0));
        gauge(into, "epoch_sequence", "The number, in its term, of the plan adopted; 0 without one", epoch(2));
        gauge(into, "is_leader", "1 if this node leads, else 0", u8::from(s.leader == Some(s.node)));
        gauge(
            into,
            "has_leader",
            "1 if this node follows a leader, perhaps itself, else 0",
            u8::from(s.leader.is_some()),
        );
        gauge(into, "draining", "1 if this node is leaving, else 0", u8::from(s.draining));
        gauge(into, "generation", "Which start of this node it is", s.generation.0);
    }

    fn register_load(&self, into: &mut Registry) {
        let queues = Family::<_, Gauge>::default();
        queues.get_or_create(&label("queue", "requests")).set(whole(self.snapshot.open_requests));
        queues.get_or_create(&label("queue", "runs")).set(whole(self.snapshot.queued_jobs));
        into.register("queue_depth", "Requests that are open, and runs of students that wait for a worker", queues);
        let stored = ConstGauge::new(i64::try_from(self.stored_bytes).unwrap_or(i64::MAX));
        into.register_with_unit("artifact_stored", "Artifacts that this node keeps", Unit::Bytes, stored);
    }

    fn register_links(&self, into: &mut Registry) {
        let [frames, bytes] = [(); 2].map(|()| Family::<[(&'static str, String); 2], Counter>::default());
        let dropped = Family::<_, Counter>::default();
        for (lane, name) in [(Lane::Control, "control"), (Lane::Inference, "inference"), (Lane::Bulk, "bulk")] {
            let counts: LaneCounts = self.network.lane(lane);
            for (direction, count, of) in
                [("sent", counts.sent, counts.sent_bytes), ("received", counts.received, counts.received_bytes)]
            {
                let labels = [("lane", name.to_owned()), ("direction", direction.to_owned())];
                frames.get_or_create(&labels).inc_by(count);
                bytes.get_or_create(&labels).inc_by(of);
            }
            dropped.get_or_create(&label("lane", name)).inc_by(counts.dropped);
        }
        into.register(
            "lane_frames",
            "Frames on the links; those of the control lane are gossip, claims and plans",
            frames,
        );
        into.register_with_unit("lane", "Bytes of these frames", Unit::Bytes, bytes);
        into.register("lane_dropped_frames", "Frames not sent, because a queue was full or a stream broke", dropped);
    }

    /// What the machines count, each under its own name as the status has it, but what is shown above.
    fn register_rest(&self, into: &mut Registry) {
        let counters = &self.snapshot.counters;
        let count = |name: &str| counters.get(name).copied().unwrap_or_default();
        let gossip = Family::<_, Counter>::default();
        gossip.get_or_create(&label("direction", "sent")).inc_by(count("membership_sent"));
        gossip.get_or_create(&label("direction", "received")).inc_by(count("membership_received"));
        into.register("gossip_messages", "Messages of the failure detector, which carry the gossip", gossip);
        let single = |into: &mut Registry, name: &str, help: &str, of: &str| {
            let counter = Counter::<u64, AtomicU64>::default();
            counter.inc_by(count(of));
            into.register(name, help, counter);
        };
        single(into, "hedges", "Replicas asked because others were overdue, lost or had refused", "coordinator_hedges");
        single(into, "refutations", "Suspicions of this node that it refuted", "membership_refutations");
        single(into, "plans", "Plans that this node made as the leader", "leadership_plans_made");
        let shown = [
            "membership_sent",
            "membership_received",
            "coordinator_hedges",
            "coordinator_failovers",
            "membership_refutations",
            "leadership_plans_made",
        ];
        let oddities = Family::<_, Counter>::default();
        for (name, value) in counters.iter().filter(|(name, _)| !shown.contains(&name.as_str())) {
            oddities.get_or_create(&label("what", name)).inc_by(*value);
        }
        into.register(
            "oddities",
            "What was refused, dropped, late or tried again, by name as the status has it",
            oddities,
        );
        let network: BTreeMap<String, u64> = self.network.told().collect();
        let of = |name: &str| network.get(name).copied().unwrap_or_default();
        gauge(into, "connections", "Connections to other nodes", of("network_connections"));
        gauge(
            into,
            "links_on_previous_key",
            "Links on the fleet key before this one",
            of("network_links_on_previous_key"),
        );
        let turned = Family::<_, Counter>::default();
        for (why, name) in [
            ("stranger", "network_strangers"),
            ("offence", "network_offences"),
            ("other_version", "network_other_versions"),
        ] {
            turned.get_or_create(&label("why", why)).inc_by(of(name));
        }
        into.register("peers_turned_away", "Connections turned away or cut off", turned);
    }
}

fn gauge(into: &mut Registry, name: &'static str, help: &'static str, value: impl TryInto<i64>) {
    into.register(name, help, ConstGauge::new(value.try_into().unwrap_or(i64::MAX)));
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::tests::snapshot;

    fn page(format: Format) -> String {
        let (metrics, snapshot, network) = (Metrics::default(), snapshot(), NetworkCounters::default());
        Page { metrics: &metrics, snapshot: &snapshot, network: &network, stored_bytes: 7 }.write(format).unwrap()
    }

    #[test]
    fn every_series_has_its_help_and_its_type_in_both_formats() {
        for format in [Format::OpenMetrics, Format::Prometheus] {
            let page = page(format);
            for line in page.lines().filter(|line| !line.starts_with('#')) {
                assert!(line.starts_with("rocoin_"), "{line}");
                let name = line.split(['{', ' ']).next().unwrap();
                let family = ["_total", "_bucket", "_sum", "_count", "_info"]
                    .iter()
                    .fold(name, |name, suffix| name.strip_suffix(suffix).unwrap_or(name));
                let described =
                    |what: &str| [name, family].iter().any(|name| page.contains(&format!("# {what} {name} ")));
                assert!(described("HELP") && described("TYPE"), "{format:?}: {line}");
            }
        }
    }

    #[test]
    fn a_failure_that_never_happened_is_a_zero() {
        let page = page(Format::OpenMetrics);
        assert!(page.contains("rocoin_requests_total{outcome=\"deadline\"} 0\n"), "{page}");
        assert!(page.contains("rocoin_artifact_stored_bytes 7\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
    }

    #[test]
    fn scrapers_get_what_they_ask_for() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.2,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Prometheus);
    }
}
