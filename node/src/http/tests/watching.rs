//! Metrics and events, as those who watch a node get them.

use axum::body::BodyDataStream;
use axum::response::Response;
use futures::StreamExt as _;
use rocoin::id::NodeId;
use rocoin::membership;
use rocoin::node::Event;

use super::*;
use crate::http::{metrics, stream};
use crate::observe::journal::KEPT;

/// What a deployment makes happen.
fn two_events(input: &Input) -> Vec<Output> {
    let Input::Deploy { .. } = input else { return Vec::new() };
    let left = || Output::Event(Event::Membership(membership::Event::Left { member: NodeId([9; 32]) }));
    vec![left(), left()]
}

async fn make_events(api: &Api) {
    api.node.deploy(SERVED, Arc::new(manifest())).await.unwrap();
    // The mailbox is in order: the deployment is done before the snapshot.
    let _ = api.node.snapshot().await.unwrap();
}

async fn follow(api: &Api, last: Option<&str>) -> BodyDataStream {
    let headers = last.map(|id| (header::HeaderName::from_static("last-event-id"), HeaderValue::from_str(id).unwrap()));
    let events = stream::follow(State(api.clone()), headers.into_iter().collect()).await.unwrap();
    events.into_response().into_body().into_data_stream()
}

/// The next event: its name, data and id.
async fn next(events: &mut BodyDataStream) -> (String, Value, Option<String>) {
    let bytes = events.next().await.unwrap().unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned());
    (field("event:").unwrap(), serde_json::from_str(&field("data:").unwrap()).unwrap(), field("id:"))
}

/// The next of that name; statuses and requests come in between, with time.
async fn next_named(events: &mut BodyDataStream, wanted: &str) -> Value {
    loop {
        let (name, data, _) = next(events).await;
        if name == wanted {
            return data;
        }
    }
}

#[tokio::test]
async fn a_follower_hears_the_status_then_what_happened_then_what_happens() {
    let (_bench, api) = bench(two_events, Limits::default()).await;
    make_events(&api).await;
    let mut events = follow(&api, None).await;
    assert_eq!(next(&mut events).await.0, "status");
    let (name, data, id) = next(&mut events).await;
    assert_eq!((name.as_str(), &data["event"]), ("happened", &json!("left")));
    assert_eq!(next(&mut events).await.0, "happened");
    let (name, data, _) = next(&mut events).await;
    assert_eq!((name.as_str(), data["seconds"].as_array().map(Vec::len)), ("requests", Some(60)));
    make_events(&api).await;
    assert_eq!(next_named(&mut events, "happened").await["event"], "left");

    let mut back = follow(&api, id.as_deref()).await;
    assert_eq!(next(&mut back).await.0, "status");
    let missed = [next(&mut back).await, next(&mut back).await, next(&mut back).await];
    assert!(missed.iter().all(|(name, _, later)| name == "happened" && *later > id), "{missed:?}");
    assert_eq!(next(&mut back).await.0, "requests");
}

#[tokio::test]
async fn a_slow_follower_loses_events_and_is_told_how_many() {
    let (_bench, api) = bench(two_events, Limits::default()).await;
    let mut events = follow(&api, None).await;
    next_named(&mut events, "requests").await;
    for _ in 0..KEPT {
        make_events(&api).await;
    }
    assert_eq!(next_named(&mut events, "missed").await["count"], KEPT);
    assert_eq!(next_named(&mut events, "happened").await["event"], "left");
}

#[tokio::test]
async fn one_follower_too_many_is_asked_to_come_back() {
    let (_bench, api) = bench(|_| Vec::new(), Limits::default()).await;
    let mut followers = Vec::new();
    let refused = loop {
        match stream::follow(State(api.clone()), HeaderMap::new()).await {
            Ok(events) => followers.push(events),
            Err(error) => break error,
        }
        assert!(followers.len() < 1000, "there is no bound");
    };
    assert!(is_busy(refused));
    followers.pop();
    assert!(stream::follow(State(api), HeaderMap::new()).await.is_ok(), "its place is free again");
}

#[tokio::test]
async fn a_stream_ends_when_the_node_leaves() {
    fn drained(input: &Input) -> Vec<Output> {
        if matches!(input, Input::Drain) { vec![Output::Drained] } else { Vec::new() }
    }
    let (_bench, api) = bench(drained, Limits::default()).await;
    let mut events = follow(&api, None).await;
    next_named(&mut events, "requests").await;
    api.node.drain().await.unwrap();
    let ended = async { while events.next().await.is_some() {} };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(30), ended).await.is_ok());
}

async fn page(api: &Api) -> String {
    let response: Response = metrics::page(State(api.clone()), HeaderMap::new()).await.unwrap().into_response();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn what_happens_is_counted_and_what_the_node_never_heard_of_too() {
    let (_bench, api) = bench(two_events, Limits::default()).await;
    make_events(&api).await;
    api.node.observer().metrics.turned_away(crate::observe::Turned::BadRequest);
    let page = page(&api).await;
    for line in [
        "rocoin_member_transitions_total{to=\"left\"} 2",
        "rocoin_requests_total{outcome=\"bad_request\"} 1",
        "rocoin_build_info{version=",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
}
