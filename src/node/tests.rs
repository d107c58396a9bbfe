//! Stories of whole nodes.
