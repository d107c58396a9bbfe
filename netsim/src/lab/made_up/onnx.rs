//! The least network that answers: the image's mean, weighed for each class. Its ONNX bytes are written here, field by field, after
//! the protobuf messages of onnx.proto3.

/// ONNX's number for `f32`.
const FLOAT: u64 = 1;

/// A file that takes `image` of [1, `shape`] and gives one number a class: a weight times the mean of the first channel. `note` is kept
/// in it, and makes it as long as one likes.
pub(super) fn network(shape: [usize; 3], weights: &[f32], note: &str) -> Vec<u8> {
    let (classes, channels) = (weights.len(), shape[0]);
    let mut graph = Vec::new();
    for (operator, inputs, output) in [
        ("GlobalAveragePool", &["image"][..], "mean"),
        ("Conv", &["mean", "weights"], "weighed"),
        ("Flatten", &["weighed"], "logits"),
    ] {
        // NodeProto: input 1, output 2, op_type 4.
        let mut node = Vec::new();
        inputs.iter().for_each(|input| field(&mut node, 1, input.as_bytes()));
        field(&mut node, 2, output.as_bytes());
        field(&mut node, 4, operator.as_bytes());
        field(&mut graph, 1, &node);
    }
    field(&mut graph, 2, b"made-up");
    // TensorProto: dims 1, data_type 2, name 8, raw_data 9.
    let mut tensor = Vec::new();
    [classes, channels, 1, 1].iter().for_each(|length| number(&mut tensor, 1, *length as u64));
    number(&mut tensor, 2, FLOAT);
    field(&mut tensor, 8, b"weights");
    let values = weights.iter().flat_map(|weight| [*weight].into_iter().chain(vec![0.0; channels - 1]));
    field(&mut tensor, 9, &values.flat_map(f32::to_le_bytes).collect::<Vec<_>>());
    field(&mut graph, 5, &tensor);
    field(&mut graph, 11, &value_info("image", &[&[1], &shape[..]].concat()));
    field(&mut graph, 12, &value_info("logits", &[1, classes]));
    // ModelProto: ir_version 1, doc_string 6, graph 7, opset_import 8.
    let (mut model, mut operators) = (Vec::new(), Vec::new());
    number(&mut operators, 2, 13);
    number(&mut model, 1, 8);
    field(&mut model, 6, note.as_bytes());
    field(&mut model, 7, &graph);
    field(&mut model, 8, &operators);
    model
}

/// ValueInfoProto: name 1, type 2 → tensor_type 1 → elem_type 1, shape 2 → dim 1 → dim_value 1.
fn value_info(name: &str, dimensions: &[usize]) -> Vec<u8> {
    let (mut shape, mut tensor, mut kind, mut info) = <(Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)>::default();
    for dimension in dimensions {
        let mut message = Vec::new();
        number(&mut message, 1, *dimension as u64);
        field(&mut shape, 1, &message);
    }
    number(&mut tensor, 1, FLOAT);
    field(&mut tensor, 2, &shape);
    field(&mut kind, 1, &tensor);
    field(&mut info, 1, name.as_bytes());
    field(&mut info, 2, &kind);
    info
}

/// A field of bytes, or of a message.
fn field(to: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
    varint(to, (tag << 3) | 2);
    varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// A field of a number.
fn number(to: &mut Vec<u8>, tag: u64, value: u64) {
    varint(to, tag << 3);
    varint(to, value);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}
