//! Stories of small fleets in virtual time.

mod bounds;
pub(crate) mod cluster;
mod detection;
mod healing;
mod health;
mod identity;
mod trust;
