//! What the teacher says of every view of every training image: computed once, kept on disk, read by all students.
//!
//! One file of logits (f32) and one of feature maps (f16, `[image][filter][position]`) a view. A view's files appear under
//! their names when they are whole, so an interrupted computation starts again at the view it was in. Nothing is mapped into
//! memory: a batch is read with positioned reads, from the page cache where it fits.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use serde::{Deserialize, Serialize};

use super::augment::Augment;
use super::samples::Samples;
use crate::zoo::extent;

/// Images that a thread takes at a time.
const CHUNK: usize = 64;

/// The teacher's answer to one image.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherOutput {
    /// One a class.
    pub logits: Vec<f32>,
    /// The last feature map, `[filters, height, width]`.
    pub map: Vec<f32>,
}

/// A teacher: one raw image to its answer, or why there is none.
pub type Teacher<'a> = dyn Fn(&[f32]) -> Result<TeacherOutput, String> + Sync + 'a;

/// What the views are of. Views on disk serve only the spec they were made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewsSpec {
    /// Names teacher, data and preprocessing, e.g. by their digests.
    pub key: String,
    /// Number of views; view 0 is the image itself.
    pub views: u32,
    /// What the other views are.
    pub augment: Augment,
    /// Of the augmentation.
    pub seed: u64,
    /// Classes of the teacher.
    pub classes: usize,
    /// Filters of its last feature map.
    pub filters: usize,
    /// Height and width of that map; a series has height 1.
    pub extent: [usize; 2],
}

/// Views that are not there. Whole views stay where they are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewsError {
    /// The folder could not be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder was made for something else.
    #[error("{} holds the teacher's answers for another teacher, data set, seed or augmentation; use another work folder, or delete this one", .0.display())]
    Other(PathBuf),
    /// The teacher failed.
    #[error("the teacher failed on training image {image}: {reason}")]
    Teacher {
        /// Which.
        image: usize,
        /// What it says.
        reason: String,
    },
    /// Neither `[C, H, W]` nor `[C, L]`, or no image, or no view.
    #[error("there is nothing to show the teacher: {images} images of shape {shape:?}, {views} views")]
    Empty {
        /// Number of images.
        images: usize,
        /// Their shape.
        shape: Vec<usize>,
        /// Number of views.
        views: u32,
    },
}

/// How far the computation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewsProgress {
    /// The view in work.
    pub view: u32,
    /// Its images that are done.
    pub done: usize,
    /// Its images.
    pub images: usize,
}

/// The teacher's answers, on disk.
#[derive(Debug)]
pub struct TeacherViews {
    spec: ViewsSpec,
    images: usize,
    /// Logits and maps of each view.
    files: Vec<[(PathBuf, File); 2]>,
}

/// What students learn from for one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherBatch {
    /// `[N, classes]`.
    pub logits: Vec<f32>,
    /// `[N, filters of the part, height, width]`.
    pub maps: Vec<f32>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct OnDisk {
    spec: ViewsSpec,
    images: usize,
}

impl TeacherViews {
    /// Computes whatever `dir` lacks, in `threads` threads, and opens it.
    ///
    /// # Errors
    /// [`ViewsError`]; views that were whole stay and are not computed again.
    pub fn prepare(
        dir: &Path,
        spec: ViewsSpec,
        samples: &dyn Samples,
        teacher: &Teacher<'_>,
        threads: usize,
        progress: &(dyn Fn(ViewsProgress) + Sync),
    ) -> Result<Self, ViewsError> {
        let images = samples.len();
        if images == 0 || spec.views == 0 || extent(samples.shape()).is_none() {
            return Err(ViewsError::Empty { images, shape: samples.shape().to_vec(), views: spec.views });
        }
        fs::create_dir_all(dir).map_err(io(dir))?;
        claim(dir, &OnDisk { spec: spec.clone(), images })?;
        let mut files = Vec::new();
        for view in 0..spec.views {
            let paths = paths(dir, view);
            if !paths.iter().all(|path| path.exists()) {
                compute(&paths, &spec, view, samples, teacher, threads, progress)?;
            }
            let [logits, maps] = paths;
            files.push([open(logits)?, open(maps)?]);
        }
        Ok(Self { spec, images, files })
    }

    /// What they are of.
    pub fn spec(&self) -> &ViewsSpec {
        &self.spec
    }

    /// Number of training images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// View `view` of sample `index`, raw.
    pub fn image(&self, samples: &dyn Samples, view: u32, index: usize) -> Vec<f32> {
        view_of(&self.spec, samples, view, index)
    }

    /// The teacher's answers for some images of a view, its map reduced to `filters`.
    ///
    /// # Errors
    /// [`ViewsError::Io`], if a file cannot be read.
    pub fn batch(&self, view: u32, images: &[usize], filters: &[usize]) -> Result<TeacherBatch, ViewsError> {
        let [logits_file, (maps_path, maps_file)] = &self.files[view as usize];
        let positions: usize = self.spec.extent.iter().product();
        let mut row = vec![0; self.spec.filters * positions * 2];
        let mut batch =
            TeacherBatch { logits: Vec::new(), maps: Vec::with_capacity(images.len() * filters.len() * positions) };
        for &image in images {
            let offset = image as u64 * row.len() as u64;
            maps_file.read_exact_at(&mut row, offset).map_err(io(maps_path))?;
            for filter in filters {
                let plane = &row[filter * positions * 2..][..positions * 2];
                batch.maps.extend(plane.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()));
            }
            batch.logits.extend(read_f32(logits_file, image * self.spec.classes, self.spec.classes)?);
        }
        Ok(batch)
    }

    /// The teacher's logits for all images of a view, `[images, classes]`.
    ///
    /// # Errors
    /// [`ViewsError::Io`], if the file cannot be read.
    pub fn logits(&self, view: u32) -> Result<Vec<f32>, ViewsError> {
        read_f32(&self.files[view as usize][0], 0, self.images * self.spec.classes)
    }
}

fn read_f32((path, file): &(PathBuf, File), start: usize, count: usize) -> Result<Vec<f32>, ViewsError> {
    let mut bytes = vec![0; count * 4];
    file.read_exact_at(&mut bytes, start as u64 * 4).map_err(io(path))?;
    Ok(bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn view_of(spec: &ViewsSpec, samples: &dyn Samples, view: u32, index: usize) -> Vec<f32> {
    let mut image = vec![0.0; samples.shape().iter().product()];
    samples.image(index, &mut image);
    spec.augment.apply(samples.shape(), &image, spec.seed, view, index)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ViewsError + '_ {
    move |source| ViewsError::Io { path: path.to_owned(), source }
}

fn open(path: PathBuf) -> Result<(PathBuf, File), ViewsError> {
    let file = File::open(&path).map_err(io(&path))?;
    Ok((path, file))
}

fn paths(dir: &Path, view: u32) -> [PathBuf; 2] {
    ["logits", "maps"].map(|what| dir.join(format!("view-{view}.{what}")))
}

/// Writes what the folder is for, or checks it.
fn claim(dir: &Path, wanted: &OnDisk) -> Result<(), ViewsError> {
    let path = dir.join("views.json");
    match fs::read(&path) {
        Ok(json) => match serde_json::from_slice::<OnDisk>(&json) {
            Ok(found) if found == *wanted => Ok(()),
            Ok(_) | Err(_) => Err(ViewsError::Other(dir.to_owned())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let json = serde_json::to_vec_pretty(wanted).expect("a spec is plain data");
            super::checkpoint::write_atomically(&path, &json).map_err(io(&path))
        }
        Err(error) => Err(io(&path)(error)),
    }
}

/// Runs the teacher over all images of a view, into files that get their names at the end.
fn compute(
    paths: &[PathBuf; 2],
    spec: &ViewsSpec,
    view: u32,
    samples: &dyn Samples,
    teacher: &Teacher<'_>,
    threads: usize,
    progress: &(dyn Fn(ViewsProgress) + Sync),
) -> Result<(), ViewsError> {
    let partial = paths.clone().map(|path| path.with_added_extension("partial"));
    let files =
        [File::create(&partial[0]).map_err(io(&partial[0]))?, File::create(&partial[1]).map_err(io(&partial[1]))?];
    let images = samples.len();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failure = Mutex::new(None);
    let work = || -> Result<(), ViewsError> {
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= images {
                return Ok(());
            }
            let end = (start + CHUNK).min(images);
            let rows = answers(spec, view, samples, teacher, start..end)?;
            for ((file, path), (bytes, size)) in files.iter().zip(&partial).zip(rows) {
                file.write_all_at(&bytes, (start * size) as u64).map_err(io(path))?;
            }
            let done = done.fetch_add(end - start, Ordering::Relaxed) + end - start;
            progress(ViewsProgress { view, done, images });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                if let Err(error) = work() {
                    next.store(images, Ordering::Relaxed);
                    failure.lock().expect("no thread panics with the lock").get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().expect("no thread panics with the lock") {
        return Err(error);
    }
    for ((file, from), to) in files.iter().zip(&partial).zip(paths) {
        file.sync_all().and_then(|()| fs::rename(from, to)).map_err(io(to))?;
    }
    Ok(())
}

/// Logits and maps of some images, as bytes, each with its bytes an image.
fn answers(
    spec: &ViewsSpec,
    view: u32,
    samples: &dyn Samples,
    teacher: &Teacher<'_>,
    images: std::ops::Range<usize>,
) -> Result<[(Vec<u8>, usize); 2], ViewsError> {
    let map_len = spec.filters * spec.extent[0] * spec.extent[1];
    let (mut logits, mut maps) = (Vec::new(), Vec::new());
    for image in images {
        let fail = |reason: String| ViewsError::Teacher { image, reason };
        let output = teacher(&view_of(spec, samples, view, image)).map_err(fail)?;
        if output.logits.len() != spec.classes || output.map.len() != map_len {
            return Err(fail(format!(
                "it gave {} logits and a map of {} numbers where {} and {map_len} were expected",
                output.logits.len(),
                output.map.len(),
                spec.classes
            )));
        }
        if !output.logits.iter().chain(&output.map).all(|x| x.is_finite()) {
            return Err(fail("its answer has numbers that are not finite".to_owned()));
        }
        logits.extend(output.logits.iter().flat_map(|x| x.to_le_bytes()));
        let clamped: Vec<f32> = output.map.iter().map(|x| x.clamp(f16::MIN.to_f32(), f16::MAX.to_f32())).collect();
        let mut halves = vec![f16::ZERO; clamped.len()];
        halves.convert_from_f32_slice(&clamped);
        maps.extend(halves.iter().flat_map(|x| x.to_le_bytes()));
    }
    Ok([(logits, spec.classes * 4), (maps, map_len * 2)])
}

#[cfg(test)]
mod tests;
