//! The errors of a bus, joined from every layer, each with its stable code.

use std::fmt;
use std::path::Path;

use thiserror::Error as ThisError;

use crate::base::ids::{Epoch, PageId};
use crate::graph::error::GraphError;
use crate::memory::disk::DiskError;
use crate::memory::error::MemoryError;
use crate::page::checkpoint::CheckpointError;
use crate::page::error::PageError;
use crate::page::log::LogError;
use crate::page::state_error::StateError;
use crate::propagation::error::{FlowError, RuleError};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of error it is. The text of a code never changes its meaning; Python's errors carry the same ones.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// No page of this name or id.
    PageNotFound = "page-not-found",
    /// A page of this name is there already.
    NameTaken = "name-taken",
    /// A shape, size or length that does not fit.
    Shape = "shape",
    /// A dtype that is unknown or does not fit.
    Dtype = "dtype",
    /// An index past the end of its axis.
    IndexOutOfRange = "index-out-of-range",
    /// Something that is no index, or an index of the wrong shape.
    BadIndex = "bad-index",
    /// A page would follow from itself.
    Cycle = "cycle",
    /// The page follows from others, or others from it.
    Follows = "follows",
    /// A rule cannot be, or failed.
    Rule = "rule",
    /// Operations that are said to be a monoid or a semiring, and are none.
    BrokenLaw = "broken-law",
    /// A number or string that its cell cannot hold.
    ValueRange = "value-range",
    /// An argument that cannot be.
    InvalidArgument = "invalid-argument",
    /// Another commit wrote the same cells first.
    Conflict = "conflict",
    /// The handle was closed.
    Closed = "closed",
    /// The handle, or the disk, is read only.
    ReadOnly = "read-only",
    /// The handle came into a child process by `fork`.
    Forked = "forked",
    /// The transaction belongs to another thread, task or branch, or is over.
    WrongTransaction = "wrong-transaction",
    /// Somebody else kept the bus busy for too long.
    Busy = "busy",
    /// Another process has the bus open, and its memory cannot be reached.
    Locked = "locked",
    /// No such epoch.
    EpochNotFound = "epoch-not-found",
    /// The epoch was, but its history was pruned.
    HistoryPruned = "history-pruned",
    /// The snapshot cost more than it may, and was let go of.
    SnapshotExpired = "snapshot-expired",
    /// No branch of this name.
    BranchNotFound = "branch-not-found",
    /// A branch of this name is there already.
    BranchExists = "branch-exists",
    /// There is nothing at the path.
    NotFound = "not-found",
    /// Something is at the path already.
    Exists = "exists",
    /// The directory is not a bus.
    NotABus = "not-a-bus",
    /// The bus is of a newer format.
    UnsupportedFormat = "unsupported-format",
    /// The bytes on disk are not those that were written.
    CorruptLog = "corrupt-log",
    /// The disk is full.
    DiskFull = "disk-full",
    /// The operating system refused access.
    Permission = "permission",
    /// The operating system reported an error.
    Io = "io",
    /// A frame would be larger than a frame may be.
    TooLarge = "too-large",
    /// The memory budget is used up.
    MemoryBudget = "memory-budget",
    /// It is unknown whether the commit survives; the writer takes no more.
    CommitUnknown = "commit-unknown",
    /// The writer failed before and takes no more.
    Poisoned = "poisoned",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cell range that two commits wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clash {
    /// The page's name.
    pub page: String,
    /// Its id.
    pub id: PageId,
    /// The rows both wrote, the first ones; empty where the page itself was dropped or resized.
    pub rows: Vec<u64>,
    /// What clashed, in words.
    pub what: &'static str,
}

/// An error of a bus. Nothing was changed when one is returned, [`Code::CommitUnknown`] excepted.
#[derive(Debug, ThisError)]
pub enum Error {
    /// From pages and states.
    #[error(transparent)]
    State(#[from] StateError),
    /// From the log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// From the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// From memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// From checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// No page of this name.
    #[error("no page named '{0}'")]
    NoPageNamed(String),
    /// No column of this name.
    #[error("page '{page}' has no column '{column}': it has {has}")]
    NoColumn {
        /// The page.
        page: String,
        /// What was asked for.
        column: String,
        /// Its columns' names.
        has: String,
    },
    /// Another commit was first.
    #[error("conflict on {}", describe(.0))]
    Conflict(Vec<Clash>),
    /// The handle was closed.
    #[error("the bus {0} is closed")]
    Closed(String),
    /// The handle is read only.
    #[error("the bus {0} is open for reading only")]
    ReadOnly(String),
    /// The transaction cannot be used so.
    #[error("{0}")]
    WrongTransaction(&'static str),
    /// Somebody kept the bus busy.
    #[error("the bus was busy for {seconds} s: {by}")]
    Busy {
        /// How long was waited.
        seconds: f64,
        /// Who holds it.
        by: String,
    },
    /// There is no memory, and somebody holds some that is out of use.
    #[error(
        "{source}; {bytes} bytes are out of use and wait for process {process}, which holds an earlier state"
    )]
    Held {
        /// What there was no memory for.
        source: Box<Error>,
        /// Bytes that wait for it.
        bytes: u64,
        /// The process that holds the most of them.
        process: u64,
    },
    /// No such epoch.
    #[error("no epoch {epoch} on branch '{branch}': it has {first} to {last}", epoch = .epoch.0, first = .first.0, last = .last.0)]
    NoEpoch {
        /// The branch.
        branch: String,
        /// What was asked for.
        epoch: Epoch,
        /// The first there is.
        first: Epoch,
        /// The last there is.
        last: Epoch,
    },
    /// The epoch's history is gone.
    #[error("epoch {epoch} of branch '{branch}' was pruned: history starts at epoch {first}", epoch = .epoch.0, first = .first.0)]
    Pruned {
        /// The branch.
        branch: String,
        /// What was asked for.
        epoch: Epoch,
        /// The first there is.
        first: Epoch,
    },
    /// The history of that time is gone.
    #[error("the time lies before what is kept of branch '{branch}': history starts at epoch {first}", first = .first.0)]
    PrunedTime {
        /// The branch.
        branch: String,
        /// The first epoch there is.
        first: Epoch,
    },
    /// A state that outlived its bus needs history that somebody else has let go since.
    #[error("epoch {epoch} of branch '{branch}' is gone: the bus {place} was closed, and since then: {source}", epoch = .epoch.0)]
    Gone {
        /// The branch.
        branch: String,
        /// The state's epoch.
        epoch: Epoch,
        /// Where the bus is.
        place: String,
        /// What could not be read.
        source: Box<Error>,
    },
    /// A snapshot of a branch's epoch that was let go of, and how many bytes may wait for one.
    #[error("the snapshot of epoch {epoch} of branch '{0}' has expired: more than {2} bytes waited for it, or memory was short", epoch = .1.0)]
    Expired(String, Epoch, u64),
    /// No branch of this name.
    #[error("no branch named '{0}'")]
    NoBranch(String),
    /// A branch of this name is there.
    #[error("a branch named '{0}' is there already")]
    BranchExists(String),
    /// An argument that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A page that follows from others is written: its rule says what it holds.
    #[error("page '{0}' follows from others: its rule says what it holds")]
    Follows(String),
    /// A page that others follow from would go.
    #[error("page '{page}' cannot go: page '{follower}' follows from it")]
    HasFollowers {
        /// The page.
        page: String,
        /// One that follows from it.
        follower: String,
    },
    /// A page would follow from itself.
    #[error("page '{}' would follow from itself: {}", .0[0], way(.0))]
    Cycle(Vec<String>),
    /// A rule cannot be, or failed.
    #[error("{error}{}", if path.len() > 1 { format!(" ({})", way(path)) } else { String::new() })]
    Rule {
        /// What is wrong.
        error: Box<FlowError>,
        /// The names of the pages by which a change came to the page, from the one that was written, or from it to the one
        /// that was read.
        path: Vec<String>,
    },
    /// There is nothing at the path.
    #[error("there is no bus at {0}")]
    NotFound(String),
    /// Something is at the path.
    #[error("there is something at {0} already")]
    Exists(String),
    /// A post that does not fit its page any more.
    #[error("post {number} of producer '{producer}': {source}")]
    Post {
        /// Who posted it.
        producer: String,
        /// As the how-manieth, from 0 on.
        number: u64,
        /// Why it does not fit.
        source: Box<Error>,
    },
    /// More is posted than may wait.
    #[error(
        "a post of {bytes} bytes: producer '{producer}' has {waiting} bytes posted that nobody collected, {limit} may wait"
    )]
    Posted {
        /// Who posts.
        producer: String,
        /// Bytes that wait.
        waiting: u64,
        /// Bytes of the post.
        bytes: u64,
        /// Bytes that may wait.
        limit: u64,
    },
    /// From below, of the bus at a path.
    #[error("{place}: {source}")]
    At {
        /// The path.
        place: String,
        /// What went wrong there.
        source: Box<Error>,
    },
    /// What is at the path is something else.
    #[error("{place} is not a bus: {reason}")]
    NotABus {
        /// The path.
        place: String,
        /// What is missing or strange.
        reason: &'static str,
    },
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        Error::State(StateError::Plain(error))
    }
}

/// Fails where a path is empty: joined to a name it would mean the working directory.
pub(crate) fn check_path(path: &Path) -> Result<(), Error> {
    match path.as_os_str().is_empty() {
        true => Err(Error::Invalid("the path of a bus is empty".into())),
        false => Ok(()),
    }
}

/// Fails where there is nothing at a path, and where that is not even a directory.
pub(crate) fn check_directory(path: &Path) -> Result<(), Error> {
    let place = || path.display().to_string();
    if !path.exists() {
        Err(Error::NotFound(place()))
    } else if !path.is_dir() {
        Err(Error::NotABus { place: place(), reason: "it is a file, not a directory" })
    } else {
        Ok(())
    }
}

/// A way from page to page; of a long one its ends.
fn way(path: &[String]) -> String {
    const ENDS: usize = 8;
    match path.len().checked_sub(2 * ENDS) {
        None | Some(0 | 1) => path.join(" -> "),
        Some(more) => {
            let (first, last) = (&path[..ENDS], &path[path.len() - ENDS..]);
            format!("{} -> ({more} more) -> {}", first.join(" -> "), last.join(" -> "))
        }
    }
}

fn describe(clashes: &[Clash]) -> String {
    let one = |clash: &Clash| match clash.rows.as_slice() {
        [] => format!("page '{}' ({})", clash.page, clash.what),
        [row] => format!("page '{}', row {row} ({})", clash.page, clash.what),
        rows => format!("page '{}', rows {rows:?} ({})", clash.page, clash.what),
    };
    clashes.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// The error with the path of the bus that it is about, where it says less.
    pub(crate) fn at(self, path: &Path) -> Self {
        let place = path.display().to_string();
        match self {
            Error::Log(LogError::NotABus { reason }) => Error::NotABus { place, reason },
            Error::Log(LogError::Exists) => Error::Exists(place),
            Error::Disk(DiskError::Exists { path: file }) if file.is_empty() => Error::Exists(place),
            Error::Log(_) | Error::Disk(_) | Error::Checkpoint(_) | Error::Memory(_) => {
                Error::At { place, source: Box::new(self) }
            }
            error => error,
        }
    }

    /// Its stable code.
    pub fn code(&self) -> Code {
        match self {
            Error::State(error) => state_code(error),
            Error::Log(error) => log_code(error),
            Error::Disk(error) => disk_code(error),
            Error::Memory(error) => memory_code(error),
            Error::Checkpoint(error) => checkpoint_code(error),
            Error::NoPageNamed(_) | Error::NoColumn { .. } => Code::PageNotFound,
            Error::Conflict(_) => Code::Conflict,
            Error::Closed(_) => Code::Closed,
            Error::ReadOnly(_) => Code::ReadOnly,
            Error::WrongTransaction(_) => Code::WrongTransaction,
            Error::Busy { .. } => Code::Busy,
            Error::Held { source, .. } => source.code(),
            Error::NoEpoch { .. } => Code::EpochNotFound,
            Error::Expired(..) => Code::SnapshotExpired,
            Error::Pruned { .. } | Error::PrunedTime { .. } | Error::Gone { .. } => Code::HistoryPruned,
            Error::NoBranch(_) => Code::BranchNotFound,
            Error::BranchExists(_) => Code::BranchExists,
            Error::Invalid(_) => Code::InvalidArgument,
            Error::Follows(_) | Error::HasFollowers { .. } => Code::Follows,
            Error::Cycle(_) => Code::Cycle,
            Error::Rule { error, .. } => rule_code(error),
            Error::NotFound(_) => Code::NotFound,
            Error::Exists(_) => Code::Exists,
            Error::NotABus { .. } => Code::NotABus,
            Error::Posted { .. } => Code::MemoryBudget,
            Error::At { source, .. } | Error::Post { source, .. } => source.code(),
        }
    }
}

fn rule_code(error: &FlowError) -> Code {
    match error {
        FlowError::State(error) => state_code(error),
        FlowError::Rule { source: RuleError::Unreadable(_), .. } => Code::CorruptLog,
        FlowError::Graph(GraphError::Unreadable(_)) => Code::CorruptLog,
        _ => Code::Rule,
    }
}

fn checkpoint_code(error: &CheckpointError) -> Code {
    match error {
        CheckpointError::Disk(error) => disk_code(error),
        CheckpointError::Damaged { .. } => Code::CorruptLog,
        CheckpointError::Nested | CheckpointError::Elsewhere { .. } => Code::Busy,
        CheckpointError::Unsupported { .. } => Code::UnsupportedFormat,
        CheckpointError::State(error) => state_code(error),
    }
}

fn state_code(error: &StateError) -> Code {
    match error {
        StateError::NoPage(_) => Code::PageNotFound,
        StateError::NameTaken { .. } | StateError::IdTaken(_) | StateError::NameCollision(_) => {
            Code::NameTaken
        }
        StateError::IdsExhausted(_) => Code::InvalidArgument,
        StateError::LongRule { .. } => Code::TooLarge,
        StateError::BadRecord(_) => Code::CorruptLog,
        StateError::Page { source, .. } => page_code(source),
        StateError::Plain(error) => page_code(error),
        StateError::Memory(error) => memory_code(error),
        StateError::Unread(error) => checkpoint_code(error),
    }
}

fn page_code(error: &PageError) -> Code {
    match error {
        PageError::UnsupportedDtype { .. } => Code::Dtype,
        PageError::UnsupportedOperator { .. } => Code::Dtype,
        PageError::BadSchema { .. } | PageError::PageTooLarge { .. } | PageError::DataLength { .. } => {
            Code::Shape
        }
        PageError::IndexOutOfRange { .. } | PageError::NoSuchColumn { .. } => Code::IndexOutOfRange,
        PageError::Malformed(_) | PageError::Codec(_) => Code::CorruptLog,
        _ => Code::InvalidArgument,
    }
}

fn memory_code(error: &MemoryError) -> Code {
    match error {
        MemoryError::Budget { .. } => Code::MemoryBudget,
        MemoryError::OutOfSpace { .. } => Code::DiskFull,
        _ => Code::Io,
    }
}

fn disk_code(error: &DiskError) -> Code {
    match error {
        DiskError::NotFound { .. } => Code::NotFound,
        DiskError::Permission { .. } | DiskError::ReadOnly { .. } => Code::Permission,
        DiskError::Full { .. } => Code::DiskFull,
        DiskError::Locked { .. } => Code::Locked,
        _ => Code::Io,
    }
}

fn log_code(error: &LogError) -> Code {
    match error {
        LogError::Disk(error) => disk_code(error),
        LogError::NotABus { .. } => Code::NotABus,
        LogError::UnsupportedFormat { .. } => Code::UnsupportedFormat,
        LogError::FrameTooLarge { .. } => Code::TooLarge,
        LogError::CommitUnknown { .. } => Code::CommitUnknown,
        LogError::Poisoned { .. } => Code::Poisoned,
        LogError::HistoryPruned { .. } => Code::HistoryPruned,
        LogError::NoSuchFrame { .. } => Code::EpochNotFound,
        LogError::Exists => Code::Exists,
        LogError::ReadOnly => Code::ReadOnly,
        LogError::Closed => Code::Closed,
        LogError::CheckpointName { .. } | LogError::OutOfOrder { .. } => Code::InvalidArgument,
        LogError::CorruptSuperblock | LogError::CorruptLog { .. } => Code::CorruptLog,
    }
}
