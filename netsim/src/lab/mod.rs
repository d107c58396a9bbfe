//! The lab: real nodes, on hosts of their own, on a network that can be made bad.
//!
//! [`hosts`] are network namespaces of this machine, joined by a switch that is a namespace too. A [`Site`] is a mesh of processes on
//! such hosts, or on loopback, that serves a bundle and can be hurt. [`measure`] are the mesh's targets, one file each; [`soak`] hurts
//! a site at random for long.
//!
//! Deliberately absent: any change to the machine's own network; any rule of the protocol; printing. Like the harness it lives in real
//! time.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real processes live in real time; nothing here is part of a deterministic history"
)]

mod chart;
mod disk;
mod error;
mod ground;
pub mod hosts;
mod leftovers;
mod made_up;
pub mod measure;
mod site;
pub mod soak;
mod starve;

pub use chart::chart;
pub use disk::SmallDisk;
pub use error::LabError;
pub use ground::{Ground, GroundKind};
pub use leftovers::sweep;
pub use site::{Service, Site, SiteOptions};
pub use starve::{Starved, Starving};
