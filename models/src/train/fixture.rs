//! A small made-up task for tests: which quadrant of a noisy image is the bright one.

use std::path::Path;

use rocoin::bundle::Preprocess;

use super::augment::Augment;
use super::samples::Samples;
use super::views::{TeacherOutput, TeacherViews, ViewsSpec};
use crate::zoo::random::Random;

/// Images of 8×8, or series of 16 in four stretches.
pub(crate) struct Quadrants {
    shape: Vec<usize>,
    images: Vec<(Vec<f32>, usize)>,
}

impl Quadrants {
    pub(crate) fn new(shape: &[usize], count: usize, seed: u64) -> Self {
        let mut random = Random::new(seed, 0);
        let images = (0..count).map(|index| {
            let bright = index % 4;
            let size: usize = shape.iter().product();
            let noisy = |at: usize| 20.0 * random.normal() + if quadrant(shape, at) == bright { 80.0 } else { 40.0 };
            ((0..size).map(noisy).collect(), bright)
        });
        Self { images: images.collect(), shape: shape.to_vec() }
    }
}

impl Samples for Quadrants {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, index: usize) -> usize {
        self.images[index].1
    }

    fn image(&self, index: usize, image: &mut [f32]) {
        image.copy_from_slice(&self.images[index].0);
    }
}

fn quadrant(shape: &[usize], at: usize) -> usize {
    match *shape {
        [_, height, width] => 2 * usize::from(at / width % height >= height / 2) + usize::from(at % width >= width / 2),
        [_, length] => at % length * 4 / length,
        _ => 0,
    }
}

/// A teacher that knows the task: its filters are the mean brightness of each quadrant, lit at all positions, and their negatives.
pub(crate) fn teacher(shape: &[usize], image: &[f32], extent: [usize; 2]) -> TeacherOutput {
    let mut means = [0.0; 4];
    for (at, x) in image.iter().enumerate() {
        means[quadrant(shape, at)] += 4.0 * x / image.len() as f32 / 40.0;
    }
    let map = means.iter().flat_map(|mean| [mean.max(0.0), (2.0 - mean).max(0.0)]);
    let positions = extent[0] * extent[1];
    let map = map.flat_map(|value| std::iter::repeat_n(value, positions)).collect();
    TeacherOutput { logits: means.iter().map(|mean| 8.0 * mean).collect(), map }
}

pub(crate) fn spec(views: u32, extent: [usize; 2]) -> ViewsSpec {
    let augment = Augment { shift: 1, flip: false };
    ViewsSpec { key: "quadrants".to_owned(), views, augment, seed: 5, classes: 4, filters: 8, extent }
}

pub(crate) fn views(dir: &Path, samples: &Quadrants, views: u32, extent: [usize; 2]) -> TeacherViews {
    let run = |image: &[f32]| Ok(teacher(samples.shape(), image, extent));
    TeacherViews::prepare(dir, spec(views, extent), samples, &run, 2, &|_| ()).unwrap()
}

pub(crate) fn preprocess() -> Preprocess {
    Preprocess { scale: 1.0, mean: vec![50.0], std: vec![30.0] }
}
