//! What can go wrong when a state is changed or read. Nothing was changed when one is returned.

use thiserror::Error;

use crate::base::codec::CodecError;
use crate::base::ids::PageId;
use crate::memory::error::MemoryError;
use crate::page::checkpoint::CheckpointError;
use crate::page::error::PageError;

/// An error of a state and its pages.
#[derive(Debug, Error)]
pub enum StateError {
    /// No page has this id.
    #[error("no {0}")]
    NoPage(PageId),
    /// A page of this name is there already.
    #[error("the name '{name}' is taken by {page}")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        page: PageId,
    },
    /// A page with this id is there already.
    #[error("{0} is there already")]
    IdTaken(PageId),
    /// A branch has given out all its page ids.
    #[error("{0} has given out all 4,294,967,295 page ids")]
    IdsExhausted(crate::base::ids::BranchId),
    /// A rule is longer than any may be.
    #[error("the rule of {page} has {bytes} bytes, where {} is the most", crate::base::limits::MAX_RULE)]
    LongRule {
        /// Of which page.
        page: PageId,
        /// Its length.
        bytes: usize,
    },
    /// Several names have one 64-bit hash.
    #[error("the name '{0}' has the hash of too many other names; choose another")]
    NameCollision(String),
    /// A frame's body says something unknown.
    #[error("malformed frame: {0}")]
    BadRecord(String),
    /// What was asked of a page does not fit it.
    #[error("page '{page}': {source}")]
    Page {
        /// The page's name.
        page: String,
        /// What does not fit.
        source: PageError,
    },
    /// What was asked cannot be.
    #[error(transparent)]
    Plain(#[from] PageError),
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The cells of a page could not be read in from a checkpoint.
    #[error(transparent)]
    Unread(Box<CheckpointError>),
}

impl From<CheckpointError> for StateError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::State(StateError::Memory(error)) => StateError::Memory(error),
            error => StateError::Unread(Box::new(error)),
        }
    }
}

impl From<CodecError> for StateError {
    fn from(error: CodecError) -> Self {
        StateError::Plain(PageError::Codec(error))
    }
}
