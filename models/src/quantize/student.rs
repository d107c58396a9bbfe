//! One student of 8 bits: its file, made of the f32 student's.
//!
//! All convolution weights are 8-bit integers with a scale for each output channel. How a convolution is run differs, since tract (0.23) gathers
//! the patches of an integer convolution byte by byte, which costs more than the integer kernel saves where patches are many:
//!
//! - where weights outnumber patch elements (at least as many output channels as output positions, and a kernel larger than 1×1), in integers:
//!   `QuantizeLinear`, `ConvInteger`, and the scales as a multiplication. There the weights are, and they stay 8-bit in memory;
//! - elsewhere in floats: `DequantizeLinear` of the weights, which tract does once, when it loads the file.
//!
//! The usual form, `QuantizeLinear` and `DequantizeLinear` around float operators, would be run in floats by tract throughout.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{Conv, Layers, Step};
use super::ranges::Ranges;
use crate::onnx_file::{Attribute, OnnxFile};
use crate::session::{Constant, Operator, Setting};

/// A scale of at least this, so that a channel of zeros has one.
const SCALE_MIN: f32 = 1e-12;
/// `TensorProto.DataType.FLOAT` of the ONNX specification.
const ONNX_FLOAT: i64 = 1;

/// Where a convolution's time is better spent in integers.
pub(super) fn pays_in_integers(conv: &Conv, shapes: &BTreeMap<String, Vec<usize>>) -> bool {
    let kernel: i64 = conv.shape.iter().skip(2).product();
    let positions: Option<usize> = shapes.get(&conv.output).map(|shape| shape.iter().skip(2).product());
    kernel > 1 && positions.is_some_and(|positions| conv.bias.len() >= positions)
}

/// Writes the file: `input` of `shape` (without the batch, which stays dynamic), `output` of `classes`.
pub(super) fn write(
    layers: &Layers,
    shapes: &BTreeMap<String, Vec<usize>>,
    ranges: &Ranges,
    [input, output]: [&str; 2],
    shape: &[usize],
    classes: usize,
) -> Vec<u8> {
    let sizes: Vec<i64> = [0].into_iter().chain(shape.iter().map(|&size| size as i64)).collect();
    let mut writer = Writer { file: OnnxFile::new("int8").input(input, &sizes), quantised: BTreeSet::new() };
    for step in &layers.steps {
        writer = match step {
            Step::Conv(conv) if pays_in_integers(conv, shapes) => writer.integers(conv, ranges.of(&conv.input)),
            Step::Conv(conv) => writer.floats(conv),
            Step::Other(operator) => writer.other(operator),
        };
    }
    for (name, constant) in &layers.constants {
        writer.file = match constant {
            Constant::Floats(shape, values) => writer.file.weights(name, shape, values),
            Constant::Ints(shape, values) => writer.file.ints64(name, shape, values),
        };
    }
    writer.file.output(output, &[0, classes as i64]).bytes()
}

struct Writer {
    file: OnnxFile,
    /// Tensors of which there is a quantised one.
    quantised: BTreeSet<String>,
}

impl Writer {
    /// A convolution on the quantised input, its sums brought back to floats.
    fn integers(mut self, conv: &Conv, range: [f32; 2]) -> Self {
        let (weight, scales) = rows(conv);
        let name = |what: &str| format!("{}.{what}", conv.output);
        let (input, zero) = (format!("{}.q", conv.input), format!("{}.z", conv.input));
        let (step, zero_point) = step_and_zero(range);
        let mut file = self.file;
        if self.quantised.insert(conv.input.clone()) {
            let scale = format!("{}.s", conv.input);
            file = file.weights(&scale, &[], &[step]).bytes8(&zero, &[], &[zero_point]);
            file = file.node("QuantizeLinear", &[&conv.input, &scale, &zero], &input, &[]);
        }
        file = file.bytes8(&name("w"), &conv.shape, &weight);
        file = file.node("ConvInteger", &[&input, &name("w"), &zero], &name("i"), &attributes(&conv.attributes));
        file = file.node("Cast", &[&name("i")], &name("c"), &[Attribute::Int("to", ONNX_FLOAT)]);
        let per_channel: Vec<i64> = channel_shape(conv);
        let factors: Vec<f32> = scales.iter().map(|scale| scale * step).collect();
        file = file.weights(&name("f"), &per_channel, &factors).weights(&name("b"), &per_channel, &conv.bias);
        file = file.node("Mul", &[&name("c"), &name("f")], &name("m"), &[]);
        let sum = if conv.relu { name("a") } else { conv.output.clone() };
        file = file.node("Add", &[&name("m"), &name("b")], &sum, &[]);
        self.file = if conv.relu { file.node("Relu", &[&sum], &conv.output, &[]) } else { file };
        self
    }

    /// A convolution of floats whose weights are kept as 8-bit integers in the file.
    fn floats(mut self, conv: &Conv) -> Self {
        let (weight, scales) = rows(conv);
        let name = |what: &str| format!("{}.{what}", conv.output);
        let mut file = self.file.bytes8(&name("w"), &conv.shape, &weight);
        file = file.weights(&name("s"), &[scales.len() as i64], &scales);
        file = file.node("DequantizeLinear", &[&name("w"), &name("s")], &name("d"), &[Attribute::Int("axis", 0)]);
        file = file.weights(&name("b"), &[conv.bias.len() as i64], &conv.bias);
        let sum = if conv.relu { name("a") } else { conv.output.clone() };
        file = file.node("Conv", &[&conv.input, &name("d"), &name("b")], &sum, &attributes(&conv.attributes));
        self.file = if conv.relu { file.node("Relu", &[&sum], &conv.output, &[]) } else { file };
        self
    }

    fn other(mut self, operator: &Operator) -> Self {
        let inputs: Vec<&str> = operator.inputs.iter().map(String::as_str).collect();
        self.file = self.file.node(&operator.op, &inputs, &operator.output, &attributes(&operator.attributes));
        self
    }
}

/// Each output channel's weights as multiples of a scale of its own, from −127 to 127.
fn rows(conv: &Conv) -> (Vec<i8>, Vec<f32>) {
    let row = conv.weight.len() / conv.bias.len();
    let mut weights = Vec::with_capacity(conv.weight.len());
    let mut scales = Vec::with_capacity(conv.bias.len());
    for row in conv.weight.chunks_exact(row) {
        let scale = (row.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs())) / 127.0).max(SCALE_MIN);
        #[expect(clippy::cast_possible_truncation, reason = "no further than 127 from 0")]
        weights.extend(row.iter().map(|weight| (weight / scale).round_ties_even() as i8));
        scales.push(scale);
    }
    (weights, scales)
}

/// Size of a step and the integer that stands for 0, so that −128 to 127 cover the range, 0 included.
fn step_and_zero([lowest, highest]: [f32; 2]) -> (f32, i8) {
    let (lowest, highest) = (lowest.min(0.0), highest.max(0.0));
    let step = ((highest - lowest) / 255.0).max(SCALE_MIN);
    #[expect(clippy::cast_possible_truncation, reason = "from −128 to 127, as 0 is in the range")]
    let zero = (-128.0 - lowest / step).round_ties_even() as i8;
    (step, zero)
}

/// `[1, channels, 1, …]`.
fn channel_shape(conv: &Conv) -> Vec<i64> {
    let mut shape = vec![1; conv.shape.len()];
    shape[1] = conv.bias.len() as i64;
    shape
}

fn attributes(settings: &BTreeMap<String, Setting>) -> Vec<Attribute<'_>> {
    settings
        .iter()
        .map(|(name, setting)| match setting {
            Setting::Int(value) => Attribute::Int(name, *value),
            Setting::Ints(values) => Attribute::Ints(name, values),
        })
        .collect()
}
