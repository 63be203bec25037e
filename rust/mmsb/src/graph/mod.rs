//! Layer 3 (graph): which pages follow from which, in what order, and what cannot be.

pub mod edge;
pub mod error;
pub mod lists;
pub mod network;
pub mod order;
