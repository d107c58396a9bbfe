//! Stories about stock.
