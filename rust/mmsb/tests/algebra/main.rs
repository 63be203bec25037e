//! Operators, semirings and circuits by their laws.
#![allow(clippy::unwrap_used)]

mod by_name;
mod laws;
mod products;
mod provenance;
mod renew;
mod semirings;
