//! Where an image has its channels.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::TeacherError;
use crate::session::GraphTensor;

/// Order of the axes of a teacher's input; for series the same without one spatial axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[N,C,H,W]` or `[N,C,L]`.
    Nchw,
    /// `[N,H,W,C]` or `[N,L,C]`.
    Nhwc,
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "nchw" | "ncl" => Ok(Self::Nchw),
            "nhwc" | "nlc" => Ok(Self::Nhwc),
            _ => Err(format!("{text:?} is no layout; it takes nchw (channels first) or nhwc (channels last)")),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nchw => "nchw",
            Self::Nhwc => "nhwc",
        })
    }
}

impl Layout {
    /// The shape in this layout of what is `image` channels first.
    pub(super) fn shape_of(self, image: &[usize]) -> Vec<usize> {
        let mut shape = image.to_vec();
        match self {
            Self::Nchw => {}
            Self::Nhwc => shape.rotate_left(1),
        }
        shape
    }

    /// Brings channels-first `values` into this layout.
    pub(super) fn arranged(self, values: Vec<f32>, channels: usize) -> Vec<f32> {
        match self {
            Self::Nchw => values,
            Self::Nhwc => transposed(&values, channels),
        }
    }

    /// Which axis of a tensor of `rank` axes (batch included) has the channels.
    pub(super) fn channel_axis(self, rank: usize) -> usize {
        match self {
            Self::Nchw => 1,
            Self::Nhwc => rank - 1,
        }
    }
}

/// `[rows, columns]` to `[columns, rows]`.
pub(super) fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..values.len()).map(|at| values[(at % rows) * columns + at / rows]).collect()
}

/// The layout asked for, or the one the declared input agrees with.
pub(super) fn resolve(
    path: &Path,
    input: &GraphTensor,
    image: &[usize],
    asked: Option<Layout>,
) -> Result<Layout, TeacherError> {
    let agrees = |layout: &Layout| {
        let Some(declared) = &input.shape else { return true };
        let wanted = layout.shape_of(image);
        declared.len() == wanted.len() + 1
            && declared[1..].iter().zip(&wanted).all(|(declared, wanted)| declared.is_none_or(|size| size == *wanted))
    };
    let candidates = asked.map_or_else(|| vec![Layout::Nchw, Layout::Nhwc], |layout| vec![layout]);
    candidates.into_iter().find(agrees).ok_or_else(|| TeacherError::Input {
        path: path.to_owned(),
        input: input.name.clone(),
        declared: declared_shape(input),
        image: image.to_vec(),
    })
}

fn declared_shape(input: &GraphTensor) -> String {
    let axes = input.shape.iter().flatten().map(|axis| axis.map_or_else(|| "?".to_owned(), |size| size.to_string()));
    format!("[{}]", axes.collect::<Vec<_>>().join(","))
}
