//! A bus as Python holds it: its pages by name, its states, its branches.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mmsb::base::ids::{Epoch, PageId, Seq};
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus as CoreBus;
use mmsb::bus::merge::three_way::OnConflict;
use mmsb::bus::options::Note;
use mmsb::bus::past::history::Filter;
use mmsb::bus::state::PageInfo;
use mmsb::memory::disk::Real;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::diff::Change;
use crate::error::{Fault, Outcome};
use crate::fork::Own;
use crate::given::epoch_of;
use crate::handle::Handle;
use crate::kept::Pages;
use crate::layout::{self, Given};
use crate::log::Log;
use crate::open::Opened;
use crate::page::Page;
use crate::progress::Told;
use crate::sheet::{Sheet, Source};
use crate::show::{legible, plural};
use crate::state::{Snapshot, names};
use crate::stats;
use crate::transaction::{Fate, Transaction, current, outside};

/// Name, epoch, and where it comes from: what `_branches` says of a branch.
type Described = (String, u64, Option<(String, u64)>);

/// A handle on one branch of a bus.
#[pyclass(frozen, subclass, weakref, module = "mmsb._core")]
pub struct Bus {
    pub handle: Arc<Handle>,
    pages: Arc<Pages>,
}

impl Bus {
    /// The id of the page of a name.
    pub fn find(&self, py: Python<'_>, name: &str) -> Outcome<Option<PageId>> {
        if let Some(tx) = current(py, &self.handle)? {
            return tx.get().with(|tx| tx.find(name));
        }
        Ok(self.handle.bus()?.state()?.find(name))
    }

    /// What there is to say of a page.
    pub fn info(&self, py: Python<'_>, id: PageId) -> Outcome<PageInfo> {
        if let Some(tx) = current(py, &self.handle)? {
            return tx.get().with(|tx| tx.info(id));
        }
        Ok(self.handle.bus()?.state()?.info(id)?)
    }

    /// Who keeps the objects of its pages.
    pub fn kept(&self) -> Arc<Pages> {
        Arc::clone(&self.pages)
    }

    /// The object of a page.
    pub fn page<'py>(&self, py: Python<'py>, id: PageId) -> Outcome<Bound<'py, Page>> {
        if let Some(page) = self.pages.get(py, id) {
            return Ok(page);
        }
        let info = self.info(py, id)?;
        let sheet = Sheet::new(py, Source::Live(Arc::clone(&self.handle)), info)?;
        let page = Bound::new(py, Page { sheet })?;
        Ok(self.pages.keep(id, page))
    }
}

fn note(source: Option<String>, intent: Option<String>) -> Note {
    Note { source, intent, durability: None }
}

#[pymethods]
impl Bus {
    #[new]
    fn new(handle: &Bound<'_, PyAny>) -> Outcome<Self> {
        let opened = handle.cast::<Opened>().map_err(|_| {
            let kind = handle.get_type().name().map_or_else(|_| "that".into(), |name| name.to_string());
            Fault::invalid(format!("a bus is opened by mmsb.open(path), it is not made of {kind}"))
        })?;
        Ok(Bus { handle: Arc::clone(&opened.get().handle), pages: Arc::default() })
    }

    /// Closes it and its branches. Views and snapshots stay as they are. The last handle of a bus with a path syncs what was
    /// committed; a failure of that is not told: call `sync` before where it matters.
    fn close(&self, py: Python<'_>) -> Outcome<()> {
        self.handle.long(py, |bus| {
            bus.close();
            Ok(())
        })?;
        for page in self.pages.take().values() {
            page.get().sheet.forget_arrays();
        }
        Ok(())
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.handle.for_show().is_closed()
    }

    /// Whether it only reads.
    #[getter]
    fn read_only(&self) -> bool {
        self.handle.for_show().is_read_only()
    }

    /// Whether it sees what is committed from now on, by this process or by the one that writes the bus.
    #[getter]
    fn follows(&self) -> bool {
        self.handle.for_show().follows()
    }

    /// Where it is: its path in quotes, or `in memory`.
    #[getter]
    fn place(&self) -> String {
        self.handle.for_show().place()
    }

    /// The name of its branch.
    #[getter]
    fn branch_name(&self) -> &str {
        self.handle.for_show().branch_name()
    }

    /// What its commits survive: `memory`, `process` or `disk`.
    #[getter]
    fn durability(&self) -> &'static str {
        self.handle.for_show().durability().as_str()
    }

    /// The epoch it stands at.
    #[getter]
    fn epoch(&self) -> Outcome<u64> {
        Ok(self.handle.bus()?.epoch()?.0)
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Outcome<Bound<'py, Page>> {
        let py = key.py();
        self.page(py, self.id_of(py, key)?)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> Outcome<bool> {
        match key.cast::<PyString>() {
            Ok(name) => match name.to_str() {
                Ok(name) => Ok(self.find(key.py(), name)?.is_some()),
                Err(_) => Ok(false),
            },
            Err(_) => match self.id_of(key.py(), key) {
                Ok(id) => Ok(self.info(key.py(), id).is_ok()),
                Err(_) => Ok(false),
            },
        }
    }

    fn __len__(&self, py: Python<'_>) -> Outcome<usize> {
        if let Some(tx) = current(py, &self.handle)? {
            return tx.get().with(|tx| Ok(tx.ids().len()));
        }
        Ok(self.handle.bus()?.state()?.len() as usize)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let found = match current(py, &self.handle)? {
            Some(tx) => {
                let names = tx.get().with(|tx| {
                    tx.ids().into_iter().map(|id| Ok(tx.info(id)?.name)).collect::<Result<Vec<_>, Error>>()
                })?;
                pyo3::types::PyList::new(py, names)?
            }
            None => names(py, &self.handle.bus()?.state()?)?,
        };
        Ok(found.try_iter()?.into_any())
    }

    /// A page to change: one of another branch is refused.
    fn _own<'py>(&self, key: &Bound<'py, PyAny>) -> Outcome<Bound<'py, Page>> {
        let py = key.py();
        self.page(py, self.own_id_of(py, key)?)
    }

    /// Makes a page of zeros. `columns` are (name, dtype, inner shape).
    fn _create<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        kind: &str,
        columns: Vec<Given<'py>>,
        rows: u64,
        op: Option<&str>,
    ) -> Outcome<Bound<'py, Page>> {
        let bus = self.handle.bus()?;
        let about = |fault: Fault| fault.about(&format!("page '{name}'"));
        let schema = layout::schema(bus, kind, columns, op).map_err(about)?;
        schema.page_bytes(rows).map_err(|wrong| about(wrong.into()))?;
        let id = match current(py, &self.handle)? {
            Some(tx) => {
                let id = tx.get().catch_up(py, 0, |tx| tx.create_page(name, schema, rows))?;
                tx.get().note(&self.pages, id, Fate::Made);
                id
            }
            None => {
                let note = Note::default();
                self.handle.call(py, 0, &note, |bus| bus.create_page(name, schema, rows, &note))?
            }
        };
        self.page(py, id)
    }

    /// Drops a page, given as itself, its name or its id. Views of it stay as they are.
    fn drop_page(&self, page: &Bound<'_, PyAny>) -> Outcome<()> {
        let py = page.py();
        let id = self.own_id_of(py, page)?;
        match current(py, &self.handle)? {
            Some(tx) => {
                tx.get().catch_up(py, 0, |tx| tx.drop_page(id))?;
                tx.get().note(&self.pages, id, Fate::Dropped);
            }
            None => {
                let note = Note::default();
                self.handle.call(py, 0, &note, |bus| bus.drop_page(id, &note))?;
                self.pages.forget(id);
            }
        }
        Ok(())
    }

    /// The present state, held for as long as you like, or as `pins` of `mmsb.open` lets it: `with bus.snapshot() as now:`.
    fn snapshot(&self) -> Outcome<Snapshot> {
        Ok(Snapshot::new(self.handle.bus()?.snapshot()?, &self.handle))
    }

    fn _at(&self, py: Python<'_>, epoch: &Bound<'_, PyAny>) -> Outcome<Snapshot> {
        let epoch = epoch_of(epoch)?;
        Ok(Snapshot::new(self.handle.long(py, |bus| bus.snapshot_at(epoch))?, &self.handle))
    }

    fn _at_time(&self, py: Python<'_>, time: u64) -> Outcome<Snapshot> {
        Ok(Snapshot::new(self.handle.long(py, |bus| bus.snapshot_at_time(time))?, &self.handle))
    }

    #[pyo3(signature = (source, intent, isolation, durability))]
    fn _transaction(
        &self,
        source: Option<String>,
        intent: Option<String>,
        isolation: &str,
        durability: Option<&str>,
    ) -> Outcome<Transaction> {
        Transaction::new(&self.handle, source, intent, isolation, durability)
    }

    /// The digest of the present state, as 64 hexadecimal digits: the same on every machine.
    ///
    /// `progress` is told the bytes of cells hashed so far: those that were not hashed before.
    #[pyo3(signature = (progress = None))]
    fn digest(&self, py: Python<'_>, progress: Option<Bound<'_, PyAny>>) -> Outcome<String> {
        let mut told = Told::checked(progress)?;
        // Whoever is told may fork.
        let state = Own::new(self.handle.bus()?.state()?);
        let digest = py.detach(|| state.get().digest_with(&mut |bytes| told.tell(bytes)))?;
        told.end()?;
        Ok(digest.to_string())
    }

    #[pyo3(signature = (name, at))]
    fn _branch(&self, py: Python<'_>, name: &str, at: Option<&Bound<'_, PyAny>>) -> Outcome<Opened> {
        outside(py, &self.handle)?;
        let at = at.map(epoch_of).transpose()?;
        Ok(Opened::branch(&self.handle, self.handle.long(py, |bus| bus.branch(name, at))?))
    }

    fn _checkout(&self, name: &str) -> Outcome<Opened> {
        Ok(Opened::branch(&self.handle, self.handle.bus()?.checkout(name)?))
    }

    /// Name, epoch, and where it comes from of every branch.
    fn _branches(&self) -> Outcome<Vec<Described>> {
        let branches = self.handle.bus()?.branches()?;
        let plain = branches
            .into_iter()
            .map(|branch| (branch.name, branch.epoch.0, branch.origin.map(|(name, epoch)| (name, epoch.0))));
        Ok(plain.collect())
    }

    /// Lets this branch go. Its history stays in the log.
    fn drop(&self, py: Python<'_>) -> Outcome<()> {
        outside(py, &self.handle)?;
        self.handle.long(py, CoreBus::drop_branch)
    }

    #[pyo3(signature = (other, on_conflict, source, intent, progress))]
    fn _merge(
        &self,
        py: Python<'_>,
        other: &Bus,
        on_conflict: &str,
        source: Option<String>,
        intent: Option<String>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> Outcome<Option<u64>> {
        outside(py, &self.handle)?;
        outside(py, &other.handle)?;
        let policy = match on_conflict {
            "raise" => OnConflict::Raise,
            "ours" => OnConflict::Ours,
            "theirs" => OnConflict::Theirs,
            other => {
                return Err(Fault::invalid(format!(
                    "on_conflict {other:?}: 'raise', 'ours' and 'theirs' are possible"
                )));
            }
        };
        let (other, note) = (other.handle.bus()?, note(source, intent));
        let mut told = Told::new(progress);
        let merge = |bus: &CoreBus| bus.merge_with(other, policy, &note, &mut |pages| told.tell(pages));
        let committed = self.handle.long(py, merge)?;
        told.end()?;
        Ok(committed.map(|committed| committed.epoch.0))
    }

    #[pyo3(signature = (to, source, intent, progress))]
    fn _revert(
        &self,
        py: Python<'_>,
        to: &Bound<'_, PyAny>,
        source: Option<String>,
        intent: Option<String>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> Outcome<Option<u64>> {
        outside(py, &self.handle)?;
        let (to, note) = (epoch_of(to)?, note(source, intent));
        let mut told = Told::new(progress);
        let committed =
            self.handle.long(py, |bus| bus.revert_with(to, &note, &mut |pages| told.tell(pages)))?;
        told.end()?;
        Ok(committed.map(|committed| committed.epoch.0))
    }

    #[pyo3(signature = (before, after, progress = None))]
    fn _diff(
        &self,
        py: Python<'_>,
        before: &Bound<'_, PyAny>,
        after: &Bound<'_, PyAny>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> Outcome<Vec<Change>> {
        let (before, after) = (self.state_of(py, before)?, self.state_of(py, after)?);
        let mut told = Told::new(progress);
        let (from, to) = (before.get(), after.get());
        let found = self.handle.long(py, |bus| bus.diff_with(from, to, &mut |pages| told.tell(pages)))?;
        told.end()?;
        found.into_iter().map(|page| Change::new(py, page, &before, &after)).collect()
    }

    #[pyo3(signature = (page, source, since, until, intent))]
    fn _log(
        &self,
        py: Python<'_>,
        page: Option<&Bound<'_, PyAny>>,
        source: Option<String>,
        since: Option<u64>,
        until: Option<u64>,
        intent: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<Log> {
        let page = page.map(|page| self.id_of(py, page)).transpose()?;
        let filter = Filter { page, source, since: since.map(Epoch), until: until.map(Epoch) };
        Log::new(&self.handle, filter, intent)
    }

    /// The newest frame, across all branches.
    fn _newest(&self) -> Outcome<u64> {
        Ok(self.handle.bus()?.newest().0)
    }

    /// Waits until a frame behind `seen` is there, or for as many seconds; the newest one.
    fn _wait(&self, py: Python<'_>, seen: u64, seconds: f64) -> Outcome<u64> {
        let timeout = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Ok(self.handle.long(py, |bus| bus.wait(Seq(seen), timeout))?.0)
    }

    /// Returns when everything committed so far survives a loss of power, and is missed if the disk loses it all the same.
    fn sync(&self, py: Python<'_>) -> Outcome<()> {
        self.handle.long(py, CoreBus::sync)
    }

    /// Makes a checkpoint: its frame, file, bytes written and bytes that earlier ones had written.
    fn _checkpoint(
        &self,
        py: Python<'_>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> Outcome<(u64, String, u64, u64)> {
        let mut told = Told::new(progress);
        let info = self.handle.long(py, |bus| bus.checkpoint(&mut |bytes| told.tell(bytes)))?;
        told.end()?;
        Ok((info.seq.0, info.path, info.bytes, info.reused))
    }

    /// Writes the present state to a new directory: its frame, root record, bytes written and reused.
    fn _export(
        &self,
        py: Python<'_>,
        path: PathBuf,
        progress: Option<Bound<'_, PyAny>>,
    ) -> Outcome<(u64, String, u64, u64)> {
        let mut told = Told::new(progress);
        let info = self.handle.long(py, |bus| bus.export(&path, &mut |bytes| told.tell(bytes)))?;
        told.end().inspect_err(|_| {
            // An exception means no copy. What cannot be removed is whole all the same.
            let _ = py.detach(|| Real::new(&path, false).discard());
        })?;
        Ok((info.seq.0, info.path, info.bytes, info.reused))
    }

    /// What the bus holds and has done, by name.
    fn stats<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        let found = self.handle.long(py, CoreBus::stats)?;
        Ok(stats::by_name(py, &found)?)
    }

    /// Keeps that many checkpoints and the history from the oldest of them on: checkpoints and segments removed, bytes
    /// given back, and the first epoch that can still be had.
    fn _prune(
        &self,
        py: Python<'_>,
        keep: usize,
        progress: Option<Bound<'_, PyAny>>,
    ) -> Outcome<(u64, u64, i64, u64)> {
        let mut told = Told::new(progress);
        let info = self.handle.long(py, |bus| bus.prune(keep, &mut |bytes| told.tell(bytes)))?;
        told.end()?;
        Ok((info.checkpoints, info.segments, info.bytes, info.first.0))
    }

    /// Name, epoch and digest of every branch, as a replay of the log comes to them.
    fn _replayed(&self, py: Python<'_>) -> Outcome<Vec<(String, u64, String)>> {
        let replayed = self.handle.long(py, |bus| bus.replay_digest(false))?;
        Ok(replayed
            .into_iter()
            .map(|found| (found.branch, found.epoch.0, found.digest.to_string()))
            .collect())
    }

    /// The name that a page has, or had.
    fn _name(&self, py: Python<'_>, page: u64) -> Outcome<Option<String>> {
        let described = self.handle.long(py, |bus| bus.described(PageId(page)))?;
        Ok(described.map(|(name, _)| name))
    }

    fn __repr__(&self) -> String {
        let bus = self.handle.for_show();
        let place = match bus.place().as_str() {
            "in memory" => "in memory".to_owned(),
            place => match place.trim_matches('\'').rsplit('/').next() {
                Some(name) => format!("'{name}'"),
                None => place.to_owned(),
            },
        };
        legible(&match self.handle.bus().and_then(|bus| Ok(bus.state()?)) {
            Ok(state) => {
                let (epoch, pages) = (state.epoch().0, plural(state.len(), "page"));
                let access = if bus.is_read_only() { ", read only" } else { "" };
                let (branch, survives) = (bus.branch_name(), bus.durability().as_str());
                format!(
                    "<Bus {place} branch {branch} at epoch {epoch}, {pages}, durability {survives}{access}>"
                )
            }
            Err(Fault::Face(Code::Forked, _)) => format!("<Bus {place} of a forked process>"),
            Err(_) => format!("<Bus {place} closed>"),
        })
    }
}
