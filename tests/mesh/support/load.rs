//! Steady load through changing coordinators, by a client that retries once elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rocoin_netsim::harness::{Client, ClientError, Mesh, Question, Reply, wait_until};

use super::{Bundle, PATIENCE, bundle, image};

/// Requests under way at once.
const THREADS: usize = 2;
/// Generous: what is tested is that a request is answered, not how soon.
const DEADLINE: Duration = Duration::from_secs(10);

/// What became of the requests so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) complete: usize,
    /// The parts that were missing, one entry a request.
    pub(crate) degraded: Vec<Vec<u64>>,
    /// Asked again elsewhere.
    pub(crate) retried: usize,
    /// What both answers said.
    pub(crate) failed: Vec<String>,
}

/// Requests one after another until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Asks the nodes `first` in turn; what fails is asked again at one of the nodes `then`.
    pub(crate) fn start(mesh: &Mesh, first: &[usize], then: &[usize]) -> Self {
        let clients =
            |nodes: &[usize]| -> Vec<Client> { nodes.iter().map(|n| mesh.nodes()[*n].client().unwrap()).collect() };
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Tally::default())));
        let threads = (0..THREADS)
            .map(|thread| {
                let (first, then) = (clients(first), clients(then));
                let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
                std::thread::spawn(move || {
                    let mut n = thread;
                    while !stop.load(Ordering::Relaxed) {
                        one(&first[n % first.len()], &then[n % then.len()], n as u64, &tally);
                        n += THREADS;
                    }
                })
            })
            .collect();
        Self { stop, tally, threads }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Waits until that many more have been answered, complete or degraded.
    pub(crate) fn answer(&self, requests: usize) {
        let answered = |tally: &Tally| tally.complete + tally.degraded.len();
        let before = answered(&self.tally());
        wait_until("requests are answered", PATIENCE, || {
            let tally = self.tally();
            if answered(&tally) >= before + requests { Ok(()) } else { Err(format!("{tally:?}")) }
        })
        .unwrap();
    }

    pub(crate) fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Bundle {
    /// Asks a node for one image.
    pub(crate) fn ask(&self, client: &Client, image: &[f32]) -> Result<Reply, ClientError> {
        let shape = &self.manifest().input.shape;
        client.infer(&Question { model: self.name(), image, shape, deadline: DEADLINE, min_parts: 1 })
    }
}

fn one(first: &Client, then: &Client, n: u64, tally: &Mutex<Tally>) {
    let image = image(n);
    let (reply, retried) = match bundle().ask(first, &image) {
        Ok(reply) => (Ok(reply), false),
        Err(e) => (bundle().ask(then, &image).map_err(|again| format!("{e}; then {again}")), true),
    };
    let mut tally = tally.lock().unwrap();
    tally.retried += usize::from(retried);
    match reply {
        Ok(reply) if reply.is_degraded() => tally.degraded.push(reply.parts_missing),
        Ok(_) => tally.complete += 1,
        Err(e) => tally.failed.push(e),
    }
}
