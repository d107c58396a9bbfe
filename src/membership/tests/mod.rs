//! Stories of small fleets in virtual time.

mod cluster;
mod detection;
