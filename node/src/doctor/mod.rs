//! Why do two nodes not meet, and is this device fit: looks at everything that a node depends on, and says what it means.
//!
//! Three steps, apart from each other: [`gather`] looks and judges nothing, [`judge`] judges facts and looks at nothing, the command
//! prints. Nothing is changed anywhere: sockets are opened for moments, the one file that is written has no name. Each look has a
//! time-out of its own, and they run side by side.

mod facts;
mod finding;
mod gather;
mod judge;

use std::path::PathBuf;

use libp2p::Multiaddr;
use serde::Serialize;

use facts::Facts;
pub(crate) use finding::{Area, Finding, Verdict};
pub(crate) use gather::Aim;

/// The report's schema.
const SCHEMA: &str = "rocoin.doctor/1";

/// What is to be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Examination {
    pub(crate) state_dir: PathBuf,
    pub(crate) fleet_key_file: Option<PathBuf>,
    /// There is to be no fleet key.
    pub(crate) open: bool,
    /// Where the node is to listen; empty: everywhere, on the port that it kept.
    pub(crate) listen: Vec<Multiaddr>,
    /// Whether the node is to use multicast.
    pub(crate) mdns: bool,
    /// The HTTP interface of the node that runs here.
    pub(crate) http: String,
    pub(crate) http_token: Option<String>,
    /// Other nodes to look at.
    pub(crate) aims: Vec<Aim>,
}

/// What was found, and what it was found from.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    /// Whether nothing is wrong.
    pub(crate) well: bool,
    pub(crate) findings: Vec<Finding>,
    facts: Facts,
}

/// Looks at all of it. Takes 10 s at most.
pub(crate) async fn examine(examination: Examination) -> Report {
    let facts = gather::gather(examination).await;
    let findings = judge::judge(&facts);
    let well = findings.iter().all(|finding| finding.verdict != Verdict::Wrong);
    Report { schema: SCHEMA, well, findings, facts }
}
