//! Steady load: test images, one after another, through changing coordinators.
//!
//! The client is the one that the docs recommend: a request that fails is tried once more at another node.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rocoin_models::data::Split;
use rocoin_netsim::harness::{Client, HarnessError, Mesh, Question, Reply};

/// Clients that ask at the same time.
const CLIENTS: usize = 4;
/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(150);
/// How long one attempt may take. Two of them are what a client waits.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// Before the second attempt, so that it does not go to a node that dies together with the first.
const BEFORE_RETRY: Duration = Duration::from_millis(50);

/// The images to ask about.
#[derive(Debug)]
pub(super) struct Images {
    shape: Vec<usize>,
    images: Vec<(Vec<f32>, usize)>,
}

impl Images {
    pub(super) fn new(split: &Split) -> Self {
        let images = (0..split.len()).map(|i| (split.image_vec(i), split.label(i))).collect();
        Self { shape: split.shape.clone(), images }
    }
}

/// How one request went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// When it ended.
    pub(super) at: Instant,
    /// From the first attempt to the answer.
    pub(super) took: Duration,
    /// Whether it needed a second attempt.
    pub(super) retried: bool,
    pub(super) result: Answered,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// With every part or without some; the right class or not.
    Yes { degraded: bool, correct: bool },
    /// Neither attempt was answered.
    No,
}

#[derive(Debug)]
struct Shared {
    images: Arc<Images>,
    model: String,
    targets: Mutex<Vec<Client>>,
    outcomes: Mutex<Vec<Outcome>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// The clients. They stop when this is dropped.
#[derive(Debug)]
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts asking every well node of the mesh in turn.
    pub(super) fn start(images: Arc<Images>, model: String, mesh: &Mesh) -> Result<Self, HarnessError> {
        let shared = Arc::new(Shared {
            images,
            model,
            targets: Mutex::new(clients_of(mesh)?),
            outcomes: Mutex::default(),
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let client = |i: u32| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                std::thread::sleep(PACE / 4 * i);
                shared.ask_until_stopped();
            })
        };
        let clients = (0..CLIENTS).filter_map(|i| u32::try_from(i).ok()).map(client).collect();
        Ok(Self { shared, clients })
    }

    /// Asks the nodes that are well now, and no others; what is under way elsewhere is not taken back.
    pub(super) fn retarget(&self, mesh: &Mesh) -> Result<(), HarnessError> {
        *lock(&self.shared.targets) = clients_of(mesh)?;
        Ok(())
    }

    /// What has ended since the last call.
    pub(super) fn take_outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut lock(&self.shared.outcomes))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

impl Shared {
    fn ask_until_stopped(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let (image, class) = &self.images.images[number % self.images.images.len()];
            let (first, asked) = self.attempt(image, number, None);
            let retried = first.is_none();
            if retried {
                std::thread::sleep(BEFORE_RETRY);
            }
            let reply = first.or_else(|| self.attempt(image, number + 1, asked.as_deref()).0);
            let result = reply.map_or(Answered::No, |reply| Answered::Yes {
                degraded: reply.is_degraded(),
                correct: reply.class == *class,
            });
            lock(&self.outcomes).push(Outcome { at: Instant::now(), took: start.elapsed(), retried, result });
            std::thread::sleep(PACE.saturating_sub(start.elapsed()));
        }
    }

    /// One attempt at a node other than `avoided`; the answer, and who was asked.
    fn attempt(&self, image: &[f32], turn: usize, avoided: Option<&str>) -> (Option<Reply>, Option<String>) {
        let target = {
            let targets = lock(&self.targets);
            let others: Vec<&Client> = targets.iter().filter(|target| avoided != Some(target.base())).collect();
            others.get(turn % others.len().max(1)).map(|target| (*target).clone())
        };
        let Some(target) = target else { return (None, None) };
        let question =
            Question { model: &self.model, image, shape: &self.images.shape, deadline: ATTEMPT, min_parts: 1 };
        (target.infer(&question).ok(), Some(target.base().to_owned()))
    }
}

fn clients_of(mesh: &Mesh) -> Result<Vec<Client>, HarnessError> {
    mesh.well().map(|(_, node)| node.client()).collect()
}

/// A client that panicked left the list whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
