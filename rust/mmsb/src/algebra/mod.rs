//! Layer 2 (algebra): what brings values together: merge operators, semirings with their laws, and the loops over them.

pub mod by_name;
pub mod circuit;
pub mod error;
pub mod family;
pub mod fold;
pub mod kernel;
pub mod ladder;
pub mod law;
pub mod linear;
pub mod mask;
pub mod operations;
pub mod operator;
pub mod product;
pub mod renew;
pub mod semirings;
pub mod value;
pub mod why;
