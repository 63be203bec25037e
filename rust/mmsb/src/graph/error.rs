//! What the graph refuses. Nothing was changed when one of these is returned.

use crate::base::codec::CodecError;
use crate::base::ids::PageId;
use thiserror::Error;

/// What the graph refuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GraphError {
    /// A page would follow from itself.
    #[error("{} would follow from itself: {}", .path[0], shown(.path))]
    Cycle {
        /// The way round: the page, what would follow from it, and so on, and the page again.
        path: Vec<PageId>,
    },
    /// A page that others follow from would go.
    #[error("{page} has followers: {follower} follows from it")]
    HasFollowers {
        /// The page.
        page: PageId,
        /// One of those that follow from it.
        follower: PageId,
    },
    /// No kind of edge has this name.
    #[error("there is no kind of edge '{name}': {known}")]
    UnknownKind {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A graph has more pages or edges than a number of 30 bits counts.
    #[error("the graph would have {entries} entries, where {most} is the most")]
    TooLarge {
        /// How many it would have.
        entries: usize,
        /// How many it may have.
        most: usize,
    },
    /// Bytes that are no rule.
    #[error("the edges of a rule cannot be read: {0}")]
    Unreadable(String),
}

impl From<CodecError> for GraphError {
    fn from(error: CodecError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

fn shown(path: &[PageId]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> ")
}
