//! Layer 2 (algebra): the operators that merge deltas use.

pub mod kernel;
pub mod operator;
