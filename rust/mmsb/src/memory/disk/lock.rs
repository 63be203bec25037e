//! What it is to have something of a disk, alone or with others.

use std::fmt::Debug;

use crate::memory::disk::error::DiskError;

/// A lock that is held until this is dropped or the process ends.
pub trait Lock: Send + Sync + Debug {
    /// Shares what was had alone. Others may have had it alone in between.
    fn share(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Where nobody else can come.
impl Lock for () {}
