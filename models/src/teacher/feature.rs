//! The teacher's last feature map: the last tensor that still has spatial axes, before pooling or flattening.
//!
//! It is recognised by the way back from the scores, not by a name: the last tensor with spatial axes that stems from a
//! convolution, pooling and reshaping undone. Its filters lie where that convolution and the transposes since have put them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::layout::transposed;
use super::{Layout, TeacherError};
use crate::session::{GraphNode, OnnxGraph};

/// Operators that pool, flatten or move values about: the activation before them is meant.
const UNDONE: [&str; 12] = [
    "AveragePool",
    "MaxPool",
    "LpPool",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Flatten",
    "Dropout",
    "Identity",
    "Cast",
    "Pad",
];
/// Operators whose result has its channels on axis 1, whatever came in.
const CHANNELS_FIRST: [&str; 3] = ["Conv", "ConvTranspose", "ConvInteger"];
/// Operators that keep their first input's axes where they are.
const AXES_KEPT: [&str; 30] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Tanh",
    "Softplus",
    "Clip",
    "Mish",
    "BatchNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Max",
    "Concat",
    "AveragePool",
    "MaxPool",
    "LpPool",
    "Dropout",
    "Identity",
    "Cast",
    "Pad",
];

/// A tensor that could be named as feature map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub tensor: String,
    /// The operator that gives it.
    pub op: String,
    /// Of the tensor, without the batch.
    pub shape: Vec<usize>,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {:?})", self.tensor, self.op, self.shape)
    }
}

/// The feature map chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FeatureMap {
    tensor: String,
    filters: usize,
    positions: Vec<usize>,
    filters_last: bool,
}

impl FeatureMap {
    /// The tensor `named`, or the one recognised.
    pub(super) fn find(
        path: &Path,
        graph: &OnnxGraph,
        shapes: &BTreeMap<String, Vec<usize>>,
        layout: Layout,
        named: Option<&str>,
    ) -> Result<Self, TeacherError> {
        let search = Search { graph, shapes };
        let candidates = || candidates(graph, shapes, layout);
        if let Some(name) = named {
            let not_one = || TeacherError::NotAFeatureMap {
                path: path.to_owned(),
                name: name.to_owned(),
                candidates: candidates(),
            };
            let shape = search.spatial(name, 1).ok_or_else(not_one)?;
            let axis = search.channel_axis(name).unwrap_or_else(|| layout.channel_axis(shape.len()));
            return Self::at(name, shape, axis).ok_or_else(not_one);
        }
        let none = || TeacherError::NoFeatureMap { path: path.to_owned(), candidates: candidates() };
        let (name, axis) = search.last_activation().ok_or_else(none)?;
        search.spatial(&name, 2).and_then(|shape| Self::at(&name, shape, axis)).ok_or_else(none)
    }

    fn at(tensor: &str, shape: &[usize], axis: usize) -> Option<Self> {
        let filters_last = axis == shape.len() - 1;
        if !filters_last && axis != 1 {
            return None;
        }
        let positions = if filters_last { &shape[1..axis] } else { &shape[2..] };
        Some(Self { tensor: tensor.to_owned(), filters: shape[axis], positions: positions.to_vec(), filters_last })
    }

    pub(super) fn tensor(&self) -> &str {
        &self.tensor
    }

    pub(super) fn filters(&self) -> usize {
        self.filters
    }

    pub(super) fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// The map as `[filters, positions]`.
    pub(super) fn channels_first(&self, values: Vec<f32>) -> Vec<f32> {
        if self.filters_last { transposed(&values, values.len() / self.filters) } else { values }
    }
}

/// Every tensor an operator gives that has spatial axes.
pub(super) fn candidates(graph: &OnnxGraph, shapes: &BTreeMap<String, Vec<usize>>, layout: Layout) -> Vec<Candidate> {
    let search = Search { graph, shapes };
    let of_node = |node: &GraphNode| {
        let tensor = node.outputs.first()?;
        let shape = search.spatial(tensor, 1)?;
        let axis = search.channel_axis(tensor).unwrap_or_else(|| layout.channel_axis(shape.len()));
        FeatureMap::at(tensor, shape, axis)?;
        let stems_from_image =
            node.op != "Constant" && search.ancestors(tensor).contains(&graph.inputs.first()?.name.as_str());
        stems_from_image.then(|| Candidate { tensor: tensor.clone(), op: node.op.clone(), shape: shape[1..].to_vec() })
    };
    graph.nodes.iter().filter_map(of_node).collect()
}

struct Search<'a> {
    graph: &'a OnnxGraph,
    shapes: &'a BTreeMap<String, Vec<usize>>,
}

impl<'a> Search<'a> {
    /// Shape of a tensor of rank 3 or 4 with batch 1 and at least `sizes_min` of its other axes longer than 1.
    fn spatial(&self, tensor: &str, sizes_min: usize) -> Option<&'a [usize]> {
        let shape = self.shapes.get(tensor)?;
        let sizes = shape.iter().skip(1).filter(|&&size| size > 1).count();
        ((3..=4).contains(&shape.len()) && shape[0] == 1 && sizes >= sizes_min).then_some(shape.as_slice())
    }

    fn producer(&self, tensor: &str) -> Option<&'a GraphNode> {
        self.graph.nodes.iter().find(|node| node.outputs.iter().any(|output| output == tensor))
    }

    /// All tensors `tensor` is computed from, itself included.
    fn ancestors(&self, tensor: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::from([tensor]);
        let mut open = vec![tensor];
        while let Some(next) = open.pop() {
            for input in self.producer(next).into_iter().flat_map(|node| &node.inputs) {
                if found.insert(input) {
                    open.push(input);
                }
            }
        }
        found
    }

    /// The last activation and the axis of its channels.
    fn last_activation(&self) -> Option<(String, usize)> {
        let scores = self.graph.outputs.first()?;
        let ancestors = self.ancestors(&scores.name);
        let on_the_way = |node: &&GraphNode| node.outputs.iter().any(|output| ancestors.contains(output.as_str()));
        let last = self.graph.nodes.iter().rev().filter(on_the_way).find_map(|node| {
            let tensor = node.outputs.first()?;
            let before = self.before_pooling(tensor);
            let shape = self.spatial(before, 2)?;
            let axis = self.channel_axis(before)?;
            let positions: usize = shape[1..].iter().product::<usize>() / shape[axis];
            (self.spatial(tensor, 1).is_some() && positions > 1).then_some((before, axis))
        })?;
        Some((last.0.to_owned(), last.1))
    }

    /// The tensor that pooling, flattening and moving about were applied to.
    fn before_pooling(&self, tensor: &'a str) -> &'a str {
        let mut tensor = tensor;
        while let Some(node) = self.producer(tensor).filter(|node| UNDONE.contains(&node.op.as_str())) {
            let Some(input) = node.inputs.first().filter(|input| self.spatial(input, 1).is_some()) else { break };
            tensor = input;
        }
        tensor
    }

    /// The axis of the channels, followed from the last convolution; `None` if there is none or the way is lost.
    fn channel_axis(&self, tensor: &str) -> Option<usize> {
        let node = self.producer(tensor)?;
        let op = node.op.as_str();
        if CHANNELS_FIRST.contains(&op) {
            return Some(1);
        }
        if op == "Transpose" {
            let axis = self.channel_axis(node.inputs.first()?)?;
            return node.permutation.as_ref()?.iter().position(|&from| from == axis);
        }
        if !AXES_KEPT.contains(&op) {
            return None;
        }
        let rank = self.shapes.get(tensor)?.len();
        let same_rank = |input: &&String| self.shapes.get(*input).is_some_and(|shape| shape.len() == rank);
        node.inputs.iter().filter(same_rank).find_map(|input| self.channel_axis(input))
    }
}
