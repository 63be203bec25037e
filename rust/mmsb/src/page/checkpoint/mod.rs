//! Layer 1 (page), checkpoints: the state after a frame, on disk, so that opening need not replay the log from its start.
//!
//! The bytes are in `docs/bytes.md`, "Checkpoints". [`mod@write`] puts what no earlier checkpoint has into a chunk file and
//! tells the state as a [`record::Record`]; [`store`] makes that durable, finds it again and throws old ones away;
//! [`load`] makes blocks of it again, with what branches share shared; [`lazy`] reads the cells of a page in when somebody
//! wants them.

mod cells;
pub mod chunks;
mod elsewhere;
pub mod error;
pub mod known;
pub mod lazy;
pub mod load;
pub mod prune;
pub mod record;
pub mod store;
mod tables;
pub mod write;

pub use error::CheckpointError;
