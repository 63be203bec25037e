//! Element-wise rules: a page whose cells are an expression of the cells of the same row of other pages.
//!
//! Types and results are numpy's, except where machines would disagree: a cast of a float that an integer type has no
//! such number for gives the type's end, and 0 for NaN; every NaN that is computed is the one quiet NaN without sign; `min`
//! and `max` take -0.0 to be below 0.0; a python int that does not fit is an error in `where` too; sines
//! and their like are those of the pure-Rust `libm`; half precision is worked out in single precision and rounded once.
//! `x ** 2` with a python number is `x * x`, as numpy's operator has it.

mod cast;
pub mod encode;
mod evaluate;
mod float;
mod loops;
mod lower;
pub mod node;
mod program;
pub mod rule;
pub mod typed;
pub mod types;

/// The name by which errors know it.
const RULE: &str = "expression";
