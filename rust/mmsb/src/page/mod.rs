//! Layer 1 (page): typed pages, versions, deltas, the log, checkpoints, replay.

pub mod delta;
pub mod dtype;
pub mod error;
pub mod log;
pub mod operator;
pub mod overlap;
pub mod schema;
pub mod select;
