//! Making frames durable: group commit with a leader and followers, and no timer.

use crate::memory::disk::DiskError;
use crate::page::log::error::LogError;
use crate::page::log::segment::Segment;
use crate::page::log::shared::{Shared, lock};
use crate::page::log::superblock::{CheckpointNote, name_fits};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Whether somebody is syncing.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    busy: bool,
}

/// Makes the log durable up to a position. Whoever comes while nobody syncs does it for all that was appended by then;
/// who comes meanwhile waits, and one of those who are not covered goes next.
#[derive(Clone, Debug)]
pub struct Syncer {
    shared: Arc<Shared>,
}

impl Syncer {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns when every frame that ends at or before `position` is durable. No lock that anybody else needs is held
    /// during the sync.
    ///
    /// Fails with [`LogError::CommitUnknown`] if that is not known, now or since an earlier failure.
    pub fn sync_through(&self, position: u64) -> Result<(), LogError> {
        if self.shared.read_only {
            return Err(LogError::ReadOnly);
        }
        self.shared.sync_through(position, None)
    }

    /// As [`Syncer::sync_through`], and has the superblock say so: from then on damage before the position is known for
    /// what it is, and never taken for a write that did not come to its end.
    pub fn sync_and_note(&self, position: u64) -> Result<(), LogError> {
        self.sync_through(position)?;
        self.shared.note_synced()
    }

    /// As [`crate::page::log::Log::checkpointed`], without the writer.
    pub fn checkpointed(&self, name: &str, seq: u64) -> Result<(), LogError> {
        self.shared.may_write()?;
        if !name_fits(name) {
            return Err(LogError::CheckpointName { length: name.len() });
        }
        let synced = self.shared.synced();
        self.shared.write_superblock(|file| {
            file.write_both(|now| {
                now.checkpoint = Some(CheckpointNote { name: name.to_owned(), seq });
                now.synced = now.synced.max(synced);
            })
        })
    }

    /// Position up to which everything is durable.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.shared.synced()
    }

    /// Syncs of segment files so far: fewer than commits when commits share them.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        self.shared.fsyncs.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Has the superblock say up to where everything is durable.
    pub(crate) fn note_synced(&self) -> Result<(), LogError> {
        let synced = self.synced();
        self.write_superblock(|file| {
            if file.now().synced < synced { file.write(|now| now.synced = synced) } else { Ok(()) }
        })
    }

    /// Makes everything durable that was appended, and the superblock say so.
    pub(crate) fn sync_all(&self) -> Result<(), LogError> {
        self.tidy()?;
        self.sync_through(self.head(), None)?;
        self.note_synced()
    }

    /// As [`Syncer::sync_through`]; syncs no more than up to `most` if that is given.
    pub(crate) fn sync_through(&self, position: u64, most: Option<u64>) -> Result<(), LogError> {
        loop {
            let mut turn = lock(&self.turn);
            loop {
                if self.synced() >= position {
                    return Ok(());
                }
                if let Some(poison) = self.poison().filter(|poison| poison.sync) {
                    let (synced, cause) = (self.synced(), poison.cause.clone());
                    return Err(LogError::CommitUnknown { position, synced, cause });
                }
                if !turn.busy {
                    break;
                }
                turn = self.turned.wait(turn).unwrap_or_else(PoisonError::into_inner);
            }
            turn.busy = true;
            drop(turn);
            let target = most.unwrap_or(u64::MAX).min(self.head());
            let done = self.sync_files(target);
            match &done {
                Ok(()) => {
                    self.synced.fetch_max(target, Ordering::AcqRel);
                }
                Err(cause) => self.poison_with(cause, true),
            }
            lock(&self.turn).busy = false;
            self.turned.notify_all();
            if done.is_ok() && target < position {
                // Nothing was appended there.
                return Err(LogError::NoSuchFrame { position, head: target });
            }
        }
    }

    /// Syncs the segments that hold frames between `synced` and `target`, oldest first: `synced` of a later frame may
    /// never pass an unsynced byte of an earlier one.
    fn sync_files(&self, target: u64) -> Result<(), DiskError> {
        let from = self.synced();
        for segment in self.segments().iter() {
            if segment.header.start >= target || segment.end().is_some_and(|end| end <= from) {
                continue;
            }
            self.sync_segment(segment)?;
        }
        Ok(())
    }

    /// Syncs one segment's file and, if no more will be written to it, lets go of it.
    pub(crate) fn sync_segment(&self, segment: &Segment) -> Result<(), DiskError> {
        // Whether it was sealed is asked before the sync: a footer written meanwhile is not covered by it.
        let sealed = segment.end().is_some();
        let Some(file) = segment.file().clone() else { return Ok(()) };
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        file.sync_data()?;
        if sealed {
            *segment.file() = None;
        }
        Ok(())
    }
}
