//! Layer 1 (page): typed pages, versions, deltas, the log, checkpoints, replay.

mod apply;
pub mod compare;
pub mod delta;
pub mod dtype;
pub mod encode;
pub mod error;
mod indices;
pub mod log;
pub mod operator;
pub mod overlap;
pub mod schema;
pub mod select;
