//! Asks a node's HTTP interface what it sees.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocoin::membership::State;
use rocoin::node::NodeSnapshot;
use ureq::Agent;

use super::count;
use crate::doctor::facts::{Http, Member};

/// For the whole call: a node answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of an answer at most: the status of a thousand members is less.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// What the node at `host` (`HOST:PORT` or a URL) says, and the other members it sees.
pub(super) async fn look(host: String, token: Option<String>) -> (Http, Vec<Member>) {
    let looked = tokio::task::spawn_blocking(move || ask(&host, token.as_deref())).await;
    looked.unwrap_or_else(|e| (Http::unreachable(e), Vec::new()))
}

fn ask(host: &str, token: Option<&str>) -> (Http, Vec<Member>) {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build().into();
    let base = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
    let mut request = agent.get(format!("{base}/api/status"));
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut response = match request.call() {
        Ok(response) => response,
        Err(e) => return (Http::unreachable(e), Vec::new()),
    };
    let ahead_s = response.headers().get("date").and_then(|date| ahead_s(date.to_str().ok()?));
    let status = response.status().as_u16();
    if status == 401 {
        return (Http::Unauthorized, Vec::new());
    }
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    match body.ok().and_then(|text| serde_json::from_str::<NodeSnapshot>(&text).ok()) {
        Some(snapshot) => node(&snapshot, ahead_s),
        None => (Http::NotANode { status }, Vec::new()),
    }
}

fn node(snapshot: &NodeSnapshot, ahead_s: Option<i64>) -> (Http, Vec<Member>) {
    let state = |state: State| match state {
        State::Alive => "alive",
        State::Suspect => "suspect",
        State::Down => "down",
    };
    let others = snapshot.members.iter().filter(|m| m.node != snapshot.node);
    let members: Vec<Member> = others
        .map(|m| Member { name: m.name.clone(), node: m.node, state: state(m.state).to_owned(), routable: m.routable })
        .collect();
    let (alive, others) = count(&members);
    (Http::Node { node: snapshot.node, name: snapshot.name.clone(), alive, others, ahead_s }, members)
}

/// By how much a clock that shows `date` is ahead of this device's.
fn ahead_s(date: &str) -> Option<i64> {
    let theirs = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    Some(seconds(theirs).saturating_sub(seconds(ours)))
}
