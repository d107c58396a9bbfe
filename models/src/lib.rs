//! Data sets, teachers, the student zoo, distillation, ONNX export and evaluation.

pub mod bundle_dir;
pub mod data;
pub mod evaluate;
pub mod session;
pub mod teacher;

#[cfg(feature = "distill")]
pub mod distill;
#[cfg(feature = "distill")]
pub mod kernels;
#[cfg(feature = "distill")]
pub mod train;
#[cfg(feature = "distill")]
pub mod zoo;

#[cfg(test)]
mod tiny_onnx;
