//! The log as an iterator of commits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::past::history::{Commit, Filter, Touch, TouchKind};
use mmsb::page::schema::Schema;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::Outcome;
use crate::handle::Handle;
use crate::python;
use crate::show;

/// Commits fetched at first, and at most, with one look into the log. Each look starts further on, and they grow, so that
/// reading to the end costs little more than one look, and reading the first one costs little.
const FETCH_FIRST: usize = 64;
const FETCH_MOST: usize = 1 << 16;

/// Commits, oldest first.
#[pyclass(frozen, module = "mmsb._core")]
pub struct Log {
    handle: Arc<Handle>,
    /// Called with an intent as JSON, or nothing: whether such commits are wanted. All are where it is absent.
    wanted: Option<Py<PyAny>>,
    cursor: Mutex<Cursor>,
}

struct Cursor {
    filter: Filter,
    fetched: VecDeque<Commit>,
    fetch: usize,
    done: bool,
}

impl Log {
    /// The commits that pass a filter and have an intent like `intent`.
    pub fn new(handle: &Arc<Handle>, filter: Filter, intent: Option<&Bound<'_, PyAny>>) -> Outcome<Self> {
        // What is committed while somebody reads is not part of it, so that reading ends.
        let until = Some(filter.until.unwrap_or(Epoch(u64::MAX)).min(handle.bus()?.epoch()?));
        let filter = Filter { until, ..filter };
        let wanted = intent.filter(|intent| !intent.is_none()).map(|intent| {
            intent.py().import(intern!(intent.py(), "mmsb.given"))?.call_method1("intended", (intent,))
        });
        let wanted = wanted.transpose()?.map(Bound::unbind);
        let cursor = Cursor { filter, fetched: VecDeque::new(), fetch: FETCH_FIRST, done: false };
        Ok(Log { handle: Arc::clone(handle), wanted, cursor: Mutex::new(cursor) })
    }

    fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, commit: Commit) -> Entry {
        Entry { commit, handle: Arc::clone(&self.handle) }
    }

    /// Has the next commits at hand, where there are any.
    fn fetch(&self, py: Python<'_>) -> Outcome<()> {
        loop {
            let (filter, fetch) = {
                let cursor = self.cursor();
                if cursor.done || !cursor.fetched.is_empty() {
                    return Ok(());
                }
                (cursor.filter.clone(), cursor.fetch)
            };
            let mut found = self.handle.long(py, |bus| {
                let mut found = VecDeque::new();
                bus.log(&filter, |commit| {
                    found.push_back(commit);
                    found.len() < fetch
                })?;
                Ok(found)
            })?;
            let (last, done) = (found.back().map(|last| Epoch(last.epoch.0 + 1)), found.len() < fetch);
            self.keep_wanted(py, &mut found)?;
            let mut cursor = self.cursor();
            cursor.done = done;
            cursor.fetch = (fetch * 4).min(FETCH_MOST);
            cursor.filter.since = last.or(filter.since);
            cursor.fetched = found;
        }
    }

    /// Lets commits go whose intent is not the one that was asked for.
    fn keep_wanted(&self, py: Python<'_>, found: &mut VecDeque<Commit>) -> Outcome<()> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        let mut kept = VecDeque::new();
        for commit in found.drain(..) {
            if wanted.call1(py, (commit.intent.as_deref(),))?.is_truthy(py)? {
                kept.push_back(commit);
            }
        }
        *found = kept;
        Ok(())
    }
}

#[pymethods]
impl Log {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Outcome<Option<Entry>> {
        self.fetch(py)?;
        Ok(self.cursor().fetched.pop_front().map(|commit| self.entry(commit)))
    }

    /// The next ones, as far as they are at hand, without taking them.
    fn _peek(&self, py: Python<'_>, count: usize) -> Outcome<Vec<Entry>> {
        self.fetch(py)?;
        let next: Vec<Commit> = self.cursor().fetched.iter().take(count).cloned().collect();
        Ok(next.into_iter().map(|commit| self.entry(commit)).collect())
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "log")
    }

    fn __repr__(&self) -> String {
        show::legible(&format!("<Log of branch {}>", self.handle.for_show().branch_name()))
    }
}

/// A commit as the log remembers it.
#[pyclass(frozen, module = "mmsb._core", name = "LogEntry")]
pub struct Entry {
    commit: Commit,
    handle: Arc<Handle>,
}

impl Entry {
    /// The name and the columns of a page, if the bus is open and knows them.
    fn described(&self, page: PageId) -> Option<(String, Arc<Schema>)> {
        self.handle.bus().ok()?.described(page).ok()?
    }

    fn name(&self, page: PageId) -> String {
        self.described(page).map_or_else(|| page.to_string(), |(name, _)| name)
    }

    fn what(touch: &Touch) -> String {
        match touch.what {
            TouchKind::Wrote(op) if op.is_assign() => "assign".into(),
            TouchKind::Wrote(op) => show::operator(op),
            TouchKind::Created => "create".into(),
            TouchKind::Dropped => "drop".into(),
            TouchKind::Resized(_) => "resize".into(),
            TouchKind::Ruled => "rule".into(),
        }
    }
}

#[pymethods]
impl Entry {
    /// The epoch it made.
    #[getter]
    fn epoch(&self) -> u64 {
        self.commit.epoch.0
    }

    /// The number of its frame, across all branches.
    #[getter]
    fn seq(&self) -> u64 {
        self.commit.seq.0
    }

    /// The branch it was made on.
    #[getter]
    fn branch(&self) -> &str {
        &self.commit.branch
    }

    /// When, in nanoseconds since 1970 (UTC).
    #[getter]
    fn time_ns(&self) -> u64 {
        self.commit.time
    }

    /// When, as a datetime of UTC.
    #[getter]
    fn time<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let module = py.import("datetime")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        let start = module.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc))?;
        let kwargs = PyDict::new(py);
        kwargs.set_item("microseconds", self.commit.time / 1000)?;
        start.add(module.getattr("timedelta")?.call((), Some(&kwargs))?)
    }

    /// Who wrote it.
    #[getter]
    fn source(&self) -> Option<&str> {
        self.commit.source.as_deref()
    }

    /// Why.
    #[getter]
    fn intent<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(intent) = &self.commit.intent else { return Ok(None) };
        py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (intent,)).map(Some)
    }

    /// What it was made to survive: `memory`, `process` or `disk`.
    #[getter]
    fn durability(&self) -> &'static str {
        self.commit.durability.as_str()
    }

    /// Bytes it takes in the log.
    #[getter]
    fn bytes(&self) -> u64 {
        self.commit.bytes
    }

    /// Where in the log it starts.
    #[getter]
    fn position(&self) -> u64 {
        self.commit.position
    }

    /// What it did, in order: dicts of page, op, columns and bytes.
    #[getter]
    fn deltas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for touch in &self.commit.touches {
            let (name, schema) = self.described(touch.page).unzip();
            let column = |&at: &u16| {
                let column = schema.as_ref().and_then(|schema| schema.column(at).ok());
                column.map_or_else(|| at.to_string(), |column| column.name().into())
            };
            let columns: Vec<String> = touch.columns.iter().map(column).collect();
            let delta = PyDict::new(py);
            delta.set_item(intern!(py, "page"), name.unwrap_or_else(|| touch.page.to_string()))?;
            delta.set_item(intern!(py, "id"), touch.page.0)?;
            delta.set_item(intern!(py, "op"), Entry::what(touch))?;
            delta.set_item(intern!(py, "columns"), columns)?;
            delta.set_item(intern!(py, "bytes"), touch.bytes)?;
            list.append(delta)?;
        }
        Ok(list)
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "entry")
    }

    fn __repr__(&self) -> String {
        let mut line = format!("<LogEntry epoch {} on {}", self.commit.epoch.0, self.commit.branch);
        if let Some(source) = &self.commit.source {
            line += &format!(" by {source}");
        }
        let touched: Vec<String> = self
            .commit
            .touches
            .iter()
            .take(4)
            .map(|touch| format!("{} '{}'", Entry::what(touch), self.name(touch.page)))
            .collect();
        line += &format!(": {}", touched.join(", "));
        if self.commit.touches.len() > 4 {
            line += &format!(" and {} more", self.commit.touches.len() - 4);
        }
        show::legible(&format!("{line}, {}>", show::bytes(self.commit.bytes)))
    }
}
