//! A fleet of machines in virtual time, and stories about it.

mod chaos;
pub(crate) mod fixture;
mod fleet;
pub(crate) mod single;
mod stories;
