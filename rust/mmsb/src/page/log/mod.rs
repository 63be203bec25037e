//! Layer 1 (page), the log: one frame per commit, appended, synced in groups, recovered exactly.
//!
//! The bytes are in `docs/bytes.md`. [`Log`] writes, [`Syncer`] makes durable, [`LogReader`] reads; the body of a frame is
//! opaque here. Opening finds the last frame such that everything before it is whole, and refuses a log from which
//! something durable is missing.

mod ahead;
pub mod error;
mod follow;
mod footer;
pub mod frame;
mod index;
mod keeper;
mod packed;
pub mod prune;
pub mod reader;
mod recover;
pub mod repair;
pub mod roll;
pub mod salvage;
mod scan;
mod segment;
mod shared;
pub mod superblock;
mod survey;
pub mod sync;
mod tail;
pub mod writer;

pub use error::LogError;
pub use follow::Together;
pub use frame::{Describe, Durability, FrameHead, FrameNotes, Kind, NewFrame, Notes};
pub use prune::Compressor;
pub use reader::{Frame, Frames, FramesAt, LogReader, SegmentInfo};
pub use repair::{Cut, Recovered};
pub use roll::LogConfig;
pub(crate) use segment::DIR;
pub use superblock::{CheckpointNote, Superblock};
pub(crate) use survey::LOOKS;
pub use sync::Syncer;
pub use writer::Log;
