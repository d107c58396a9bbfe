//! Training of students: what the teacher says of each view of each image ([`views`]), one student at a time ([`student`]), then one
//! head over all of them ([`head`]).
//!
//! A student is trained in the thread that asks for it, and gives the same numbers wherever that is: whoever has several cores
//! trains several students side by side. Nothing here knows of devices, plans or bundles.

mod augment;
mod checkpoint;
#[cfg(test)]
mod fixture;
pub mod head;
mod loss;
mod samples;
mod sgd;
pub mod student;
pub mod views;

pub use augment::Augment;
pub use checkpoint::CheckpointError;
pub use samples::Samples;
pub use sgd::OneCycle;
