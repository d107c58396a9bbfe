use std::path::PathBuf;

use super::super::fixture::{Quadrants, preprocess, views};
use super::*;

const FILTERS: [usize; 4] = [0, 2, 5, 7];

struct Task {
    training: Quadrants,
    validation: Quadrants,
    views: TeacherViews,
    preprocess: Preprocess,
    options: TrainOptions,
    dir: tempfile::TempDir,
}

impl Task {
    fn new(shape: &[usize], count: usize, extent: [usize; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let training = Quadrants::new(shape, count, 1);
        let views = views(&dir.path().join("views"), &training, 2, extent);
        let options = TrainOptions { epochs: 3, batch: 16, learning_rate: 0.05, ..TrainOptions::default() };
        let validation = Quadrants::new(shape, 64, 2);
        Self { training, validation, views, preprocess: preprocess(), options, dir }
    }

    fn train(&self, checkpoint: &Path, stop: impl Fn(Progress) -> bool) -> Result<TrainedStudent, TrainError> {
        let job = StudentJob {
            architecture: rocoin::planner::zoo::ZOO[0],
            filters: &FILTERS,
            preprocess: &self.preprocess,
            training: &self.training,
            validation: &self.validation,
            views: &self.views,
            options: &self.options,
            checkpoint,
        };
        let mut progress = |p| if stop(p) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        train_student(&job, &mut progress)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

#[test]
fn a_student_learns_the_task() {
    let mut task = Task::new(&[1, 8, 8], 256, [2, 2]);
    task.options.epochs = 4;
    let trained = task.train(&task.path("student"), |_| false).unwrap();
    assert!(trained.best.accuracy > 0.8, "{:?}", trained.history);
    assert_eq!(accuracy(&trained.student, &trained.head, &task.validation), trained.best.accuracy);
    assert!(trained.history[3].loss < trained.history[0].loss);
}

#[test]
fn a_student_learns_from_series_and_from_maps_of_another_size() {
    let mut task = Task::new(&[1, 16], 256, [1, 6]);
    task.options.epochs = 4;
    let trained = task.train(&task.path("student"), |_| false).unwrap();
    assert!(trained.best.accuracy > 0.6, "{:?}", trained.history);
}

#[test]
fn a_resumed_run_ends_bit_for_bit_like_one_that_never_stopped() {
    let task = Task::new(&[1, 8, 8], 64, [2, 2]);
    let whole = task.train(&task.path("whole"), |_| false).unwrap();
    let path = task.path("stopped");
    let after_first = |p| matches!(p, Progress::Epoch(record) if record.epoch == 0);
    assert!(matches!(task.train(&path, after_first), Err(TrainError::Stopped)));
    let within_second = |p| matches!(p, Progress::Batch { epoch: 1, batch: 2, .. });
    assert!(matches!(task.train(&path, within_second), Err(TrainError::Stopped)));
    let resumed = task.train(&path, |_| false).unwrap();
    assert_eq!(resumed, whole);
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(task.path("whole")).unwrap());
}

#[test]
fn a_finished_student_is_read_and_not_trained_again() {
    let task = Task::new(&[1, 8, 8], 64, [2, 2]);
    let path = task.path("student");
    let first = task.train(&path, |_| false).unwrap();
    assert_eq!(task.train(&path, |_| panic!("there is nothing to do")).unwrap(), first);
}

#[test]
fn a_checkpoint_of_other_options_is_refused() {
    let mut task = Task::new(&[1, 8, 8], 64, [2, 2]);
    let path = task.path("student");
    task.train(&path, |_| false).unwrap();
    task.options.beta = 1.0;
    let refused = task.train(&path, |_| false);
    assert!(matches!(refused, Err(TrainError::Checkpoint(CheckpointError::OtherJob(_)))));
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint() {
    let mut task = Task::new(&[1, 8, 8], 64, [2, 2]);
    task.options.learning_rate = 1e30;
    let error = task.train(&task.path("student"), |_| false).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    assert!(error.to_string().contains("learning rate"));
}

#[test]
fn a_job_that_contradicts_itself_is_refused() {
    let mut task = Task::new(&[1, 8, 8], 64, [2, 2]);
    task.options.batch = 1;
    assert!(matches!(task.train(&task.path("a"), |_| false), Err(TrainError::Job { .. })));
    task.options.batch = 16;
    task.validation = Quadrants::new(&[1, 9, 8], 8, 2);
    assert!(matches!(task.train(&task.path("a"), |_| false), Err(TrainError::Job { .. })));
}
