//! `GET /api/events`: what a node knows and what happens in it, as server-sent events, until the client or the node leaves.
//!
//! | event | data |
//! |---|---|
//! | `status` | as `/api/status`: at the start, soon after something happened, and once a second |
//! | `requests` | `seconds`: the requests of the seconds that are over since the last one told; at the start of the last minute. `replicas`: how quickly whose answers came |
//! | `happened` | one event as in an event file; its id serves as `Last-Event-ID` |
//! | `missed` | `count`: so many events were not told, since this client read too slowly |
//!
//! Nothing is kept for a client beyond its place in the journal: each event is made when the client can take it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use futures::stream;
use rocoin::node::NodeSnapshot;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::{Api, HttpError};
use crate::observe::journal::Entry;

/// Between two statuses while nothing happens.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// From an event to the status that shows it: what comes with it is then shown at once, too. Below what a person notices.
const STATUS_AFTER: Duration = Duration::from_millis(100);
/// What a client whose stream broke is told to wait.
const RETRY: Duration = Duration::from_secs(1);

pub(super) async fn follow(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HttpError> {
    let place = api.limits.follow()?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let (waiting, news) = api.node.observer().journal.read(last);
    let follower =
        Follower { api, waiting, news, status_due: Instant::now(), requests_told: 0, begun: false, _place: place };
    Ok(Sse::new(stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })))
}

/// One client.
struct Follower {
    api: Api,
    /// What happened before it came.
    waiting: VecDeque<Arc<Entry>>,
    news: Receiver<Arc<Entry>>,
    status_due: Instant,
    /// The last second whose requests it was told.
    requests_told: u64,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

/// What comes next.
enum Next {
    News(Result<Arc<Entry>, RecvError>),
    Status,
    Left,
}

impl Follower {
    /// `None` when the node has left.
    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            self.status_due = Instant::now() + STATUS_EVERY;
            return self.status().await.map(|event| event.retry(RETRY));
        }
        if let Some(entry) = self.waiting.pop_front() {
            return Some(happened(&entry));
        }
        if let Some(event) = self.requests() {
            return Some(event);
        }
        let next = tokio::select! {
            biased;
            () = self.api.node.left() => Next::Left,
            () = sleep_until(self.status_due) => Next::Status,
            news = self.news.recv() => Next::News(news),
        };
        match next {
            Next::Left | Next::News(Err(RecvError::Closed)) => None,
            Next::Status => {
                self.status_due = Instant::now() + STATUS_EVERY;
                self.status().await
            }
            Next::News(Ok(entry)) => {
                self.status_due = self.status_due.min(Instant::now() + STATUS_AFTER);
                Some(happened(&entry))
            }
            Next::News(Err(RecvError::Lagged(count))) => Some(told("missed", &json!({ "count": count }))),
        }
    }

    async fn status(&self) -> Option<Event> {
        let snapshot: NodeSnapshot = super::snapshot(&self.api).await.ok()?;
        Some(told("status", &snapshot))
    }

    fn requests(&mut self) -> Option<Event> {
        let seconds = self.api.node.observer().recent.since(self.requests_told);
        self.requests_told = seconds.last()?.unix_s;
        let replicas = self.api.node.observer().replicas.paces();
        Some(told("requests", &json!({ "seconds": seconds, "replicas": replicas })))
    }
}

fn happened(entry: &Entry) -> Event {
    told("happened", &entry.told).id(entry.id.to_string())
}

fn told(event: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(event).data(serde_json::to_string(data).unwrap_or_default())
}
