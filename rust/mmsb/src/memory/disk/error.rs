//! What can go wrong with a file.

use std::sync::Arc;
use thiserror::Error;

/// Why an operation on a bus directory failed. Paths are relative to it.
#[derive(Clone, Debug, Error)]
pub enum DiskError {
    /// There is no such file.
    #[error("{}no such file", before(path))]
    NotFound {
        /// The file.
        path: String,
    },
    /// There is one already.
    #[error("{}exists already", before(path))]
    Exists {
        /// The file.
        path: String,
    },
    /// The file may not be read or changed by this user, or the directory was opened for reading only.
    #[error("{}permission denied to {op}", before(path))]
    Permission {
        /// The file.
        path: String,
        /// What was tried.
        op: &'static str,
    },
    /// The file system is mounted for reading only.
    #[error("{}permission denied to {op}: the file system is mounted read-only", before(path))]
    ReadOnly {
        /// The file.
        path: String,
        /// What was tried.
        op: &'static str,
    },
    /// No room left.
    #[error("{}disk full, {wanted} bytes wanted", before(path))]
    Full {
        /// The file.
        path: String,
        /// Bytes it was to have, or to have written.
        wanted: u64,
    },
    /// Somebody else holds the writer's lock.
    #[error("the bus is open for writing elsewhere{}", holder(*.by))]
    Locked {
        /// Their process, if known.
        by: Option<u32>,
    },
    /// Anything else that the system says.
    #[error("{}{op}: {source}", before(path))]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        op: &'static str,
        /// The system's reason.
        source: Arc<std::io::Error>,
    },
}

/// What stands in front of what is wrong with a file; nothing of the directory itself.
fn before(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

fn holder(by: Option<u32>) -> String {
    by.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

impl DiskError {
    /// The typed form of the system's error for `op` on `path`; `wanted` bytes were to be stored.
    #[must_use]
    pub fn of(source: std::io::Error, path: &str, op: &'static str, wanted: u64) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => Self::NotFound { path },
            ErrorKind::AlreadyExists => Self::Exists { path },
            ErrorKind::PermissionDenied => Self::Permission { path, op },
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, op },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path, wanted },
            _ => Self::Io { path, op, source: Arc::new(source) },
        }
    }

    /// Whether the reason is a lack of room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
