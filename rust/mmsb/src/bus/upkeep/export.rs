//! Export: a bus of its own that holds the present state and none of the history.

use std::path::Path;
use std::sync::Arc;

use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::upkeep::checkpoint::{self, CheckpointInfo};
use crate::memory::disk::{Disk, Real};
use crate::page::checkpoint::store::Store;
use crate::page::log::{Log, LogConfig};

/// Writes the present state of all branches to a directory that is not there yet, nor after a failure.
pub(crate) fn to_path(
    core: &Core,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<CheckpointInfo, Error> {
    let real = Arc::new(Real::new(path, false));
    // Whoever makes the directory may discard it, and nobody else.
    real.make().map_err(|error| Error::from(error).at(path))?;
    let disk: Arc<dyn Disk> = Arc::clone(&real) as Arc<dyn Disk>;
    to_disk(core, &disk, progress).inspect_err(|_| {
        // Where not even that can be done, what is there is no bus.
        let _ = real.discard();
    })
}

/// Writes the present state to an empty disk. What makes it a bus, the superblock, comes last, so that what is there
/// after a failure is none.
pub(crate) fn to_disk(
    core: &Core,
    disk: &Arc<dyn Disk>,
    progress: &mut dyn FnMut(u64),
) -> Result<CheckpointInfo, Error> {
    core.ready_all()?;
    let (cut, pin) = checkpoint::cut(core, &*core.writer()?)?;
    let written = Store::open(disk)?.write(&core.arena, core.tables(), &cut, progress)?;
    drop(pin);
    let log = Log::create_at(Arc::clone(disk), LogConfig::default(), cut.position, cut.before)?;
    log.checkpointed(&written.name, written.seq.0)?;
    log.close()?;
    Ok(CheckpointInfo { seq: written.seq, path: written.name, bytes: written.bytes, reused: written.reused })
}
