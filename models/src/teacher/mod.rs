//! The teacher: any ONNX classifier that maps one image to one score a class, run forward only.
//!
//! [`Teacher::open`] finds the input, the scores and the last feature map whatever their names are; what is ambiguous it takes
//! from [`TeacherOptions`]. Its scores always come out as logits: of a final softmax the logarithm is used. It never trains.

mod ending;
mod error;
mod feature;
mod layout;

use std::path::Path;

use rocoin::bundle::Preprocess;
use rocoin::id::Digest;

pub use ending::Ending;
pub use error::TeacherError;
pub use feature::Candidate;
pub use layout::Layout;

use crate::session::{OnnxGraph, Session};
use feature::FeatureMap;

/// What cannot be found out from the file alone.
#[derive(Debug, Clone, Default)]
pub struct TeacherOptions {
    /// The tensor to take as last feature map; `None`: the last one with spatial axes before pooling or flattening.
    pub feature_tensor: Option<String>,
    /// Where the input has its channels; `None`: as the declared input shape says, channels first if it fits both.
    pub layout: Option<Layout>,
    /// Applied to an image before the teacher sees it; `None`: the teacher takes images as the data has them.
    pub preprocess: Option<Preprocess>,
}

/// What the teacher says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherOutput {
    /// One a class; of a softmax teacher the logarithm of its probabilities.
    pub logits: Vec<f32>,
    /// The last feature map, `[filters, positions]`.
    pub map: Vec<f32>,
}

/// An opened teacher. Threads share it by reference.
#[derive(Debug)]
pub struct Teacher {
    session: Session,
    layout: Layout,
    preprocess: Option<Preprocess>,
    image_shape: Vec<usize>,
    feature: FeatureMap,
    ending: Ending,
    classes: usize,
    sha256: String,
}

impl Teacher {
    /// Opens the ONNX file at `path` for images of `image_shape` (`[C,H,W]` or `[C,L]`, as the data has them).
    ///
    /// # Errors
    /// [`TeacherError`]: unreadable, no ONNX, unsupported operators, wrong input, no feature map (with the candidates).
    pub fn open(path: &Path, image_shape: &[usize], options: &TeacherOptions) -> Result<Self, TeacherError> {
        let onnx = read(path)?;
        let graph = OnnxGraph::parse(&onnx).map_err(|error| TeacherError::session(path, error))?;
        Self::from_graph(path, graph, Digest::of(&onnx), image_shape, options)
    }

    /// Number of axes of the teacher's input without the batch (3: images, 2: series), if the file declares it.
    ///
    /// # Errors
    /// As [`Teacher::open`].
    pub fn input_rank(path: &Path) -> Result<Option<usize>, TeacherError> {
        let graph = OnnxGraph::parse(&read(path)?).map_err(|error| TeacherError::session(path, error))?;
        let input = graph.input().map_err(|error| TeacherError::session(path, error))?;
        Ok(input.shape.as_ref().map(|shape| shape.len().saturating_sub(1)))
    }

    /// Every tensor that could be named as feature map, in the network's order.
    ///
    /// # Errors
    /// As [`Teacher::open`].
    pub fn candidates(
        path: &Path,
        image_shape: &[usize],
        layout: Option<Layout>,
    ) -> Result<Vec<Candidate>, TeacherError> {
        let failed = |error| TeacherError::session(path, error);
        let graph = OnnxGraph::parse(&read(path)?).map_err(failed)?;
        let layout = layout::resolve(path, graph.input().map_err(failed)?, image_shape, layout)?;
        let shapes = graph.shapes(&layout.shape_of(image_shape)).map_err(failed)?;
        Ok(feature::candidates(&graph, &shapes, layout))
    }

    /// Runs the teacher on one image, its values as the data has them.
    ///
    /// # Errors
    /// [`TeacherError::Session`] if the image has the wrong length or the network fails.
    pub fn forward(&self, image: &[f32]) -> Result<TeacherOutput, TeacherError> {
        let input = self.input(image);
        let mut outputs = self.session.run_all(&input).map_err(TeacherError::Forward)?.into_iter();
        let (scores, map) = (outputs.next().unwrap_or_default(), outputs.next().unwrap_or_default());
        Ok(TeacherOutput { logits: self.ending.logits(scores), map: self.feature.channels_first(map) })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// M, the number of filters of the last feature map.
    pub fn filters(&self) -> usize {
        self.feature.filters()
    }

    /// The last feature map's spatial axes: `[H,W]` or `[L]`.
    pub fn map_shape(&self) -> &[usize] {
        self.feature.positions()
    }

    /// The name of the last feature map.
    pub fn feature_tensor(&self) -> &str {
        self.feature.tensor()
    }

    /// What the network ends in; anything but [`Ending::Logits`] deserves a [word](Ending::notice) to the user.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Where the input has its channels.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// SHA-256 of the file, as hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    fn from_graph(
        path: &Path,
        graph: OnnxGraph,
        digest: Digest,
        image_shape: &[usize],
        options: &TeacherOptions,
    ) -> Result<Self, TeacherError> {
        let failed = |error| TeacherError::session(path, error);
        let layout = layout::resolve(path, graph.input().map_err(failed)?, image_shape, options.layout)?;
        let input_shape = layout.shape_of(image_shape);
        let shapes = graph.shapes(&input_shape).map_err(failed)?;
        let feature = FeatureMap::find(path, &graph, &shapes, layout, options.feature_tensor.as_deref())?;
        let (scores, classes) = ending::scores(path, &graph, &shapes)?;
        let ending = Ending::of(&graph, &scores);
        let tensor = feature.tensor().to_owned();
        let session = graph.into_session(&input_shape, Some(&[&scores, &tensor])).map_err(failed)?;
        Ok(Self {
            session,
            layout,
            preprocess: options.preprocess.clone(),
            image_shape: image_shape.to_vec(),
            feature,
            ending,
            classes,
            sha256: digest.to_string(),
        })
    }

    fn input(&self, image: &[f32]) -> Vec<f32> {
        let mut values = image.to_vec();
        if let Some(preprocess) = &self.preprocess {
            apply(preprocess, &mut values);
        }
        self.layout.arranged(values, self.image_shape[0])
    }
}

/// `(x · scale − mean) / std` per channel, in place; `values` are channels first.
fn apply(preprocess: &Preprocess, values: &mut [f32]) {
    let plane = (values.len() / preprocess.mean.len().max(1)).max(1);
    let channels = preprocess.mean.iter().zip(&preprocess.std);
    for (channel, (mean, std)) in values.chunks_mut(plane).zip(channels) {
        channel.iter_mut().for_each(|value| *value = (*value * preprocess.scale - mean) / std);
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TeacherError> {
    std::fs::read(path).map_err(|error| TeacherError::Io { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
