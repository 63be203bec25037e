//! Making frames durable: group commit with a leader, who looks out for clients that are about to come again, and followers.

use crate::memory::disk::DiskError;
use crate::page::log::error::LogError;
use crate::page::log::segment::Segment;
use crate::page::log::shared::{Shared, lock};
use crate::page::log::superblock::{CheckpointNote, name_fits};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Who syncs waits this part of what the last sync took for one more client.
const PATIENCE: u32 = 4;
/// And no longer than this for all of them, however long the last sync was held up.
const PATIENCE_MOST: Duration = Duration::from_millis(1);

/// Whose turn it is to sync, and who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    turn: Mutex<Turn>,
    /// Where clients of one sync wait, and those of the next, by turns: who is not covered is not woken.
    clients: [Condvar; 2],
    /// Where everybody else waits.
    others: Condvar,
    /// Clients that have come since the last sync began.
    coming: AtomicU64,
}

#[derive(Debug, Default)]
struct Turn {
    busy: bool,
    /// The number of the last sync begun.
    number: usize,
    /// What it covers.
    target: u64,
    /// How many clients it had, and how long it took.
    served: u64,
    took: Duration,
}

impl Turn {
    /// Whether the sync that is under way covers the position.
    fn covers(&self, position: u64) -> bool {
        self.busy && position <= self.target
    }
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

    /// As [`Syncer::sync_through`], for one of many clients, who come again once they are told. Whoever syncs first waits a
    /// moment for those that the last sync served, and calls `then` before he tells those that this one serves.
    ///
    /// May be called by no one who holds what `then` of another waits for.
    pub fn sync_together(&self, position: u64, then: impl FnOnce()) -> Result<(), LogError> {
        if self.shared.read_only {
            return Err(LogError::ReadOnly);
        }
        self.shared.sync_together(position, then)
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
        let (synced, disk) = (self.shared.synced(), &self.shared.disk);
        self.shared.write_superblock(|file| {
            file.write_both(|now| {
                // Another process may have made a newer one meanwhile, and have pruned this one.
                let newer = now.checkpoint.as_ref().filter(|noted| noted.seq > seq);
                if !newer.is_some_and(|noted| disk.exists(&noted.name)) {
                    now.checkpoint = Some(CheckpointNote { name: name.to_owned(), seq });
                }
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
        match self.take_turn(position, |_| &self.turns.others)? {
            Some(turn) => self.sync_in_turn(turn, position, most, || ()),
            None => Ok(()),
        }
    }

    /// As [`Syncer::sync_together`].
    fn sync_together(&self, position: u64, then: impl FnOnce()) -> Result<(), LogError> {
        self.turns.coming.fetch_add(1, Ordering::Relaxed);
        let place = |turn: &Turn| {
            // The sync after this one, where this one began too early.
            let late = turn.busy && !turn.covers(position);
            &self.turns.clients[(turn.number + usize::from(late)) % 2]
        };
        let Some(turn) = self.take_turn(position, place)? else { return Ok(()) };
        self.sync_in_turn(self.gather(turn), position, None, then)
    }

    /// Waits, where the turn says, until everything through `position` is durable, or until it is this one's turn to see to
    /// that, which is begun.
    fn take_turn<'s>(
        &'s self,
        position: u64,
        place: impl Fn(&Turn) -> &'s Condvar,
    ) -> Result<Option<MutexGuard<'s, Turn>>, LogError> {
        let mut turn = lock(&self.turns.turn);
        let mut woken_at: Option<&Condvar> = None;
        loop {
            if self.synced() >= position {
                // Who was to be woken to go on may be another that waited in the same place.
                if let Some(at) = woken_at.filter(|_| !turn.busy) {
                    at.notify_one();
                }
                return Ok(None);
            }
            if let Some(cause) = self.unsynced() {
                return Err(self.unknown(position, cause));
            }
            if !turn.busy {
                turn.busy = true;
                turn.number = turn.number.wrapping_add(1);
                turn.target = u64::MAX;
                return Ok(Some(turn));
            }
            let at = place(&turn);
            turn = at.wait(turn).unwrap_or_else(PoisonError::into_inner);
            woken_at = Some(at);
        }
    }

    /// Waits for the clients that the last sync served, as long as they keep coming: they have been told, and most of
    /// them come again. That spares each of them the sync that would be under way when it comes, and costs nothing where
    /// there is one client. Never takes longer than the last sync did, nor than [`PATIENCE_MOST`].
    fn gather<'s>(&'s self, turn: MutexGuard<'s, Turn>) -> MutexGuard<'s, Turn> {
        let (expected, took) = (turn.served, turn.took.min(PATIENCE_MOST));
        let mut seen = self.turns.coming.load(Ordering::Relaxed);
        if seen >= expected {
            return turn;
        }
        drop(turn);
        let begun = Instant::now();
        let mut last = begun;
        loop {
            thread::yield_now();
            let (coming, now) = (self.turns.coming.load(Ordering::Relaxed), Instant::now());
            if coming > seen {
                (seen, last) = (coming, now);
            }
            if seen >= expected || now - last > took / PATIENCE || now - begun > took {
                return lock(&self.turns.turn);
            }
        }
    }

    /// Syncs what there is by now, up to `most` if that is given, calls `then`, and tells those who wait.
    fn sync_in_turn(
        &self,
        mut turn: MutexGuard<'_, Turn>,
        position: u64,
        most: Option<u64>,
        then: impl FnOnce(),
    ) -> Result<(), LogError> {
        let target = most.unwrap_or(u64::MAX).min(self.head());
        turn.target = target;
        let number = turn.number;
        drop(turn);
        let served = self.turns.coming.swap(0, Ordering::Relaxed);
        let begun = Instant::now();
        let done = self.sync_files(target);
        let took = begun.elapsed();
        match &done {
            Ok(()) => {
                self.synced.fetch_max(target, Ordering::AcqRel);
            }
            Err(cause) => self.poison_unsynced(cause),
        }
        let mut turn = lock(&self.turns.turn);
        turn.busy = false;
        turn.took = took;
        // Who came while it was under way is expected at the next one, like those who are told now.
        turn.served = served + self.turns.coming.load(Ordering::Relaxed);
        drop(turn);
        // Who holds what `then` waits for is among the others.
        self.turns.others.notify_all();
        if let Err(cause) = done {
            self.turns.clients.iter().for_each(Condvar::notify_all);
            return Err(self.unknown(position, &cause));
        }
        // One to go on, who takes those with him that came too late for this one.
        self.turns.clients[number.wrapping_add(1) % 2].notify_one();
        then();
        self.turns.clients[number % 2].notify_all();
        // Nothing was appended there.
        if target < position { Err(LogError::NoSuchFrame { position, head: target }) } else { Ok(()) }
    }

    /// What is to be said of frames that a failed sync may have lost.
    fn unknown(&self, position: u64, cause: &DiskError) -> LogError {
        LogError::CommitUnknown { position, synced: self.synced(), cause: cause.clone() }
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
