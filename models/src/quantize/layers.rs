//! A student's operators, with what directly follows a convolution folded into it.

use std::collections::{BTreeMap, BTreeSet};

use super::QuantizeError;
use crate::session::{Constant, Network, Operator, Setting};

/// A student as it is quantised: convolutions, and what stays as it is.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    /// In topological order.
    pub(super) steps: Vec<Step>,
    /// Those of the other operators.
    pub(super) constants: BTreeMap<String, Constant>,
}

/// One operator, or several that became one.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Conv(Conv),
    Other(Operator),
}

/// A convolution with its bias, the scale and shift of a batch norm that followed it folded in.
#[derive(Debug, Clone)]
pub(super) struct Conv {
    pub(super) input: String,
    /// Of the last operator folded in.
    pub(super) output: String,
    /// `[outputs, inputs, kernel…]`.
    pub(super) shape: Vec<i64>,
    pub(super) weight: Vec<f32>,
    /// One an output channel.
    pub(super) bias: Vec<f32>,
    pub(super) attributes: BTreeMap<String, Setting>,
    /// Whether a ReLU was folded in.
    pub(super) relu: bool,
}

impl Layers {
    /// Reads the student whose `output` is what the mesh wants of it.
    ///
    /// # Errors
    /// [`QuantizeError::Int8`] if it is quantised already, [`QuantizeError::Topology`] if it has no convolution with constant weights.
    pub(super) fn new(network: Network, output: &str) -> Result<Self, QuantizeError> {
        let Network { operators, mut constants } = network;
        if let Some(quantised) = operators.iter().find(|operator| is_quantised(&operator.op)) {
            return Err(QuantizeError::Int8 { operator: quantised.op.clone() });
        }
        let consumers = Consumers::new(&operators, output);
        let mut folded = BTreeSet::new();
        let mut steps = Vec::new();
        for operator in &operators {
            if folded.contains(&operator.output) {
                continue;
            }
            let Some(mut conv) = Conv::new(operator, &constants) else {
                steps.push(Step::Other(operator.clone()));
                continue;
            };
            while let Some(next) = consumers.only(&conv.output).filter(|next| conv.fold(next, &constants)) {
                folded.insert(next.output.clone());
                conv.output.clone_from(&next.output);
            }
            steps.push(Step::Conv(conv));
        }
        if !steps.iter().any(|step| matches!(step, Step::Conv(_))) {
            return Err(QuantizeError::Topology("it has no convolution whose weights are constant".to_owned()));
        }
        let used: BTreeSet<&String> = steps.iter().flat_map(Step::inputs).collect();
        constants.retain(|name, _| used.contains(name));
        Ok(Self { steps, constants })
    }

    /// The convolutions.
    pub(super) fn convs(&self) -> impl Iterator<Item = &Conv> {
        self.steps.iter().filter_map(|step| match step {
            Step::Conv(conv) => Some(conv),
            Step::Other(_) => None,
        })
    }
}

impl Step {
    /// Names of the tensors it takes.
    pub(super) fn inputs(&self) -> &[String] {
        match self {
            Self::Conv(conv) => std::slice::from_ref(&conv.input),
            Self::Other(operator) => &operator.inputs,
        }
    }

    /// Name of the tensor it gives.
    pub(super) fn output(&self) -> &String {
        match self {
            Self::Conv(conv) => &conv.output,
            Self::Other(operator) => &operator.output,
        }
    }

    /// Whether each element of its output needs no other element of its inputs.
    pub(super) fn is_element_wise(&self) -> bool {
        matches!(self, Self::Other(operator) if matches!(operator.op.as_str(), "Add" | "Mul" | "Relu"))
    }
}

impl Conv {
    /// `None` if `operator` is no convolution, or one whose weights are not constant.
    fn new(operator: &Operator, constants: &BTreeMap<String, Constant>) -> Option<Self> {
        let floats = |name: &String| match constants.get(name)? {
            Constant::Floats(shape, values) => Some((shape, values)),
            Constant::Ints(..) => None,
        };
        let (input, weight, bias) = match operator.inputs.as_slice() {
            [input, weight] => (input, weight, None),
            [input, weight, bias] => (input, weight, Some(bias)),
            _ => return None,
        };
        if operator.op != "Conv" || constants.contains_key(input) {
            return None;
        }
        let (shape, weight) = floats(weight)?;
        let outputs = usize::try_from(*shape.first()?).ok()?;
        let bias = bias.map_or(Some(vec![0.0; outputs]), |bias| Some(floats(bias)?.1.clone()))?;
        Some(Self {
            input: input.clone(),
            output: operator.output.clone(),
            shape: shape.clone(),
            weight: weight.clone(),
            bias,
            attributes: operator.attributes.clone(),
            relu: false,
        })
    }

    /// Takes over what `next` does to the output. `false`, with nothing changed, where it cannot.
    fn fold(&mut self, next: &Operator, constants: &BTreeMap<String, Constant>) -> bool {
        if self.relu {
            return false;
        }
        if next.op == "Relu" {
            self.relu = true;
            return true;
        }
        let other = next.inputs.iter().find(|input| **input != self.output);
        let Some(values) = other.and_then(|name| self.per_channel(constants.get(name)?)) else { return false };
        match next.op.as_str() {
            "Mul" => {
                let row = self.weight.len() / self.bias.len();
                for ((weights, bias), factor) in self.weight.chunks_exact_mut(row).zip(&mut self.bias).zip(&values) {
                    weights.iter_mut().for_each(|weight| *weight *= factor);
                    *bias *= factor;
                }
            }
            "Add" => self.bias.iter_mut().zip(&values).for_each(|(bias, value)| *bias += value),
            _ => return false,
        }
        true
    }

    /// One value an output channel, of a constant that says no more than that.
    fn per_channel(&self, constant: &Constant) -> Option<Vec<f32>> {
        let Constant::Floats(shape, values) = constant else { return None };
        let channels = self.bias.len();
        if values.len() == 1 {
            return Some(vec![values[0]; channels]);
        }
        let axis = shape.len().checked_sub(self.shape.len() - 1)?;
        let fits = shape.get(axis).is_some_and(|&size| usize::try_from(size) == Ok(channels));
        (fits && values.len() == channels).then(|| values.clone())
    }
}

/// Whether an operator is of a network of 8 bits.
fn is_quantised(op: &str) -> bool {
    op.contains("QuantizeLinear")
        || op.contains("DequantizeLinear")
        || op.starts_with("QLinear")
        || op.ends_with("Integer")
}

/// Who takes which tensor.
struct Consumers<'a> {
    of: BTreeMap<&'a str, Vec<&'a Operator>>,
    output: &'a str,
}

impl<'a> Consumers<'a> {
    fn new(operators: &'a [Operator], output: &'a str) -> Self {
        let mut of: BTreeMap<&str, Vec<&Operator>> = BTreeMap::new();
        for operator in operators {
            for input in &operator.inputs {
                of.entry(input).or_default().push(operator);
            }
        }
        Self { of, output }
    }

    /// The one operator that takes a tensor that nobody else does.
    fn only(&self, tensor: &str) -> Option<&'a Operator> {
        match self.of.get(tensor)?.as_slice() {
            [one] if tensor != self.output => Some(one),
            _ => None,
        }
    }
}
