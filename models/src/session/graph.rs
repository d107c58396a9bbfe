//! What an ONNX file says of itself: names, operators, shapes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tract_onnx::Onnx;
use tract_onnx::pb;
use tract_onnx::prelude::{Datum, Framework, InferenceFact, InferenceModel, InferenceModelExt, OutletId, TractError};

use super::{Session, SessionError};

/// An operator of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// ONNX operator name, e.g. `Conv`.
    pub op: String,
    /// Names of the tensors it takes; constants too, absent optional ones left out.
    pub inputs: Vec<String>,
    /// Names of the tensors it gives.
    pub outputs: Vec<String>,
    /// The `perm` attribute, of a `Transpose` that has one.
    pub permutation: Option<Vec<usize>>,
}

/// An input or output of the network, as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphTensor {
    /// Its name.
    pub name: String,
    /// One an axis, the batch included, `None` where it is dynamic; `None` at all if not declared.
    pub shape: Option<Vec<Option<usize>>>,
}

/// A parsed ONNX file.
#[derive(Debug)]
pub struct OnnxGraph {
    /// The image: inputs without an initial value.
    pub inputs: Vec<GraphTensor>,
    /// What it gives.
    pub outputs: Vec<GraphTensor>,
    /// In the file's order, which ONNX wants topological.
    pub nodes: Vec<GraphNode>,
    model: InferenceModel,
    outlets: HashMap<String, OutletId>,
}

impl OnnxGraph {
    /// Reads the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`SessionError::NotOnnx`], [`SessionError::Unsupported`], [`SessionError::Load`].
    pub fn parse(onnx: &[u8]) -> Result<Self, SessionError> {
        // Declared shapes of inner tensors carry the exporter's batch; they would contradict the batch of 1.
        let framework = tract_onnx::onnx().with_ignore_value_info(true);
        let proto = framework.proto_model_for_read(&mut &*onnx).map_err(|error| not_onnx(&error))?;
        let graph = proto.graph.as_ref().filter(|graph| !graph.node.is_empty() && !graph.output.is_empty());
        let graph = graph.ok_or_else(|| SessionError::NotOnnx("it holds no network".to_owned()))?;
        let operators = unsupported(&framework, graph);
        if !operators.is_empty() {
            return Err(SessionError::Unsupported { operators: operators.into_iter().collect() });
        }
        let initialized: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let inputs =
            graph.input.iter().filter(|input| !initialized.contains(input.name.as_str())).map(tensor).collect();
        let outputs = graph.output.iter().map(tensor).collect();
        let nodes = graph.node.iter().map(node).collect();
        let parsed = framework.parse(&proto, None).map_err(|error| load_error(&error))?;
        if let Some(name) = parsed.unresolved_inputs.into_iter().next() {
            return Err(SessionError::NoSuchTensor(name));
        }
        Ok(Self { inputs, outputs, nodes, model: parsed.model, outlets: parsed.outlets_by_name })
    }

    /// The one input.
    ///
    /// # Errors
    /// [`SessionError::Inputs`].
    pub fn input(&self) -> Result<&GraphTensor, SessionError> {
        match self.inputs.as_slice() {
            [input] => Ok(input),
            inputs => Err(SessionError::Inputs { inputs: inputs.iter().map(|input| input.name.clone()).collect() }),
        }
    }

    /// Shapes of all tensors (batch of 1 included) when the image has `input_shape`; without those that cannot be told.
    ///
    /// # Errors
    /// [`SessionError::Load`] where the network contradicts `input_shape`.
    pub fn shapes(&self, input_shape: &[usize]) -> Result<BTreeMap<String, Vec<usize>>, SessionError> {
        let mut model = self.shaped(input_shape)?;
        model.analyse(false).map_err(|error| load_error(&error))?;
        let mut shapes = BTreeMap::new();
        for (name, &outlet) in &self.outlets {
            let fact = model.outlet_fact(outlet).map_err(|error| load_error(&error))?;
            let dimensions = fact.shape.as_concrete_finite().map_err(|error| load_error(&error))?;
            shapes.extend(dimensions.map(|dimensions| (name.clone(), dimensions.to_vec())));
        }
        Ok(shapes)
    }

    /// The network for images of `input_shape`, giving its own outputs, or the tensors named.
    ///
    /// # Errors
    /// [`SessionError::Inputs`], [`SessionError::NoSuchTensor`], [`SessionError::Load`].
    pub fn into_session(self, input_shape: &[usize], outputs: Option<&[&str]>) -> Result<Session, SessionError> {
        let mut model = self.shaped(input_shape)?;
        if let Some(names) = outputs {
            let outlet = |name: &&str| {
                self.outlets.get(*name).copied().ok_or_else(|| SessionError::NoSuchTensor((*name).to_owned()))
            };
            let outlets: Vec<OutletId> = names.iter().map(outlet).collect::<Result<_, _>>()?;
            model.select_output_outlets(&outlets).map_err(|error| load_error(&error))?;
        }
        let typed = model.into_typed().map_err(|error| load_error(&error))?;
        Session::from_model(typed, with_batch(input_shape))
    }

    pub(super) fn shaped(&self, input_shape: &[usize]) -> Result<InferenceModel, SessionError> {
        let outlet = self.outlets[&self.input()?.name];
        let mut model = self.model.clone();
        let fact = InferenceFact::dt_shape(f32::datum_type(), with_batch(input_shape));
        model.set_outlet_fact(outlet, fact).map_err(|error| load_error(&error))?;
        Ok(model)
    }
}

fn with_batch(shape: &[usize]) -> Vec<usize> {
    [1].iter().chain(shape).copied().collect()
}

fn not_onnx(error: &TractError) -> SessionError {
    SessionError::NotOnnx(format!("{error}"))
}

pub(super) fn load_error(error: &TractError) -> SessionError {
    SessionError::Load(format!("{error:#}"))
}

/// Names of operators tract has no builder for, inner graphs included.
fn unsupported(framework: &Onnx, graph: &pb::GraphProto) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for node in &graph.node {
        if !framework.op_register.0.contains_key(&node.op_type) {
            names.insert(node.op_type.clone());
        }
        for inner in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
            names.extend(unsupported(framework, inner));
        }
    }
    names
}

fn node(node: &pb::NodeProto) -> GraphNode {
    let named = |names: &[String]| names.iter().filter(|name| !name.is_empty()).cloned().collect();
    let permutation = node.attribute.iter().find(|attribute| attribute.name == "perm");
    GraphNode {
        op: node.op_type.clone(),
        inputs: named(&node.input),
        outputs: named(&node.output),
        permutation: permutation
            .and_then(|attribute| attribute.ints.iter().map(|&axis| usize::try_from(axis).ok()).collect()),
    }
}

fn tensor(info: &pb::ValueInfoProto) -> GraphTensor {
    use pb::tensor_shape_proto::dimension::Value;
    let kind = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let shape = kind.and_then(|kind| match kind {
        pb::type_proto::Value::TensorType(tensor) => tensor.shape.as_ref(),
    });
    let dimension = |value: &Option<Value>| match value {
        Some(Value::DimValue(value)) => usize::try_from(*value).ok().filter(|&value| value > 0),
        Some(Value::DimParam(_)) | None => None,
    };
    GraphTensor {
        name: info.name.clone(),
        shape: shape.map(|shape| shape.dim.iter().map(|axis| dimension(&axis.value)).collect()),
    }
}
