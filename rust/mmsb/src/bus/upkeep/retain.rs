//! Retention: how much of its history a bus keeps. Nothing goes unless its user says so.

use std::collections::HashSet;

use crate::base::ids::Epoch;
use crate::bus::core::Core;
use crate::bus::error::Error;
use crate::bus::past::begin::{Wanted, first_epoch, kept, usable};
use crate::bus::past::replay::MAIN;
use crate::page::body;
use crate::page::checkpoint::record::Record;

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

/// Keeps the newest checkpoints, so many of them, and the history from the oldest of those on; or from an earlier one on,
/// where a branch that was forked since begins at a state from before. Without a checkpoint nothing goes.
pub(crate) fn prune(core: &Core, keep: usize, progress: &mut dyn FnMut(u64)) -> Result<PruneInfo, Error> {
    if keep == 0 {
        return Err(Error::Invalid("at least one checkpoint must be kept".into()));
    }
    core.checkpoints.outside()?;
    // Chunk files go, or what is in them moves.
    core.ready_all()?;
    let store = &core.checkpoints;
    let heads = kept(store, &core.log);
    let before = core.log.segments()?;
    let mut oldest = None;
    // Nobody forks off what is about to go.
    let mut writer = core.writer()?;
    for head in heads.iter().rev().skip(keep - 1) {
        let record = store.record(head.seq)?;
        if stands_alone(core, &record)? {
            // From now on nothing but this checkpoint knows what was before: it is read once more, whole.
            oldest = Some(record);
            break;
        }
    }
    let Some(oldest) = oldest else { return Ok(PruneInfo::default()) };
    drop(writer);
    store.check(&oldest, &mut HashSet::new(), progress)?;
    writer = core.writer()?;
    if !stands_alone(core, &oldest)? {
        return Ok(PruneInfo::default());
    }
    writer.log.prune_before(oldest.head.position)?;
    drop(writer);
    let start = core.log.start();
    let gone: Vec<_> =
        before.iter().filter(|segment| segment.end <= start && segment.start < start).collect();
    let pruned = store.prune(oldest.head.seq)?;
    let main = core.line(MAIN);
    let first = if start == 0 {
        Epoch(0)
    } else {
        main.map_or(Epoch(0), |line| first_epoch(store, &core.log, line.id, |_| None))
    };
    Ok(PruneInfo {
        checkpoints: pruned.checkpoints,
        segments: gone.len() as u64,
        bytes: pruned.bytes + gone.iter().map(|segment| segment.file_bytes as i64).sum::<i64>(),
        first,
    })
}

/// Whether the log behind a checkpoint can be replayed on it: whether every branch that was forked since begins at a
/// state that the checkpoint leads to. Call with the writer held.
fn stands_alone(core: &Core, record: &Record) -> Result<bool, Error> {
    for position in core.log.catalog_frames(record.head.position, u64::MAX)? {
        let frame = core.log.frame(position)?;
        for found in body::records(&frame.body) {
            if let body::Record::Fork { parent, at, .. } = found? {
                let origin = |id| core.line_of(id).and_then(|line| line.origin);
                let wanted = Wanted::new(parent, at, origin);
                if !wanted.stretches.is_empty() && usable(record, &wanted).is_none() {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
