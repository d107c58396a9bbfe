//! A student as an ONNX file: raw `image` `[batch, …shape]` in, `partial_logits` `[batch, classes]` out.
//!
//! Preprocessing and the head are inside. A batch norm that directly follows a convolution is folded into it; the others, which
//! follow a sum, stay as a scale and a shift. Any ONNX runtime can run the file; it is not this module that checks that one
//! does: see [`compare`].

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation::relu, module, ops::ConvOptions};
use burn_onnx::export::{AxisSpec, InputSpec, OnnxExporter};
use onnx_ir::{GraphProto, Message as _, ModelProto, NodeProto, TensorProto};

use super::head::PartialHead;
use super::student::Student;
use super::wrn::{Layers, Wrn, extent};

mod student_file;

pub use student_file::StudentFile;

/// The name of a student's input.
pub const INPUT: &str = "image";

/// The name of a student's output.
pub const OUTPUT: &str = "partial_logits";

/// Where a series `[batch, C, L]` gets its height of 1, and the name of the constant that says so.
const HEIGHT_AXIS: usize = 2;
const HEIGHT_AXIS_NAME: &str = "height_axis";

/// `TensorProto.DataType.INT64` of the ONNX specification.
const ONNX_INT64: i32 = 7;

/// A student that could not be written as ONNX. No file was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The exporter refused the network.
    #[error("cannot express the student as ONNX: {0}")]
    Graph(#[from] burn_onnx::export::ExportError),
    /// The exporter's file could not be read back to name its tensors.
    #[error("cannot name the inputs and outputs of the student's ONNX file: {0}")]
    Names(String),
    /// A file in which no head could be found to replace.
    #[error("cannot replace the head of the student's ONNX file, which is not as rocoin writes it: {0}")]
    Head(String),
}

/// The bytes of a student's ONNX file, its head folded in.
///
/// # Errors
/// [`ExportError`], if an operation cannot be expressed; that would be a defect, since the zoo's all can.
pub fn export_student(student: &Student, head: &PartialHead) -> Result<Vec<u8>, ExportError> {
    let folded = Folded::new(student, head);
    let [channels, height, width] = extent(student.shape()).expect("checked when the student was built");
    // Two batches that differ from each other and from 1 show the exporter which axis is dynamic.
    let sample = |batch: usize| Tensor::<4>::zeros([batch, channels, height, width], &Device::flex());
    let axes = [AxisSpec::dynamic("batch"), AxisSpec::Static, AxisSpec::Static, AxisSpec::Static];
    let forward = |folded: &Folded, images: Tensor<4>| folded.forward(student.net(), images);
    let onnx = OnnxExporter::new().export_dynamic(&folded, sample(2), sample(3), &[InputSpec::new(axes)], forward)?;
    finish(onnx.as_bytes(), student.shape().len() == 2)
}

/// How far another runtime's partial logits are from burn's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The largest absolute difference; infinite where the other's are not numbers or too few.
    pub absolute: f32,
    /// The largest absolute partial logit by burn.
    pub largest: f32,
}

impl Difference {
    /// Between our logits of some images and another's of the same.
    pub fn of(pairs: impl Iterator<Item = (Vec<f32>, Vec<f32>)>) -> Self {
        let mut difference = Self { absolute: 0.0, largest: 0.0 };
        for (ours, other) in pairs {
            for (i, logit) in ours.iter().enumerate() {
                let gap = other.get(i).map_or(f32::INFINITY, |o| (o - logit).abs());
                difference.absolute = difference.absolute.max(if gap.is_nan() { f32::INFINITY } else { gap });
                difference.largest = difference.largest.max(logit.abs());
            }
        }
        difference
    }

    /// The difference as a share of the largest logit.
    pub fn relative(&self) -> f32 {
        self.absolute / self.largest.max(f32::MIN_POSITIVE)
    }
}

/// Runs raw images, one by one, through burn and through `run` (one raw image to its partial logits).
pub fn compare(student: &Student, head: &PartialHead, images: &[f32], run: &dyn Fn(&[f32]) -> Vec<f32>) -> Difference {
    let size: usize = student.shape().iter().product();
    Difference::of(images.chunks_exact(size).map(|image| (head.partial_logits(&student.features(image)), run(image))))
}

/// The exporter numbers its tensors, but the mesh goes by names; and it loses track of the batch where a series gets its height, so
/// that is added here.
fn finish(onnx: &[u8], series: bool) -> Result<Vec<u8>, ExportError> {
    let fail = |reason: String| ExportError::Names(reason);
    let mut model = ModelProto::parse_from_bytes(onnx).map_err(|error| fail(error.to_string()))?;
    let graph = model.graph.as_mut().ok_or_else(|| fail("it has no graph".to_owned()))?;
    let ([input], [output]) = (graph.input.as_mut_slice(), graph.output.as_mut_slice()) else {
        return Err(fail("it has not exactly one input and one output".to_owned()));
    };
    let images = std::mem::replace(&mut input.name, INPUT.to_owned());
    let logits = std::mem::replace(&mut output.name, OUTPUT.to_owned());
    for tensor in graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)) {
        if *tensor == logits {
            OUTPUT.clone_into(tensor);
        } else if *tensor == images && !series {
            INPUT.clone_into(tensor);
        }
    }
    if series {
        input.type_.mut_or_insert_default().mut_tensor_type().shape.mut_or_insert_default().dim.remove(HEIGHT_AXIS);
        let mut axes = TensorProto::new();
        HEIGHT_AXIS_NAME.clone_into(&mut axes.name);
        axes.data_type = ONNX_INT64;
        axes.dims = vec![1];
        axes.int64_data = vec![HEIGHT_AXIS as i64];
        graph.initializer.push(axes);
        let mut node = NodeProto::new();
        "Unsqueeze".clone_into(&mut node.op_type);
        node.input = vec![INPUT.to_owned(), HEIGHT_AXIS_NAME.to_owned()];
        node.output = vec![images];
        graph.node.insert(0, node);
    }
    renumber(graph);
    model.write_to_bytes().map_err(|error| fail(error.to_string()))
}

/// Numbers inner tensors from 0. The exporter counts on over all it has ever exported, so equal students would make different files,
/// and a file's digest is its name in the mesh.
fn renumber(graph: &mut GraphProto) {
    let outputs = graph.node.iter().flat_map(|node| &node.output).filter(|name| *name != OUTPUT);
    let names: BTreeMap<String, String> =
        outputs.enumerate().map(|(number, name)| (name.clone(), format!("t{number}"))).collect();
    graph.value_info.clear();
    for tensor in graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)) {
        if let Some(name) = names.get(tensor) {
            tensor.clone_from(name);
        }
    }
}

/// A student's constants, in the order in which [`Wrn::walk`] needs them.
#[derive(Module, Debug)]
struct Folded {
    factor: Param<Tensor<4>>,
    offset: Param<Tensor<4>>,
    convs: Vec<Param<Tensor<4>>>,
    biases: Vec<Param<Tensor<1>>>,
    scales: Vec<Param<Tensor<4>>>,
    shifts: Vec<Param<Tensor<4>>>,
    weight: Param<Tensor<2>>,
    constant: Param<Tensor<1>>,
}

impl Folded {
    fn new(student: &Student, head: &PartialHead) -> Self {
        let (factor, offset) = student.preprocess_affine();
        let filters = student.filters();
        let columns = (0..filters).flat_map(|f| head.weight.iter().skip(f).step_by(filters).copied()).collect();
        let folded = Self {
            factor: planes(factor),
            offset: planes(offset),
            convs: Vec::new(),
            biases: Vec::new(),
            scales: Vec::new(),
            shifts: Vec::new(),
            weight: constant(columns, [filters, head.classes()]),
            constant: constant(head.constant.clone(), [head.classes()]),
        };
        let mut folding = Folding { student, folded };
        student.net().walk(&mut folding, ());
        folding.folded
    }

    fn forward(&self, net: &Wrn, x: Tensor<4>) -> Tensor<2> {
        let images = x * self.factor.val() + self.offset.val();
        let mut unfolding = Unfolding { folded: self, net, convs: 0, biases: 0, norms: 0 };
        let map = net.walk(&mut unfolding, images);
        let [batch, filters, _, _] = map.dims();
        let pooled = module::adaptive_avg_pool2d(map, [1, 1]).reshape([batch, filters]);
        module::linear(pooled, self.weight.val(), Some(self.constant.val()))
    }
}

fn constant<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_data(TensorData::new(values, shape), &Device::flex())
}

fn planes(values: Vec<f32>) -> Param<Tensor<4>> {
    let channels = values.len();
    constant(values, [1, channels, 1, 1])
}

/// Collects the constants along the walk.
struct Folding<'a> {
    student: &'a Student,
    folded: Folded,
}

impl Folding<'_> {
    fn push(&mut self, conv: usize, weight: Vec<f32>) {
        let shape = self.student.net().convs()[conv];
        self.folded.convs.push(constant(weight, [shape.outputs, shape.inputs, shape.kernel, shape.kernel]));
    }
}

impl Layers for Folding<'_> {
    type Map = ();

    fn conv(&mut self, conv: usize, (): ()) {
        self.push(conv, self.student.weights.conv(conv).to_vec());
    }

    fn norm_relu(&mut self, norm: usize, (): ()) {
        let (scale, shift) = self.student.weights.affine(norm);
        self.folded.scales.push(planes(scale));
        self.folded.shifts.push(planes(shift));
    }

    fn conv_norm_relu(&mut self, conv: usize, norm: usize, (): ()) {
        let (scale, shift) = self.student.weights.affine(norm);
        let weight = self.student.weights.conv(conv);
        let rows = weight.chunks_exact(weight.len() / scale.len());
        self.push(conv, rows.zip(&scale).flat_map(|(row, s)| row.iter().map(move |w| w * s)).collect());
        let channels = shift.len();
        self.folded.biases.push(constant(shift, [channels]));
    }

    fn add(&mut self, (): (), (): ()) {}
}

/// Spends the constants along the same walk.
struct Unfolding<'a> {
    folded: &'a Folded,
    net: &'a Wrn,
    convs: usize,
    biases: usize,
    norms: usize,
}

impl Unfolding<'_> {
    fn conv2d(&mut self, conv: usize, bias: Option<Tensor<1>>, x: Tensor<4>) -> Tensor<4> {
        let shape = self.net.convs()[conv];
        let weight = self.folded.convs[self.convs].val();
        self.convs += 1;
        module::conv2d(x, weight, bias, ConvOptions::new([shape.stride; 2], [shape.kernel / 2; 2], [1; 2], 1))
    }
}

impl Layers for Unfolding<'_> {
    type Map = Tensor<4>;

    fn conv(&mut self, conv: usize, x: Tensor<4>) -> Tensor<4> {
        self.conv2d(conv, None, x)
    }

    fn norm_relu(&mut self, _norm: usize, x: Tensor<4>) -> Tensor<4> {
        let (scale, shift) = (self.folded.scales[self.norms].val(), self.folded.shifts[self.norms].val());
        self.norms += 1;
        relu(x * scale + shift)
    }

    fn conv_norm_relu(&mut self, conv: usize, _norm: usize, x: Tensor<4>) -> Tensor<4> {
        let bias = self.folded.biases[self.biases].val();
        self.biases += 1;
        relu(self.conv2d(conv, Some(bias), x))
    }

    fn add(&mut self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        a + b
    }
}

#[cfg(test)]
mod tests;
