//! A fleet of stocks in virtual time, and stories about it.

mod chaos;
mod fleet;
mod stories;
