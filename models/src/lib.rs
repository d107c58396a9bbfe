//! Data sets, teachers, the student zoo, distillation, ONNX export and evaluation: everything about models that is not the protocol.
//!
//! A node needs two modules: [`bundle_dir`] opens and verifies a bundle, and [`session`] runs its students (it alone knows tract). A third,
//! [`onnx_file`], writes the network that calibrates a device.
//! Making a bundle needs the rest: [`data`] and [`teacher`] read what a user brings, `zoo` is the students' topology and export, `train`
//! trains one student and the head over all of them, `kernels` makes that quick on a CPU, [`evaluate`] says how good all are together,
//! `distill` is the way from one end to the other, and [`quantize`] makes students of 8 bits of a bundle's. `zoo`, `train`, `kernels` and `distill` are the feature `distill`, which brings burn.
//!
//! Deliberately absent: devices, plans and anything of the mesh; `distill` asks the planner of `rocoin` once and is done with it.

pub mod bundle_dir;
pub mod data;
pub mod evaluate;
pub mod npy;
pub mod onnx_file;
pub mod quantize;
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
