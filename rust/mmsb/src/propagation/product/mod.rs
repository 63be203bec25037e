//! Products of matrices and vectors, by any semiring.
//!
//! A cell of a product is brought together in an order that depends on its row and nothing else (`algebra/product.rs`), so
//! rows made anew have the bits of all made from nothing. A change of a dense matrix makes its rows anew, one of what it
//! is multiplied with, all; of a sparse one, a changed cell of the vector makes those rows anew that have it, or, where
//! addition chooses, has its terms exchanged in them (`algebra/renew.rs`).

mod dense;
mod gather;
mod renewal;
mod sparse;
pub mod spec;
