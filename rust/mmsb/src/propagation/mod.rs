//! Layer 4 (propagation): what a page that follows from others is made by, and running what a change asks for.

pub mod apply;
pub mod changes;
pub mod closure;
pub mod counters;
pub mod error;
pub mod expression;
pub mod flow;
pub mod kernel;
pub mod made;
mod place;
mod places;
pub mod product;
pub mod program;
pub mod queue;
pub mod reduction;
pub mod relation;
pub mod rule;
pub mod run;
pub mod runs;
mod small;
pub(crate) mod task;
pub mod threads;
pub mod trace;
