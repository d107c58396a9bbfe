//! Stories of small fleets in virtual time.

mod bounds;
mod cluster;
mod detection;
mod health;
mod healing;
mod identity;
mod trust;
