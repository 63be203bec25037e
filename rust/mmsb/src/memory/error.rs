//! What can go wrong with memory: one enum for the arena, its mappings, pins and views.

use std::io;

/// Why memory could not be had. Nothing has changed when one of these is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The arena's budget would be passed. Live data is never dropped to make room.
    #[error("{asked} bytes asked of an arena that holds {used} of its budget of {budget} bytes")]
    Budget {
        /// Bytes that the caller asked for.
        asked: u64,
        /// Bytes allocated to the arena's spans.
        used: u64,
        /// The most that may be.
        budget: u64,
    },
    /// The file system or the machine has no memory left for a span.
    #[error("no space left in {place} for {asked} more bytes")]
    OutOfSpace {
        /// Where the spans lie.
        place: String,
        /// Bytes that were to be allocated.
        asked: u64,
    },
    /// One request is larger than any block may be.
    #[error("a block of {asked} bytes was asked for, the largest has {limit}")]
    TooLarge {
        /// Bytes asked for.
        asked: u64,
        /// The limit.
        limit: u64,
    },
    /// The arena has as many spans as it may.
    #[error("the arena has all the {limit} spans it may have")]
    TooManySpans {
        /// The limit.
        limit: usize,
    },
    /// The arena has as many pin entries as it may.
    #[error("the arena has all the {limit} pins it may have")]
    TooManyPins {
        /// The limit.
        limit: usize,
    },
    /// As many processes share the arena as may.
    #[error("the arena is shared by all the {limit} processes that may share it")]
    TooManyProcesses {
        /// The limit.
        limit: u32,
    },
    /// The process has as many view mappings as it may: gather instead.
    #[error("the process has {limit} memory mappings for views, the most it may have")]
    TooManyMappings {
        /// The limit.
        limit: usize,
    },
    /// The kernel refused a mapping.
    #[error("cannot map {bytes} bytes: {source}")]
    Map {
        /// Length of the mapping.
        bytes: u64,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is no arena in a folder that this process could share: nobody writes it, or another version does.
    #[error("there is no living arena in {folder} that this version can share")]
    NoArena {
        /// The folder.
        folder: String,
    },
    /// A file of the arena could not be made, opened or removed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
}
