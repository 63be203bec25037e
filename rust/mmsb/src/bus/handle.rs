//! A handle on one branch of a bus: what users of the crate hold.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{Epoch, PageId, Seq};
use crate::bus::branch;
use crate::bus::commit::{Change, Committed, Request, commit};
use crate::bus::core::Core;
use crate::bus::diff::{PageDiff, diff};
use crate::bus::door::Door;
use crate::bus::error::Error;
use crate::bus::holders::{self, PinInfo};
use crate::bus::line::{Line, Origin};
use crate::bus::merge::three_way::{self, OnConflict};
use crate::bus::options::{Manner, Mode, Note, Options};
use crate::bus::past::history::{self, Commit, Filter};
use crate::bus::past::rebuilt::{self, BranchDigest};
use crate::bus::state::State;
use crate::bus::stats::{self, Stats};
use crate::bus::transaction::{Isolation, Transaction};
use crate::bus::upkeep::audit;
use crate::bus::upkeep::checkpoint::{self, CheckpointInfo};
use crate::bus::upkeep::compact;
use crate::bus::upkeep::export;
use crate::bus::upkeep::retain::{self, PruneInfo};
use crate::memory::disk::Disk;
use crate::page::delta::Delta;
use crate::page::log::Durability;
use crate::page::operator::Operators;
use crate::page::schema::{self, Schema};
use crate::page::state_error::StateError;

/// A handle on one branch of a bus. Closing it closes the branches opened from it, and leaves views, snapshots and other
/// handles as they are; with the last one of this process the bus is free for others to write.
#[derive(Debug, Clone)]
pub struct Bus {
    core: Arc<Core>,
    line: Arc<Line>,
    read_only: bool,
    manner: Manner,
    door: Arc<Door>,
}

/// What `branches` says of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchInfo {
    /// Its name.
    pub name: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// The name of the branch it comes from and the epoch it started at.
    pub origin: Option<(String, Epoch)>,
}

impl Bus {
    /// A handle; an error where the last one before was closed.
    pub(crate) fn new(core: Arc<Core>, line: Arc<Line>, options: &Options) -> Result<Self, Error> {
        let door = Arc::new(Door::open(&core)?);
        let (read_only, manner) = (options.mode == Mode::Read, options.manner());
        Ok(Bus { core, line, read_only, manner, door })
    }

    /// A handle on another line, which is closed with this one.
    fn on(&self, line: Arc<Line>) -> Self {
        Bus { line, door: Arc::new(self.door.inner()), ..self.clone() }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn usable(&self) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Error::Closed(self.core.place()));
        }
        if self.line.is_dropped() {
            return Err(Error::NoBranch(self.line.name.clone()));
        }
        Ok(())
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    pub(crate) fn writable(&self) -> Result<(), Error> {
        self.usable()?;
        if self.read_only { Err(Error::ReadOnly(self.core.place())) } else { Ok(()) }
    }

    /// Closes the handle, every handle cloned from it, and the branches opened from these; not the handle that this one
    /// was branched or checked out from. The last one of all lets go of the writer's lock, once a checkpoint or pruning
    /// that somebody is at is through. Before that, what was committed to a bus with a path is synced as [`Bus::sync`]
    /// does, unless an earlier write failed; a failure is not told: who must know syncs first.
    pub fn close(&self) {
        self.door.close();
    }

    /// Whether the handle was closed, or one that it was opened from.
    pub fn is_closed(&self) -> bool {
        self.door.is_closed()
    }

    /// Whether the handle only reads.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it sees what is committed from now on: where this process writes the bus, and where another one does whose
    /// memory it shares. Otherwise it shows the bus as it was when it was opened, or when that process went.
    pub fn follows(&self) -> bool {
        self.core.follows || !self.core.read_only
    }

    /// The name of its branch.
    pub fn branch_name(&self) -> &str {
        &self.line.name
    }

    /// Whether both write the same branch of the same bus.
    pub fn is_same_branch(&self, other: &Bus) -> bool {
        Arc::ptr_eq(&self.line, &other.line)
    }

    /// Whether somebody is committing right now, cells are on disk still or users' functions may run, so that a commit may
    /// take long.
    pub fn is_busy(&self) -> bool {
        self.core.is_writing() || self.core.lazy.left() > 0 || self.core.has_functions()
    }

    /// Where the bus is: its path in quotes, or `in memory`.
    pub fn place(&self) -> String {
        self.core.place()
    }

    /// What a commit of this handle survives unless it asks for something else.
    pub fn durability(&self) -> Durability {
        self.manner.durability
    }

    /// The operators of merge deltas.
    pub fn operators(&self) -> &Operators {
        &self.core.operators
    }

    /// The published state.
    pub fn state(&self) -> Result<State, Error> {
        self.usable()?;
        State::live(&self.core, &self.line)
    }

    /// The epoch of the published state.
    pub fn epoch(&self) -> Result<Epoch, Error> {
        Ok(self.state()?.epoch())
    }

    /// The state the branch had at an epoch.
    pub fn at(&self, epoch: Epoch) -> Result<State, Error> {
        let now = self.come_to(epoch)?;
        if epoch == now.epoch() {
            return Ok(now);
        }
        three_way::state_at(&self.core, &self.line, epoch)
    }

    /// The published state, where the branch has come to an epoch.
    pub(crate) fn come_to(&self, epoch: Epoch) -> Result<State, Error> {
        let now = self.state()?;
        if epoch > now.epoch() {
            let branch = self.line.name.clone();
            return Err(Error::NoEpoch { branch, epoch, first: Epoch(0), last: now.epoch() });
        }
        Ok(now)
    }

    /// The state the branch had at a time, in UTC nanoseconds since 1970.
    pub fn at_time(&self, time: u64) -> Result<State, Error> {
        self.at(self.epoch_at(time)?)
    }

    /// The epoch the branch had at a time.
    pub(crate) fn epoch_at(&self, time: u64) -> Result<Epoch, Error> {
        history::epoch_at(&self.core, &self.line, self.epoch()?, time)
    }

    pub(crate) fn request<'r, 'd>(&'r self, changes: &'r [Change<'d>], note: &'r Note) -> Request<'r, 'd> {
        Request {
            line: &self.line,
            changes,
            source: note.source.as_deref(),
            intent: note.intent.as_deref(),
            durability: note.durability.unwrap_or(self.manner.durability),
            busy_timeout: self.manner.busy_timeout,
            base: None,
            restores: false,
            settles: None,
            declared: &[],
        }
    }

    /// Writes cells as an epoch of their own.
    pub fn write(&self, delta: Delta<'_>, note: &Note) -> Result<Committed, Error> {
        self.writable()?;
        commit(&self.core, self.request(&[Change::Write(delta)], note))
    }

    /// Commits changes of several pages as one epoch.
    pub fn commit(&self, changes: &[Change<'_>], note: &Note) -> Result<Committed, Error> {
        self.writable()?;
        commit(&self.core, self.request(changes, note))
    }

    /// Makes a page of zeros.
    pub fn create_page(&self, name: &str, schema: Schema, rows: u64, note: &Note) -> Result<PageId, Error> {
        self.writable()?;
        schema::check_name(name)?;
        schema.page_bytes(rows)?;
        let counter = self.line.next_counter()?;
        let page = PageId(u64::from(self.line.id.0) << 32 | u64::from(counter));
        let change = Change::Create { page, name: name.into(), schema, rows };
        commit(&self.core, self.request(&[change], note))?;
        Ok(page)
    }

    /// Drops a page.
    pub fn drop_page(&self, page: PageId, note: &Note) -> Result<Committed, Error> {
        self.commit(&[Change::Drop(page)], note)
    }

    /// Gives a page another number of rows; new ones are zeros. `None` where it has so many.
    pub fn resize(&self, page: PageId, rows: u64, note: &Note) -> Result<Option<Committed>, Error> {
        self.writable()?;
        if self.state()?.version(page)?.1 == rows {
            return Ok(None);
        }
        self.commit(&[Change::Resize(page, rows)], note).map(Some)
    }

    /// Begins a transaction.
    pub fn begin(&self, isolation: Isolation, note: Note) -> Result<Transaction, Error> {
        self.writable()?;
        Transaction::begin(&self.core, &self.line, self.manner, isolation, note)
    }

    /// Forks a branch off this one, by default at its head.
    pub fn branch(&self, name: &str, at: Option<Epoch>) -> Result<Bus, Error> {
        self.writable()?;
        let line = branch::fork(&self.core, &self.line, self.manner, name, at)?;
        Ok(self.on(line))
    }

    /// A handle on another branch of the same bus, closed with this one.
    pub fn checkout(&self, name: &str) -> Result<Bus, Error> {
        self.usable()?;
        let line = self.core.line(name).ok_or_else(|| Error::NoBranch(name.into()))?;
        Ok(self.on(line))
    }

    /// The branches there are, by name.
    pub fn branches(&self) -> Result<Vec<BranchInfo>, Error> {
        self.usable()?;
        let name_of = |origin: Origin| {
            let parent = self.core.line_of(origin.parent);
            (parent.map_or_else(|| origin.parent.to_string(), |line| line.name.clone()), origin.epoch)
        };
        let mut infos = Vec::new();
        for line in self.core.living() {
            let epoch = match State::live(&self.core, &line) {
                Ok(state) => state.epoch(),
                // Dropped since the names were read.
                Err(Error::NoBranch(_)) => continue,
                Err(error) => return Err(error),
            };
            infos.push(BranchInfo { name: line.name.clone(), epoch, origin: line.origin.map(name_of) });
        }
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(infos)
    }

    /// Lets this branch go.
    pub fn drop_branch(&self) -> Result<(), Error> {
        self.writable()?;
        branch::drop_branch(&self.core, &self.line, self.manner)
    }

    /// Merges what another branch changed into this one; `None` where there was nothing to take or to settle. Cells that
    /// both sides changed by merges with their page's operator alone get those of the other side too, one by one, as far
    /// as their history is kept; others that both changed conflict.
    pub fn merge(&self, other: &Bus, policy: OnConflict, note: &Note) -> Result<Option<Committed>, Error> {
        self.merge_with(other, policy, note, &mut |_| {})
    }

    /// [`Bus::merge`], where `progress` is told the pages looked at so far.
    pub fn merge_with(
        &self,
        other: &Bus,
        policy: OnConflict,
        note: &Note,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<Committed>, Error> {
        self.writable()?;
        other.usable()?;
        if !Arc::ptr_eq(&self.core, &other.core) {
            let (ours, theirs) = (self.place(), other.place());
            return Err(Error::Invalid(format!(
                "cannot merge a branch of the bus {theirs} into the bus {ours}"
            )));
        }
        three_way::merge(
            &self.core,
            [&self.line, &other.line],
            self.manner,
            policy,
            note,
            &mut counted(progress),
        )
    }

    /// Brings back the state of an epoch, as a new epoch; `None` where it is the present one.
    ///
    /// # Errors
    /// An epoch that there is not, or that is not kept; [`Error::Conflict`] where others commit all the time meanwhile.
    pub fn revert(&self, to: Epoch, note: &Note) -> Result<Option<Committed>, Error> {
        self.revert_with(to, note, &mut |_| {})
    }

    /// [`Bus::revert`], where `progress` is told the pages looked at so far.
    pub fn revert_with(
        &self,
        to: Epoch,
        note: &Note,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<Committed>, Error> {
        self.writable()?;
        self.at(to)?;
        three_way::revert(&self.core, &self.line, self.manner, to, note, &mut counted(progress))
    }

    /// What differs between two states of this bus.
    pub fn diff(&self, before: &State, after: &State) -> Result<Vec<PageDiff>, Error> {
        self.diff_with(before, after, &mut |_| {})
    }

    /// [`Bus::diff`], where `progress` is told the pages compared so far.
    pub fn diff_with(
        &self,
        before: &State,
        after: &State,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<PageDiff>, Error> {
        self.usable()?;
        diff(before, after, &mut counted(progress))
    }

    /// Calls `visit` with the commits that lead to the present and pass the filter, oldest first, until it says false.
    pub fn log(&self, filter: &Filter, mut visit: impl FnMut(Commit) -> bool) -> Result<(), Error> {
        let epoch = self.epoch()?;
        for commit in history::commits(&self.core, &self.line, epoch, filter) {
            if !visit(commit?) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A page's name and columns, also of one that was dropped; `None` where what is kept of history does not know it.
    pub fn described(&self, page: PageId) -> Result<Option<(String, Arc<Schema>)>, Error> {
        match self.state()?.info(page) {
            Ok(info) => Ok(Some((info.name, info.schema))),
            Err(Error::State(StateError::NoPage(_))) => history::described(&self.core, page),
            Err(error) => Err(error),
        }
    }

    /// Waits until something behind `seen` is committed anywhere in the bus, or for as long as given; the newest frame.
    pub fn wait(&self, seen: Seq, timeout: Duration) -> Result<Seq, Error> {
        self.usable()?;
        Ok(Seq(self.core.watch.wait(seen.0, timeout)))
    }

    /// The newest frame that readers see.
    pub fn newest(&self) -> Seq {
        Seq(self.core.watch.newest())
    }

    /// Waits until everything committed so far survives a loss of power, and is missed if the disk loses it all the same.
    pub fn sync(&self) -> Result<(), Error> {
        self.writable()?;
        let through = self.core.writer_within(self.manner.busy_timeout)?.log.head();
        Ok(self.core.syncer.sync_and_note(through)?)
    }

    /// Makes a checkpoint of all branches, so that opening need not replay what came before; commits go on meanwhile.
    /// `progress` is told the bytes written so far. It may use the bus, but for other checkpoints and pruning, which are
    /// refused as `Busy`.
    pub fn checkpoint(&self, progress: &mut dyn FnMut(u64)) -> Result<CheckpointInfo, Error> {
        self.writable()?;
        let _open = Door::open(&self.core)?;
        checkpoint::make(&self.core, progress)
    }

    /// Keeps the newest checkpoints, so many of them (at least 1), and the history from the oldest of those on; earlier
    /// states are gone for good. Without a checkpoint nothing goes. `progress` is told the bytes read so far of the oldest
    /// one kept, from which everything can be had then.
    pub fn prune(&self, keep: usize, progress: &mut dyn FnMut(u64)) -> Result<PruneInfo, Error> {
        self.writable()?;
        let _open = Door::open(&self.core)?;
        retain::prune(&self.core, keep, progress)
    }

    /// Makes a checkpoint and lets all history before it go. `progress` is told the bytes written, then those read.
    pub fn squash(&self, progress: &mut dyn FnMut(u64)) -> Result<PruneInfo, Error> {
        self.writable()?;
        self.core.checkpoints.outside()?;
        // History goes by whole segments.
        self.core.writer()?.log.go_on()?;
        self.checkpoint(progress)?;
        self.prune(1, progress)
    }

    /// Writes the present state of all branches to a directory that is not there yet: a bus of its own, with the same
    /// names, ids and epochs, and without the history. `progress` is told the bytes written so far. After an error there is
    /// nothing.
    pub fn export(
        &self,
        path: impl AsRef<Path>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<CheckpointInfo, Error> {
        self.usable()?;
        export::to_path(self.own_copy()?.core(), path.as_ref(), progress)
    }

    /// As [`Bus::export`], to an empty disk of any kind.
    pub fn export_to(
        &self,
        disk: &Arc<dyn Disk>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<CheckpointInfo, Error> {
        self.usable()?;
        export::to_disk(self.own_copy()?.core(), disk, progress)
    }

    /// The digests of all branches, made once more from the files: from the start of the log where `from_zero` says so,
    /// else from the newest checkpoint. Both are what the branches have.
    pub fn replay_digest(&self, from_zero: bool) -> Result<Vec<BranchDigest>, Error> {
        self.usable()?;
        rebuilt::digests(&self.core, from_zero)
    }

    /// What the bus holds and has done.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.usable()?;
        stats::stats(&self.core)
    }

    /// Whether the counts of every block in memory are true. For tests.
    #[doc(hidden)]
    pub fn audit(&self) -> Result<(), Error> {
        audit::audit(&self.core)
    }

    /// Bytes of small blocks of this process that nothing reaches, with nothing pinned. For tests.
    #[doc(hidden)]
    pub fn leaked(&self) -> Result<i64, Error> {
        audit::leaked(&self.core)
    }

    /// Copies what lies scattered of a page, as the background does unasked, for the next commits to it; whether there was
    /// something to do. For tests.
    #[doc(hidden)]
    pub fn compact(&self, page: PageId) -> Result<bool, Error> {
        Ok(compact::prepare(&self.core, &self.line, page, &mut |_| true)?.is_some())
    }

    /// Who holds which versions.
    pub fn pins(&self) -> Result<Vec<PinInfo>, Error> {
        self.usable()?;
        holders::pins(&self.core)
    }
}

/// Something to call after each, which tells how many there were.
fn counted(progress: &mut dyn FnMut(u64)) -> impl FnMut() {
    let mut done = 0;
    move || {
        done += 1;
        progress(done);
    }
}
