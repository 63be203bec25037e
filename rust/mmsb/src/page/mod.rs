//! Layer 1 (page): typed pages, versions, deltas, the log, checkpoints, replay.

mod apply;
pub mod block;
pub mod body;
pub mod catalog;
pub mod cell;
pub mod checkpoint;
pub mod column;
pub mod compare;
pub mod delta;
pub mod diff;
pub mod digest;
pub mod draft;
pub mod dtype;
pub mod encode;
pub mod error;
mod graft;
mod indices;
pub mod log;
pub mod operator;
pub mod overlap;
mod pieces;
pub mod schema;
pub mod select;
pub mod stage;
pub mod state_error;
pub mod trie;
pub mod version;
