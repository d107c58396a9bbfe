//! The actor with a script in the core's place.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rocoin::blob::Blob;
use rocoin::bundle::Manifest;
use rocoin::id::{Digest, Generation, Incarnation, NodeId, Term};
use rocoin::inference::{Request, RequestError};
use rocoin::node::{Durable, Input, JobId, NodeSnapshot, Output, PlanningSnapshot, WriteId};
use rocoin::time::{Duration, Instant};
use tokio::sync::mpsc;

use super::{Hands, Machine, Mailboxes, NodeHandle, start};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::network::{self, Deliver, NetworkConfig};
use crate::store::{StateDir, Store, StoreActor, StoreHandle};
use crate::workers::{self, WorkersConfig};

/// What the script does with an input.
pub(crate) type React = fn(&Input) -> Vec<Output>;

struct Script {
    react: React,
    /// The first is served.
    manifests: Vec<(Digest, Arc<Manifest>)>,
    outputs: VecDeque<Output>,
    seen: Arc<Mutex<Vec<String>>>,
    due: Option<Instant>,
}

impl Machine for Script {
    fn handle(&mut self, _: Instant, input: Input) {
        self.seen.lock().unwrap().push(format!("{input:?}"));
        self.outputs.extend((self.react)(&input));
    }

    fn handle_timeout(&mut self, now: Instant) {
        assert!(self.due.take().is_some_and(|due| due <= now), "called before its time");
        self.seen.lock().unwrap().push("timeout".to_owned());
        self.outputs.push_back(Output::Drained);
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.due.map(|due| (due, "test"))
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn snapshot(&self) -> NodeSnapshot {
        snapshot()
    }

    fn serving(&self) -> Option<Arc<Manifest>> {
        self.manifests.first().map(|(_, manifest)| Arc::clone(manifest))
    }

    fn manifest(&self, bundle: Digest) -> Option<Arc<Manifest>> {
        self.manifests.iter().find(|(digest, _)| *digest == bundle).map(|(_, manifest)| Arc::clone(manifest))
    }
}

/// Of a node that knows nobody.
pub(crate) fn snapshot() -> NodeSnapshot {
    NodeSnapshot {
        schema: "rocoin.status/1".to_owned(),
        name: "script".to_owned(),
        node: NodeId([1; 32]),
        generation: Generation(1),
        incarnation: Incarnation(0),
        term: Term(0),
        leader: None,
        epoch: None,
        bundle: None,
        parts: Vec::new(),
        parts_served: 0,
        members: Vec::new(),
        planning: PlanningSnapshot::default(),
        open_requests: 0,
        queued_jobs: 0,
        draining: false,
        counters: std::collections::BTreeMap::new(),
    }
}

pub(crate) struct Bench {
    pub(crate) node: NodeHandle,
    pub(crate) store: Arc<Store>,
    seen: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// What the script was given, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn bench(react: React, due: Option<Instant>) -> Bench {
    bench_with(react, due, Vec::new()).await
}

/// A node that follows a script, knows these bundles and serves the first.
pub(crate) async fn bench_with(react: React, due: Option<Instant>, manifests: Vec<(Digest, Arc<Manifest>)>) -> Bench {
    bench_on(react, due, manifests, |state, store, done| StoreActor::start(state, Arc::clone(store), done).unwrap())
        .await
}

async fn bench_on(
    react: React,
    due: Option<Instant>,
    manifests: Vec<(Digest, Arc<Manifest>)>,
    disk: fn(&StateDir, &Arc<Store>, mpsc::Sender<Input>) -> StoreHandle,
) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (state, _) = StateDir::open(dir.path()).unwrap();
    let store = Arc::new(state.artifacts().unwrap());
    let (results, results_queue) = mpsc::channel(16);
    let (control, control_queue) = mpsc::channel(16);
    let (data, data_queue) = mpsc::channel(16);
    let config = NetworkConfig {
        identity: Identity::generate(),
        fleet_keys: None,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        seeds: Vec::new(),
        remembered: Vec::new(),
        mdns: false,
        connections_max: 1,
        allow: None,
        fault_injection: false,
    };
    let hands = Hands {
        network: network::start(config, Deliver { control, data }).await.unwrap(),
        store: disk(&state, &store, results.clone()),
        workers: workers::start(
            WorkersConfig { threads: 1, emulate_flops_per_s: None, lies: None },
            Arc::clone(&store),
            results,
        )
        .unwrap(),
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let script = Script { react, manifests, outputs: VecDeque::new(), seen: Arc::clone(&seen), due };
    let mailboxes = Mailboxes { control: control_queue, results: results_queue, data: data_queue };
    Bench { node: start(script, Clock::start(), hands, mailboxes), store, seen, _dir: dir }
}

fn request() -> Request {
    Request { input: Blob::default(), deadline: Duration::from_secs(1), min_parts: 1, mode: None }
}

fn fail_through_a_worker(input: &Input) -> Vec<Output> {
    if let Input::Request { client, .. } = input {
        return vec![Output::Run { job: JobId(client.0), student: Digest([1; 32]), input: Blob::default() }];
    }
    let Input::JobDone { job, .. } = input else { return Vec::new() };
    vec![Output::Answer { client: rocoin::node::ClientId(job.0), result: Err(RequestError::NotServing) }]
}

#[tokio::test]
async fn a_request_goes_through_the_core_and_a_worker_and_comes_back() {
    let bench = bench(fail_through_a_worker, None).await;
    for _ in 0..3 {
        assert_eq!(bench.node.request(request()).await, Err(RequestError::NotServing));
    }
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_cancelled() {
    let bench = bench(|_| Vec::new(), None).await;
    {
        let asked = bench.node.request(request());
        tokio::pin!(asked);
        assert!(futures::poll!(asked.as_mut()).is_pending());
    }
    // The mailbox is in order: the snapshot is taken after the cancellation.
    let _ = bench.node.snapshot().await.unwrap();
    let seen = bench.seen.lock().unwrap();
    assert!(seen[0].starts_with("Request") && seen[1].starts_with("CancelRequest"), "{seen:?}");
}

#[tokio::test]
async fn the_core_is_called_when_its_time_has_come() {
    let bench = bench(|_| Vec::new(), Some(Instant::ZERO + Duration::from_millis(5))).await;
    // Draining ends with the timeout's output.
    bench.node.drain().await.unwrap();
    assert!(bench.seen.lock().unwrap().contains(&"timeout".to_owned()));
}

#[tokio::test]
async fn without_its_disk_a_node_ends_and_says_why() {
    fn persist(_: &Input) -> Vec<Output> {
        vec![Output::Persist { write: WriteId(1), durable: Durable::default() }]
    }
    let bench = bench_on(persist, None, Vec::new(), |_, store, _| StoreHandle::dead(Arc::clone(store))).await;
    assert_eq!(bench.node.request(request()).await, Err(RequestError::Draining));
    let why = bench.node.ended().await;
    assert!(why.contains("the thread that writes the node's state has ended"), "{why}");
    assert!(bench.node.snapshot().await.is_err());
}
