//! An exported student's head, found again in its file and replaced.

use onnx_ir::{GraphProto, Message as _, ModelProto, NodeProto};

use super::{ExportError, OUTPUT};
use crate::zoo::PartialHead;

/// `TensorProto.DataType.FLOAT` of the ONNX specification.
const ONNX_FLOAT: i32 = 1;

/// A student's ONNX file, taken apart where its head begins: a matrix product of the features with W, to which c is added.
#[derive(Debug)]
pub struct StudentFile {
    model: ModelProto,
    features: String,
    filters: usize,
    classes: usize,
    /// Which initializers W (`[filters, classes]`) and c (`[classes]`) are.
    weight: usize,
    constant: usize,
}

impl StudentFile {
    /// Reads a file that [`super::export_student`] wrote.
    ///
    /// # Errors
    /// [`ExportError::Head`] if it does not end in a head as written there.
    pub fn parse(onnx: &[u8]) -> Result<Self, ExportError> {
        let fail = |reason: &str| ExportError::Head(reason.to_owned());
        let model = ModelProto::parse_from_bytes(onnx).map_err(|error| fail(&error.to_string()))?;
        let graph = model.graph.as_ref().ok_or_else(|| fail("it has no graph"))?;
        let found = Found::new(graph)
            .ok_or_else(|| fail("its output is no sum of a constant and of features times weights"))?;
        let Found { features, weight, constant } = found;
        let &[filters, classes] = graph.initializer[weight].dims.as_slice() else {
            return Err(fail("the weights of its head are no matrix"));
        };
        let size = |number: i64| usize::try_from(number).ok().filter(|&number| number > 0);
        let (filters, classes) = size(filters).zip(size(classes)).ok_or_else(|| fail("its head is empty"))?;
        let weights = filters.checked_mul(classes).ok_or_else(|| fail("its head is too large"))?;
        for (at, count) in [(weight, weights), (constant, classes)] {
            let tensor = &graph.initializer[at];
            if tensor.data_type != ONNX_FLOAT || Some(tensor.raw_data.len()) != count.checked_mul(size_of::<f32>()) {
                return Err(fail("its head has not one f32 for each weight and each class"));
            }
        }
        Ok(Self { model, features, filters, classes, weight, constant })
    }

    /// Name of the tensor of features, `[batch, filters]`.
    pub fn features(&self) -> &str {
        &self.features
    }

    /// Number of features.
    pub fn filters(&self) -> usize {
        self.filters
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The file with another head of the same size.
    ///
    /// # Errors
    /// [`ExportError::Head`] if its size is another.
    pub fn with_head(mut self, head: &PartialHead) -> Result<Vec<u8>, ExportError> {
        let (filters, classes) = (self.filters, self.classes);
        if head.classes() != classes || head.weight.len() != filters * classes {
            return Err(ExportError::Head(format!("the new head is not of {filters} features and {classes} classes")));
        }
        let columns = (0..filters).flat_map(|f| head.weight.iter().skip(f).step_by(filters));
        let bytes =
            |values: &mut dyn Iterator<Item = &f32>| values.flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let [weight, constant] = [bytes(&mut columns.into_iter()), bytes(&mut head.constant.iter())];
        if let Some(graph) = self.model.graph.as_mut() {
            graph.initializer[self.weight].raw_data = weight.into();
            graph.initializer[self.constant].raw_data = constant.into();
        }
        self.model.write_to_bytes().map_err(|error| ExportError::Head(error.to_string()))
    }
}

/// What the last operators are made of.
struct Found {
    features: String,
    weight: usize,
    constant: usize,
}

impl Found {
    /// `Add(MatMul(features, W), c)`; c may be reshaped first.
    fn new(graph: &GraphProto) -> Option<Self> {
        let maker = |tensor: &str| graph.node.iter().find(|node| node.output.iter().any(|output| output == tensor));
        let initializer = |tensor: &str| graph.initializer.iter().position(|constant| constant.name == tensor);
        let of = |node: &NodeProto, op: &str| node.op_type == op;
        let sum = maker(OUTPUT).filter(|node| of(node, "Add"))?;
        let product = sum.input.iter().filter_map(|input| maker(input)).find(|node| of(node, "MatMul"))?;
        let other = sum.input.iter().find(|input| !product.output.contains(input))?;
        let constant = match maker(other) {
            Some(reshape) if of(reshape, "Reshape") => reshape.input.first()?,
            Some(_) => return None,
            None => other,
        };
        let [features, weight] = product.input.as_slice() else { return None };
        Some(Self { features: features.clone(), weight: initializer(weight)?, constant: initializer(constant)? })
    }
}
