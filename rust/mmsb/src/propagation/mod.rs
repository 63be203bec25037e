//! Layer 4 (propagation): what a page that follows from others is made by, and running what a change asks for.

pub mod error;
pub mod kernel;
pub mod made;
pub mod reduction;
pub mod runs;
