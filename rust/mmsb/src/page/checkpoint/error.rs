//! What can go wrong with a checkpoint.

use thiserror::Error;

use crate::base::codec::CodecError;
use crate::memory::disk::DiskError;
use crate::memory::error::MemoryError;
use crate::page::error::PageError;
use crate::page::state_error::StateError;

/// Why a checkpoint could not be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its bytes are not those that were written.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// It was made by a newer version.
    #[error("{file} has format {found}; this version knows {known}")]
    Unsupported {
        /// The file.
        file: String,
        /// Its format.
        found: u32,
        /// The newest one known here.
        known: u32,
    },
    /// The progress callback of a checkpoint asks for what has to wait until that checkpoint is made.
    #[error(
        "a checkpoint is being made by this thread: its progress callback cannot make another one, nor prune or squash"
    )]
    Nested,
    /// The process that writes the bus has not read a page in, which it does unasked, in this time or before it died.
    #[error(
        "page {page:#x} is on disk still, and the process that writes the bus has not read it in within {seconds} s, or is gone"
    )]
    Elsewhere {
        /// The page's id.
        page: u64,
        /// For so long it was waited for.
        seconds: u64,
    },
    /// There is no memory to load it into, or a state cannot be made of it.
    #[error(transparent)]
    State(#[from] StateError),
}

impl CheckpointError {
    /// Damage of a file.
    pub(crate) fn damaged(file: &str, what: impl Into<String>) -> Self {
        CheckpointError::Damaged { file: file.into(), what: what.into() }
    }

    /// The error with the name of the file that it is about, where it has none: what cannot be made of a file is damage.
    pub(crate) fn in_file(self, name: &str) -> Self {
        match self {
            CheckpointError::Damaged { file, what } if file.is_empty() => Self::damaged(name, what),
            CheckpointError::State(error) if !matches!(error, StateError::Memory(_)) => {
                Self::damaged(name, error.to_string())
            }
            error => error,
        }
    }

    /// Whether another checkpoint, or the log itself, may do instead.
    pub fn is_damage(&self) -> bool {
        match self {
            CheckpointError::Damaged { .. } => true,
            CheckpointError::Disk(error) => matches!(error, DiskError::NotFound { .. }),
            CheckpointError::State(StateError::Memory(_)) => false,
            CheckpointError::State(StateError::Unread(error)) => error.is_damage(),
            CheckpointError::State(_) => true,
            CheckpointError::Unsupported { .. }
            | CheckpointError::Nested
            | CheckpointError::Elsewhere { .. } => false,
        }
    }
}

impl From<MemoryError> for CheckpointError {
    fn from(error: MemoryError) -> Self {
        CheckpointError::State(error.into())
    }
}

impl From<CodecError> for CheckpointError {
    fn from(error: CodecError) -> Self {
        CheckpointError::State(error.into())
    }
}

impl From<PageError> for CheckpointError {
    fn from(error: PageError) -> Self {
        CheckpointError::State(error.into())
    }
}
