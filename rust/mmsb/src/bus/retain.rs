//! Retention: how much of its history a bus keeps. Nothing goes unless its user says so.

use crate::base::ids::{Epoch, Seq};
use crate::bus::begin::first_epoch;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::replay::MAIN;

/// What pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneInfo {
    /// Checkpoints removed.
    pub checkpoints: u64,
    /// Segments of the log removed.
    pub segments: u64,
    /// Bytes of files given back, less those written anew.
    pub bytes: i64,
    /// The first epoch of the main branch whose state can still be had.
    pub first: Epoch,
}

/// Keeps the newest checkpoints, so many of them, and the history from the oldest of those on. Without a checkpoint
/// nothing goes.
pub(crate) fn prune(core: &Core, keep: usize) -> Result<PruneInfo, Error> {
    if keep == 0 {
        return Err(Error::Invalid("at least one checkpoint must be kept".into()));
    }
    let store = &core.checkpoints;
    let heads = store.heads();
    let first = heads.len().checked_sub(keep).map_or_else(|| heads.first(), |at| heads.get(at));
    let Some(oldest) = first else { return Ok(PruneInfo::default()) };
    // From now on nothing but this checkpoint knows what was before: it is read once more, whole.
    let record = store.record(oldest.seq)?;
    store.check(&record, &mut |_| {})?;
    let before = core.log.segments()?;
    {
        let mut writer = core.writer()?;
        writer.log.prune_before(oldest.position)?;
    }
    let start = core.log.start();
    let gone: Vec<_> =
        before.iter().filter(|segment| segment.end <= start && segment.start < start).collect();
    let pruned = store.prune(Seq(oldest.seq.0))?;
    let main = core.line(MAIN);
    let first = if start == 0 {
        Epoch(0)
    } else {
        main.map_or(Epoch(0), |line| first_epoch(store, line.id, |_| None))
    };
    Ok(PruneInfo {
        checkpoints: pruned.checkpoints,
        segments: gone.len() as u64,
        bytes: pruned.bytes + gone.iter().map(|segment| segment.file_bytes as i64).sum::<i64>(),
        first,
    })
}
