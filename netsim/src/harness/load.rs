//! Steady load: images, one after another, through changing coordinators.
//!
//! The client is the one that the docs recommend: a request that fails is tried once more at another node. Each request has exactly
//! one outcome.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Client, Question, Reply};

/// Before the second attempt, so that it does not go to a node that dies together with the first.
const BEFORE_RETRY: Duration = Duration::from_millis(50);

/// The images to ask about, with their classes.
#[derive(Debug)]
pub struct Images {
    shape: Vec<usize>,
    images: Vec<(Vec<f32>, usize)>,
}

impl Images {
    /// Images of this shape, row-major, each with its class; `None` without any.
    pub fn new(shape: Vec<usize>, images: Vec<(Vec<f32>, usize)>) -> Option<Self> {
        (!images.is_empty()).then_some(Self { shape, images })
    }

    /// The shape of each.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The image of that number, and its class; they repeat.
    pub fn nth(&self, number: usize) -> (&[f32], usize) {
        let (image, class) = &self.images[number % self.images.len()];
        (image, *class)
    }
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Clients that ask at the same time.
    pub clients: u32,
    /// Between two requests of one client; a slow answer makes it more.
    pub pace: Duration,
    /// How long one attempt may take. Two of them are what a client waits.
    pub attempt: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { clients: 4, pace: Duration::from_millis(150), attempt: Duration::from_millis(1500) }
    }
}

/// How one request went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// When it ended.
    pub at: Instant,
    /// From the first attempt to the answer.
    pub took: Duration,
    /// Whether it needed a second attempt.
    pub retried: bool,
    /// The name of the node that was asked last; none if there was no node to ask.
    pub asked: Option<String>,
    /// What came of it.
    pub result: Answered,
}

impl Outcome {
    /// Whether it was answered with every part.
    pub fn is_complete(&self) -> bool {
        matches!(&self.result, Answered::Yes { missing, .. } if missing.is_empty())
    }

    /// Whether it was answered without some part.
    pub fn is_degraded(&self) -> bool {
        matches!(&self.result, Answered::Yes { missing, .. } if !missing.is_empty())
    }

    /// Whether it was not answered.
    pub fn is_failed(&self) -> bool {
        matches!(self.result, Answered::No { .. })
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// With every part or without some; the right class or not.
    Yes {
        /// The parts that are lacking.
        missing: Vec<u64>,
        /// Whether the class is right.
        correct: bool,
    },
    /// Neither attempt was answered.
    No {
        /// What the last attempt said, for people.
        why: String,
    },
}

#[derive(Debug)]
struct Shared {
    images: Arc<Images>,
    model: String,
    options: LoadOptions,
    targets: Mutex<Vec<Client>>,
    outcomes: Mutex<Vec<Outcome>>,
    next: AtomicUsize,
    asked: AtomicUsize,
    stop: AtomicBool,
}

/// The clients. They stop when this is dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts asking these nodes in turn.
    pub fn start(images: Arc<Images>, model: String, options: LoadOptions, targets: Vec<Client>) -> Self {
        let shared = Arc::new(Shared {
            images,
            model,
            options,
            targets: Mutex::new(targets),
            outcomes: Mutex::default(),
            next: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let client = |i: u32| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                std::thread::sleep(shared.options.pace / shared.options.clients * i);
                shared.ask_until_stopped();
            })
        };
        let clients = (0..options.clients).map(client).collect();
        Self { shared, clients }
    }

    /// Asks these nodes from now on, and no others; what is under way elsewhere is not taken back.
    pub fn retarget(&self, targets: Vec<Client>) {
        *lock(&self.shared.targets) = targets;
    }

    /// What has ended since the last call.
    pub fn take_outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut lock(&self.shared.outcomes))
    }

    /// Requests so far, whether or not they have ended.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Asks nothing new, waits for what is under way, and gives what has ended since the last call.
    pub fn stop(&mut self) -> Vec<Outcome> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
        self.take_outcomes()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn ask_until_stopped(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            self.asked.fetch_add(1, Ordering::Relaxed);
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let (image, class) = self.images.nth(number);
            let (mut reply, mut asked) = self.attempt(image, number, None);
            let retried = reply.is_err();
            if retried {
                std::thread::sleep(BEFORE_RETRY);
                (reply, asked) = self.attempt(image, number + 1, asked.as_deref());
            }
            let result = match reply {
                Ok(reply) => Answered::Yes { correct: reply.class == class, missing: reply.parts_missing },
                Err(why) => Answered::No { why },
            };
            lock(&self.outcomes).push(Outcome { at: Instant::now(), took: start.elapsed(), retried, asked, result });
            std::thread::sleep(self.options.pace.saturating_sub(start.elapsed()));
        }
    }

    /// One attempt at a node other than `avoided`; the answer or why there is none, and who was asked.
    fn attempt(&self, image: &[f32], turn: usize, avoided: Option<&str>) -> (Result<Reply, String>, Option<String>) {
        let target = {
            let targets = lock(&self.targets);
            let others: Vec<&Client> = targets.iter().filter(|target| avoided != Some(target.name())).collect();
            others.get(turn % others.len().max(1)).map(|target| (*target).clone())
        };
        let Some(target) = target else { return (Err("there is no node to ask".to_owned()), None) };
        let (shape, deadline) = (&self.images.shape, self.options.attempt);
        let question = Question { model: &self.model, image, shape, deadline, min_parts: 1 };
        (target.infer(&question).map_err(|e| e.to_string()), Some(target.name().to_owned()))
    }
}

/// A client that panicked left the list whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
