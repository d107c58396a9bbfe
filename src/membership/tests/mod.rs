//! Stories of small fleets in virtual time.

mod bounds;
mod cluster;
mod detection;
mod healing;
mod health;
mod identity;
mod trust;
