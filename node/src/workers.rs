//! The threads that run students, so that the node's loop never waits for one. Loading has a thread of its own: while a new plan's
//! students load, requests go on.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use rocoin::blob::Blob;
use rocoin::id::Digest;
use rocoin::node::{Input, JobId};
use rocoin_models::session::Session;
use tokio::sync::mpsc;

use crate::refused::{Refused, give};
use crate::store::Store;

/// Runs that wait for a worker; one more fails. The core bounds them well below.
const QUEUE: usize = 1024;
/// Runs on zeros before a student counts as ready: the first is slower than the rest.
const WARM_UP_RUNS: usize = 2;
/// What a full queue says.
const BUSY: &str = "too many jobs are waiting";

/// Makes every student of this device answer wrongly, as a broken or hostile one would. It exists only where the node was started with
/// `--fault-injection`. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct LieSwitch(Arc<AtomicBool>);

impl LieSwitch {
    /// From the next run on.
    pub fn set(&self, lie: bool) {
        self.0.store(lie, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many threads run students, and how fast they pretend to be.
#[derive(Debug, Clone)]
pub(crate) struct WorkersConfig {
    pub(crate) threads: usize,
    /// A run takes at least as long as it would at this rate, FLOP/s.
    pub(crate) emulate_flops_per_s: Option<f64>,
    /// Whether there is a switch that makes them lie.
    pub(crate) lies: Option<LieSwitch>,
}

#[derive(Debug)]
struct Run {
    job: JobId,
    student: Digest,
    input: Blob,
}

#[derive(Debug)]
struct Loaded {
    session: Session,
    flops: u64,
}

type Students = Arc<RwLock<BTreeMap<Digest, Arc<Loaded>>>>;

/// Gives work to the threads; what comes of it is an [`Input`] to the node. They end when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct WorkersHandle {
    runs: SyncSender<Run>,
    loads: SyncSender<Digest>,
    students: Students,
}

impl WorkersHandle {
    /// Run a loaded student.
    pub(crate) fn run(&self, job: JobId, student: Digest, input: Blob) -> Result<(), Refused> {
        let busy = || Input::JobDone { job, result: Err(BUSY.to_owned()), run: Duration::ZERO };
        give(&self.runs, Run { job, student, input }, "the last thread that runs students", busy)
    }

    /// Load a held student and warm it up.
    pub(crate) fn load(&self, student: Digest) -> Result<(), Refused> {
        let busy = || Input::Loaded { student, result: Err(BUSY.to_owned()) };
        give(&self.loads, student, "the thread that loads students", busy)
    }

    /// Free a loaded student at once; runs under way finish. It is no task for a thread, since nobody would ask again.
    pub(crate) fn unload(&self, student: Digest) {
        self.students.write().unwrap_or_else(PoisonError::into_inner).remove(&student);
    }
}

/// Starts the threads.
pub(crate) fn start(
    config: WorkersConfig,
    store: Arc<Store>,
    done: mpsc::Sender<Input>,
) -> std::io::Result<WorkersHandle> {
    let (runs, run_queue) = sync_channel(QUEUE);
    let (loads, load_queue) = sync_channel(QUEUE);
    let run_queue = Arc::new(Mutex::new(run_queue));
    let students = Students::default();
    for i in 0..config.threads {
        let (queue, students, done) = (Arc::clone(&run_queue), Arc::clone(&students), done.clone());
        let config = config.clone();
        thread::Builder::new()
            .name(format!("rocoin-run-{i}"))
            .spawn(move || work(&queue, &students, &config, &done))?;
    }
    let loaded = Arc::clone(&students);
    thread::Builder::new()
        .name("rocoin-load".to_owned())
        .spawn(move || load_all(&load_queue, &loaded, &store, &done))?;
    Ok(WorkersHandle { runs, loads, students })
}

fn work(queue: &Mutex<Receiver<Run>>, students: &Students, config: &WorkersConfig, done: &mpsc::Sender<Input>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Run { job, student, input }) = next else { return };
        let start = Instant::now();
        let loaded = students.read().unwrap_or_else(PoisonError::into_inner).get(&student).cloned();
        let result = match &loaded {
            Some(loaded) => {
                let lies = config.lies.as_ref().is_some_and(LieSwitch::is_on);
                run(&loaded.session, &input).map(|logits| Blob::from_floats(&if lies { lie(&logits) } else { logits }))
            }
            None => Err(format!("the student {} is not loaded", student.short())),
        };
        if let (Some(rate), Some(loaded)) = (config.emulate_flops_per_s, &loaded) {
            thread::sleep(emulated(loaded.flops, rate).saturating_sub(start.elapsed()));
        }
        if done.blocking_send(Input::JobDone { job, result, run: start.elapsed() }).is_err() {
            return;
        }
    }
}

/// How long a run would take at that rate.
fn emulated(flops: u64, flops_per_s: f64) -> Duration {
    Duration::try_from_secs_f64(flops as f64 / flops_per_s).unwrap_or(Duration::ZERO)
}

fn run(session: &Session, input: &Blob) -> Result<Vec<f32>, String> {
    let image = input.to_floats().map_err(|e| e.to_string())?;
    guarded(|| session.run(&image).map_err(|e| e.to_string()))
}

/// The least likely class is the likeliest.
fn lie(logits: &[f32]) -> Vec<f32> {
    logits.iter().map(|logit| 1.0 - logit).collect()
}

/// A panic inside is this one student's failure, not the worker's end.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|t| (*t).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(format!("the student panicked: {text}"))
    })
}

fn load_all(queue: &Receiver<Digest>, students: &Students, store: &Store, done: &mpsc::Sender<Input>) {
    while let Ok(student) = queue.recv() {
        let result = load(student, store).map(|loaded| {
            students.write().unwrap_or_else(PoisonError::into_inner).insert(student, Arc::new(loaded));
        });
        if done.blocking_send(Input::Loaded { student, result }).is_err() {
            return;
        }
    }
}

fn load(student: Digest, store: &Store) -> Result<Loaded, String> {
    let card =
        store.student(student).ok_or_else(|| format!("no manifest here names the student {}", student.short()))?;
    let onnx = store.read(student).map_err(|e| e.to_string())?;
    guarded(|| {
        let session = Session::load(&onnx, &card.shape).map_err(|e| e.to_string())?;
        let zeros = vec![0.0; session.input_len()];
        for _ in 0..WARM_UP_RUNS {
            session.run(&zeros).map_err(|e| e.to_string())?;
        }
        Ok(Loaded { session, flops: card.flops })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration;
    use crate::store::StateDir;

    fn workers() -> (WorkersHandle, mpsc::Receiver<Input>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let (state, _) = StateDir::open(dir.path()).unwrap();
        let (done, inputs) = mpsc::channel(16);
        let config = WorkersConfig { threads: 2, emulate_flops_per_s: None, lies: None };
        (start(config, Arc::new(state.artifacts().unwrap()), done).unwrap(), inputs, dir)
    }

    #[test]
    fn a_student_that_is_not_loaded_fails_and_the_worker_lives_on() {
        let (workers, mut inputs, _dir) = workers();
        for n in 0..4 {
            workers.run(JobId(n), Digest([1; 32]), Blob::default()).unwrap();
            assert!(
                matches!(inputs.blocking_recv(), Some(Input::JobDone { job, result: Err(_), .. }) if job == JobId(n))
            );
        }
    }

    #[test]
    fn a_student_that_is_not_held_is_reported_as_not_loaded() {
        let (workers, mut inputs, _dir) = workers();
        workers.load(Digest([1; 32])).unwrap();
        assert!(matches!(inputs.blocking_recv(), Some(Input::Loaded { result: Err(_), .. })));
    }

    #[test]
    fn a_student_is_freed_even_while_no_task_is_taken() {
        let (runs, _full) = sync_channel(0);
        let (loads, _full_too) = sync_channel(0);
        let student = Digest([1; 32]);
        let session = Session::load(&calibration::network::onnx(), &calibration::network::SHAPE).unwrap();
        let students = Students::new(BTreeMap::from([(student, Arc::new(Loaded { session, flops: 1 }))]).into());
        let workers = WorkersHandle { runs, loads, students: Arc::clone(&students) };
        assert!(matches!(workers.load(student), Err(Refused::Busy(_))));
        workers.unload(student);
        assert!(students.read().unwrap().is_empty());
    }

    #[test]
    fn a_panic_is_a_failure_with_its_text() {
        let error = guarded::<()>(|| panic!("weights ran away")).unwrap_err();
        assert!(error.contains("weights ran away"), "{error}");
    }

    #[test]
    fn an_emulated_run_takes_what_it_would_at_that_rate() {
        assert_eq!(emulated(30_000_000, 10e6), Duration::from_secs(3));
        assert_eq!(emulated(1, 0.0), Duration::ZERO);
    }
}
