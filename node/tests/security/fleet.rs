//! A small mesh that serves the ready-made bundle, and steady load on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rocoin_netsim::harness::{Client, Mesh, NodeOptions, NodeProcess, Question, wait_until};

/// Long against everything that is awaited, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Generous: what is tested is that a request is answered, not how soon.
const DEADLINE: Duration = Duration::from_secs(20);
const MODEL: &str = "fashion-mnist";
const SHAPE: [usize; 3] = [1, 28, 28];

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rocoin"))
}

/// A device that needs no calibration, and so unreliable that every part gets at least two replicas.
pub(crate) fn options(name: &str) -> NodeOptions {
    let flags = ["--flops-per-s", "1e9", "--memory-bytes", "100000000", "--failure-probability", "0.2"];
    NodeOptions { flags: flags.map(str::to_owned).to_vec(), ..NodeOptions::named(name) }
}

/// These nodes, serving.
pub(crate) fn serving(mut mesh: Mesh, nodes: Vec<NodeOptions>) -> Mesh {
    let count = nodes.len();
    mesh.start_all(nodes).unwrap();
    mesh.deploy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/bundles/fashion-mnist")).unwrap();
    all_routable(&mesh, count);
    mesh
}

/// Waits until each node of the mesh sees `count` members that requests may be sent to, itself included, and every part served.
pub(crate) fn all_routable(mesh: &Mesh, count: usize) {
    mesh.wait("everybody reaches everybody and every part is served", PATIENCE, |status| {
        let routable = status.members.iter().filter(|m| m.routable).count();
        let served = (status.parts_served, status.parts.len());
        if routable == count && served.0 == served.1 && served.1 > 0 {
            Ok(())
        } else {
            Err(format!("{routable} {served:?}"))
        }
    })
    .unwrap();
}

/// One counter of a node's status.
pub(crate) fn counter(node: &NodeProcess, name: &str) -> u64 {
    node.status().unwrap().counters[name]
}

/// Waits until a node's log has a line with all of these.
pub(crate) fn logged(node: &NodeProcess, words: &[&str]) -> String {
    let is_it = |line: &&str| words.iter().all(|word| line.contains(word));
    wait_until("the node says so", PATIENCE, || {
        node.log()
            .lines()
            .find(is_it)
            .map(str::to_owned)
            .ok_or_else(|| format!("{words:?} not in:\n{}", node.log_tail()))
    })
    .unwrap()
}

/// Requests one after another, until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Asks these nodes in turn. Nothing is asked again elsewhere: every failure counts.
    pub(crate) fn start(mesh: &Mesh, nodes: &[usize]) -> Self {
        let clients: Vec<Client> = nodes.iter().map(|n| mesh.nodes()[*n].client().unwrap()).collect();
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            let image = vec![100.0; SHAPE.iter().product()];
            let question = Question { model: MODEL, image: &image, shape: &SHAPE, deadline: DEADLINE, min_parts: 1 };
            let mut failed = Vec::new();
            for client in clients.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                match client.infer(&question) {
                    Ok(reply) if reply.is_degraded() => failed.push(format!("without parts {:?}", reply.parts_missing)),
                    Ok(_) => {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(e) => failed.push(e.to_string()),
                }
            }
            failed
        });
        Self { stop, answered, thread: Some(thread) }
    }

    /// Waits until that many more have been answered in full.
    pub(crate) fn answer(&self, requests: usize) {
        let before = self.answered.load(Ordering::Relaxed);
        wait_until("requests are answered", PATIENCE, || {
            let answered = self.answered.load(Ordering::Relaxed);
            if answered >= before + requests { Ok(()) } else { Err(format!("{answered}, {before} before")) }
        })
        .unwrap();
    }

    /// Stops; how many were answered in full, and what became of the others.
    pub(crate) fn stop(mut self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.thread.take().unwrap().join().unwrap();
        (self.answered.load(Ordering::Relaxed), failed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
