//! What can go wrong with the log.

use crate::memory::disk::DiskError;
use thiserror::Error;

/// Why the log refused, failed, or cannot be read.
#[derive(Clone, Debug, Error)]
pub enum LogError {
    /// A file operation failed; nothing was changed, unless [`LogError::Poisoned`] follows.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The directory holds no bus.
    #[error("not a bus: {reason}")]
    NotABus {
        /// What is missing or strange.
        reason: &'static str,
    },
    /// The directory holds a bus already.
    #[error("there is a bus in this directory already")]
    Exists,
    /// Made by another version.
    #[error(
        "format {found} with features {features:#x} needed; this version knows format {supported} and features {known:#x}"
    )]
    UnsupportedFormat {
        /// Format version of the bus.
        found: u32,
        /// The version known here.
        supported: u32,
        /// Feature bits that are needed to do what was asked for.
        features: u64,
        /// Feature bits known here.
        known: u64,
    },
    /// Neither slot of the superblock is whole.
    #[error("both copies of the superblock are damaged")]
    CorruptSuperblock,
    /// Bytes that were durable are damaged or missing.
    #[error("the log is corrupt: {what} at position {position} (segment {segment}, byte {offset})")]
    CorruptLog {
        /// Number of the segment; 0 if none holds the position.
        segment: u64,
        /// Byte in the segment's file.
        offset: u64,
        /// Position in the log.
        position: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The body is longer than a frame may be; nothing was written.
    #[error("a commit of {length} bytes is longer than a frame may be ({limit} bytes)")]
    FrameTooLarge {
        /// Bytes of the body.
        length: u64,
        /// [`crate::base::limits::MAX_FRAME`].
        limit: u64,
    },
    /// A checkpoint's name does not fit; nothing was written.
    #[error("a checkpoint's name has 1 to 255 bytes, not {length}")]
    CheckpointName {
        /// Its bytes.
        length: usize,
    },
    /// The frame does not follow the last one; nothing was written.
    #[error("frame with seq {seq} cannot follow seq {last}")]
    OutOfOrder {
        /// Its seq.
        seq: u64,
        /// Seq of the last frame.
        last: u64,
    },
    /// The log was opened for reading.
    #[error("the bus is open for reading only")]
    ReadOnly,
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// An earlier write or sync failed, so that nobody knows what the disk holds. Open the bus again.
    #[error("the log takes no more writes since one failed: {cause}")]
    Poisoned {
        /// The failure.
        cause: DiskError,
    },
    /// A sync failed: frames behind `synced` may or may not be there after the next open.
    #[error("whether the frame ending at position {position} is durable is unknown: {cause}")]
    CommitUnknown {
        /// End of the frame that was to be synced.
        position: u64,
        /// Position known durable.
        synced: u64,
        /// The failure.
        cause: DiskError,
    },
    /// The position lies before the oldest frame kept.
    #[error("position {position} was pruned; the log starts at {start}")]
    HistoryPruned {
        /// The position asked for.
        position: u64,
        /// The oldest one kept.
        start: u64,
    },
    /// The position lies at or behind the end of the log.
    #[error("no frame at position {position}; the log ends at {head}")]
    NoSuchFrame {
        /// The position asked for.
        position: u64,
        /// Where the log ends.
        head: u64,
    },
}
