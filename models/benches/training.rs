//! Training as it is: four students WRN-16-1 at 32×32, batch 128, side by side in as many threads, with the teacher's answers from disk.
//!
//! Items are student-images: 1 item/s is one image forward and backward through one student a second. `pytorch.py` beside this file measures
//! the same network and loss in PyTorch.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use divan::Bencher;
use divan::counter::ItemsCount;
use rocoin::bundle::Preprocess;
use rocoin_models::train::student::{StudentJob, TrainOptions, train_student};
use rocoin_models::train::views::{TeacherOutput, TeacherViews, ViewsSpec};
use rocoin_models::train::{Augment, Samples};

const PARTS: usize = 4;
const CLASSES: usize = 10;
const FILTERS: usize = 256;
/// Of the teacher's map.
const SIDE: usize = 8;
const SHAPE: [usize; 3] = [3, 32, 32];
const IMAGES: usize = 10 * 128;
/// As few as there can be: they are not what is measured.
const VALIDATION: usize = 1;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 2, 4], sample_count = 3, sample_size = 1)]
fn one_epoch_of_four_students(bencher: Bencher<'_, '_>, threads: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = ViewsSpec {
        key: "bench".to_owned(),
        views: 1,
        augment: Augment::usual(&SHAPE),
        seed: 0,
        classes: CLASSES,
        filters: FILTERS,
        extent: [SIDE, SIDE],
    };
    let teacher = |image: &[f32]| {
        let map = image.iter().cycle().take(FILTERS * SIDE * SIDE).map(|x| x / 255.0).collect();
        Ok(TeacherOutput { logits: image[..CLASSES].to_vec(), map })
    };
    let views = TeacherViews::prepare(&folder.path().join("views"), spec, &Noise(IMAGES), &teacher, 2, &|_| ())
        .expect("the teacher's answers");
    let runs = AtomicUsize::new(0);
    bencher.counter(ItemsCount::new(PARTS * IMAGES)).bench_local(|| {
        // A checkpoint of an earlier run would be gone on with.
        let run = folder.path().join(runs.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&run).expect("a folder for checkpoints");
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let part = next.fetch_add(1, Ordering::Relaxed);
                        if part >= PARTS {
                            return;
                        }
                        train(&views, part, &run);
                    }
                });
            }
        });
    });
}

fn train(views: &TeacherViews, part: usize, run: &Path) {
    let filters: Vec<usize> = (part * FILTERS / PARTS..(part + 1) * FILTERS / PARTS).collect();
    let preprocess = Preprocess { scale: 1.0, mean: vec![128.0; 3], std: vec![64.0; 3] };
    let job = StudentJob {
        architecture: "wrn-16-1".parse().expect("an architecture of the zoo"),
        filters: &filters,
        preprocess: &preprocess,
        training: &Noise(IMAGES),
        validation: &Noise(VALIDATION),
        views,
        options: &TrainOptions { epochs: 1, ..TrainOptions::default() },
        checkpoint: &run.join(part.to_string()),
    };
    train_student(&job, &mut |_| ControlFlow::Continue(())).expect("one epoch");
}

/// Images of noise: how fast they are learnt does not depend on what they show.
struct Noise(usize);

impl Samples for Noise {
    fn len(&self) -> usize {
        self.0
    }

    fn shape(&self) -> &[usize] {
        &SHAPE
    }

    fn label(&self, index: usize) -> usize {
        index % CLASSES
    }

    fn image(&self, index: usize, image: &mut [f32]) {
        let mut state = u32::try_from(index).unwrap_or(u32::MAX);
        for x in image {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *x = (state >> 24) as f32;
        }
    }
}
