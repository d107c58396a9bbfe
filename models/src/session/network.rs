//! A network as its file writes it: operators with their attributes, and constants. To rewrite it, not to run it.

use std::collections::BTreeMap;

use tract_onnx::pb;
use tract_onnx::prelude::Framework;

use super::SessionError;

/// `TensorProto.DataType` of the ONNX specification.
const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// Operators and constants of one ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// In the file's order, which ONNX wants topological.
    pub operators: Vec<Operator>,
    /// Tensors with an initial value, by name.
    pub constants: BTreeMap<String, Constant>,
}

/// One operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    /// ONNX operator name, e.g. `Conv`.
    pub op: String,
    /// Names of the tensors it takes, in the operator's order.
    pub inputs: Vec<String>,
    /// The one tensor that it gives.
    pub output: String,
    /// Whole numbers, and lists of them, by name.
    pub attributes: BTreeMap<String, Setting>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// One number.
    Int(i64),
    /// A list of numbers.
    Ints(Vec<i64>),
}

/// A tensor with its values, row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Of floats.
    Floats(Vec<i64>, Vec<f32>),
    /// Of whole numbers: shapes and axes.
    Ints(Vec<i64>, Vec<i64>),
}

impl Network {
    /// Reads the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`SessionError::NotOnnx`]; [`SessionError::Unsupported`] where an operator has what cannot be rewritten: several outputs, an
    /// absent input, an attribute or a constant that is neither of floats nor of whole numbers.
    pub fn parse(onnx: &[u8]) -> Result<Self, SessionError> {
        let framework = tract_onnx::onnx();
        let proto =
            framework.proto_model_for_read(&mut &*onnx).map_err(|error| SessionError::NotOnnx(format!("{error}")))?;
        let graph = proto.graph.ok_or_else(|| SessionError::NotOnnx("it holds no network".to_owned()))?;
        let operators = graph.node.iter().map(operator).collect::<Result<_, _>>()?;
        let constants = graph.initializer.iter().map(|tensor| Ok((tensor.name.clone(), constant(tensor)?)));
        Ok(Self { operators, constants: constants.collect::<Result<_, SessionError>>()? })
    }
}

fn operator(node: &pb::NodeProto) -> Result<Operator, SessionError> {
    let refused = || SessionError::Unsupported { operators: vec![node.op_type.clone()] };
    let [output] = node.output.as_slice() else { return Err(refused()) };
    if node.input.iter().any(String::is_empty) {
        return Err(refused());
    }
    let attributes = node.attribute.iter().map(|attribute| Some((attribute.name.clone(), setting(attribute)?)));
    Ok(Operator {
        op: node.op_type.clone(),
        inputs: node.input.clone(),
        output: output.clone(),
        attributes: attributes.collect::<Option<_>>().ok_or_else(refused)?,
    })
}

fn setting(attribute: &pb::AttributeProto) -> Option<Setting> {
    use pb::attribute_proto::AttributeType;
    if attribute.r#type == AttributeType::Int as i32 {
        Some(Setting::Int(attribute.i))
    } else if attribute.r#type == AttributeType::Ints as i32 {
        Some(Setting::Ints(attribute.ints.clone()))
    } else {
        None
    }
}

fn constant(tensor: &pb::TensorProto) -> Result<Constant, SessionError> {
    let shape = tensor.dims.clone();
    let length: Option<usize> =
        shape.iter().try_fold(1_usize, |length, &size| length.checked_mul(usize::try_from(size).ok()?));
    let damaged = || SessionError::NotOnnx(format!("the constant {:?} is cut off", tensor.name));
    let constant = match tensor.data_type {
        FLOAT => {
            let raw = tensor.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            Constant::Floats(shape, if tensor.raw_data.is_empty() { tensor.float_data.clone() } else { raw.collect() })
        }
        INT64 => {
            let raw = tensor.raw_data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
            Constant::Ints(shape, if tensor.raw_data.is_empty() { tensor.int64_data.clone() } else { raw.collect() })
        }
        kind => {
            let operators = vec![format!("constant {:?} of element type {kind}", tensor.name)];
            return Err(SessionError::Unsupported { operators });
        }
    };
    let found = match &constant {
        Constant::Floats(_, values) => values.len(),
        Constant::Ints(_, values) => values.len(),
    };
    if length == Some(found) { Ok(constant) } else { Err(damaged()) }
}
