//! The known network: four 3×3 convolutions of 16 channels at 32×32, as the first block of a wide residual network has them.
//!
//! Its ONNX bytes are written here, field by field, after the protobuf messages of onnx.proto3.

/// Channels, height, width.
pub(crate) const SHAPE: [usize; 3] = [CHANNELS, SIDE, SIDE];
/// Of one run: 2 × multiply-accumulates.
pub(super) const FLOPS: u64 = 2 * (LAYERS * CHANNELS * CHANNELS * 9 * SIDE * SIDE) as u64;

const CHANNELS: usize = 16;
const SIDE: usize = 32;
const LAYERS: usize = 4;
/// ONNX's number for `f32`.
const FLOAT: u64 = 1;

/// The network as an ONNX file's bytes; input `image` [1, 16, 32, 32], output of the same shape.
pub(crate) fn onnx() -> Vec<u8> {
    let mut graph = Message::default();
    for layer in 0..LAYERS {
        graph.message(1, &convolution(layer));
    }
    graph.text(2, "calibration");
    graph.message(5, &weights());
    graph.message(11, &tensor_info("image"));
    graph.message(12, &tensor_info(&name(LAYERS)));
    let mut operators = Message::default();
    operators.number(2, 13);
    let mut model = Message::default();
    model.number(1, 8);
    model.message(7, &graph);
    model.message(8, &operators);
    model.0
}

fn name(layer: usize) -> String {
    if layer == 0 { "image".to_owned() } else { format!("map-{layer}") }
}

/// NodeProto: input 1, output 2, op_type 4, attribute 5.
fn convolution(layer: usize) -> Message {
    let mut node = Message::default();
    node.text(1, &name(layer));
    node.text(1, "weights");
    node.text(2, &name(layer + 1));
    node.text(4, "Conv");
    // AttributeProto: name 1, ints 8, type 20 (7 = ints).
    let mut pads = Message::default();
    pads.text(1, "pads");
    for _ in 0..4 {
        pads.number(8, 1);
    }
    pads.number(20, 7);
    node.message(5, &pads);
    node
}

/// TensorProto: dims 1, data_type 2, name 8, raw_data 9. Small values keep the maps bounded.
fn weights() -> Message {
    let mut tensor = Message::default();
    for dimension in [CHANNELS, CHANNELS, 3, 3] {
        tensor.number(1, dimension as u64);
    }
    tensor.number(2, FLOAT);
    tensor.text(8, "weights");
    let values = (0..CHANNELS * CHANNELS * 9).map(|i| if i % 2 == 0 { 0.01_f32 } else { -0.009 });
    tensor.bytes(9, &values.flat_map(f32::to_le_bytes).collect::<Vec<_>>());
    tensor
}

/// ValueInfoProto: name 1, type 2 → tensor_type 1 → elem_type 1, shape 2 → dim 1 → dim_value 1.
fn tensor_info(name: &str) -> Message {
    let mut shape = Message::default();
    for dimension in [1, CHANNELS, SIDE, SIDE] {
        let mut message = Message::default();
        message.number(1, dimension as u64);
        shape.message(1, &message);
    }
    let mut tensor = Message::default();
    tensor.number(1, FLOAT);
    tensor.message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, &kind);
    info
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}
