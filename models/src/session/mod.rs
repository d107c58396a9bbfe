//! Running ONNX networks: the one module that knows tract.
//!
//! A [`Session`] is one network, optimised for one image at a time; threads share it. What lies between input and output
//! (names, operators, shapes) is read with [`OnnxGraph`], and rewritten with
//! [`Network`]. Nothing here knows of students, teachers or bundles.

mod cost;
mod error;
mod graph;
mod network;

use std::sync::Arc;

use tract_onnx::prelude::{IntoRunnable, Tensor, TypedModel, TypedRunnableModel, tvec};

pub use cost::NetworkCost;
pub use error::SessionError;
pub use graph::{GraphNode, GraphTensor, OnnxGraph};
pub use network::{Constant, Network, Operator, Setting};

/// A network ready to run, batch 1. Running it needs no exclusive access: share it between threads by reference or [`Arc`].
#[derive(Debug)]
pub struct Session {
    plan: Arc<TypedRunnableModel>,
    /// With the batch of 1 in front.
    input_shape: Vec<usize>,
}

impl Session {
    /// Reads an ONNX file's bytes and optimises the network for images of `input_shape` (`[C,H,W]` or `[C,L]`, no batch).
    ///
    /// # Errors
    /// [`SessionError::NotOnnx`], [`SessionError::Unsupported`] naming the operators, or [`SessionError::Load`].
    pub fn load(onnx: &[u8], input_shape: &[usize]) -> Result<Self, SessionError> {
        OnnxGraph::parse(onnx)?.into_session(input_shape, None)
    }

    /// Number of values of one input.
    pub fn input_len(&self) -> usize {
        self.input_shape.iter().product()
    }

    /// Runs one image (its values in row-major order) and gives the values of the first output.
    ///
    /// # Errors
    /// [`SessionError::Length`] if `image` is not [`Session::input_len`] long, [`SessionError::Run`] if tract fails.
    pub fn run(&self, image: &[f32]) -> Result<Vec<f32>, SessionError> {
        self.run_all(image)?.into_iter().next().ok_or_else(|| SessionError::Run("it has no output".to_owned()))
    }

    /// Runs one image and gives the values of every output.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_all(&self, image: &[f32]) -> Result<Vec<Vec<f32>>, SessionError> {
        if image.len() != self.input_len() {
            return Err(SessionError::Length { expected: self.input_len(), found: image.len() });
        }
        let failed = |error| SessionError::Run(format!("{error:#}"));
        let input = Tensor::from_shape(&self.input_shape, image).map_err(failed)?;
        let outputs = self.plan.run(tvec!(input.into())).map_err(failed)?;
        outputs.iter().map(|output| values(output).map_err(failed)).collect()
    }

    fn from_model(model: TypedModel, input_shape: Vec<usize>) -> Result<Self, SessionError> {
        let failed = |error| SessionError::Load(format!("{error:#}"));
        let plan = model.into_optimized().map_err(failed)?.into_runnable().map_err(failed)?;
        Ok(Self { plan, input_shape })
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>, tract_onnx::prelude::TractError> {
    let tensor = tensor.cast_to::<f32>()?;
    Ok(tensor.to_plain_array_view::<f32>()?.iter().copied().collect())
}

#[cfg(test)]
mod tests;
