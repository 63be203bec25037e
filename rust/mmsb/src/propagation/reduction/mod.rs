//! Reductions: a column's cells brought together, all of them, along an axis, or by key.
//!
//! | reduction | gives | of no cells |
//! |---|---|---|
//! | sum | `int64` of bool and signed, `uint64` of unsigned (both wrap), floats their own type | 0 |
//! | mean | floats their own type, all else `float64` | NaN |
//! | min, max | the type of the cells; NaN wins, -0.0 is less than +0.0 | the highest, the lowest value there is |
//! | count | `int64`: cells, but those that are NaN | 0 |
//! | argmin, argmax | `int64`: the first of equals, 0.0 and -0.0 among them; NaN wins | -1 |
//! | any, all | bool; what is not zero is true | false, true |
//!
//! The types are those of numpy. A mean is over all cells, NaN too; argmin and argmax give the number of the cell (all of
//! the column, row after row), the place along the axis, or the row (by key).
//!
//! **The bits depend on the cells and where they lie, not on how they came there.** Integers, counts and truths are added
//! and taken back, which is exact. Floats of a whole column or along an axis are brought together in double precision by
//! the fixed tree of [`crate::algebra::fold`], of which a change mends a path, and rounded once at the end; half precision
//! by way of single. Floats by key have no places that a tree could hold on to; of each group the exact sum is kept as a
//! whole number, from which terms are taken back without a trace, and rounded once: it is the correctly rounded sum.
//! A sum that is zero is +0.0.

mod along;
pub(in crate::propagation) mod cells;
mod choose;
mod exact;
mod extremes;
pub(in crate::propagation) mod folds;
mod inner;
mod keyed;
pub mod spec;
mod sums;
mod tally;
mod tree;
