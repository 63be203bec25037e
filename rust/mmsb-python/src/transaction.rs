//! Transactions: what is written inside the block becomes one epoch, or nothing.
//!
//! A transaction belongs to the thread and the asyncio task that entered it. A context variable names the innermost one;
//! it is asked only while some transaction is open anywhere.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

use mmsb::base::ids::PageId;
use mmsb::bus::error::{Code, Error};
use mmsb::bus::options::Note;
use mmsb::bus::transaction::{Isolation, Transaction as CoreTransaction};
use mmsb::page::log::Durability;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::column::Column;
use crate::error::{Fault, Outcome};
use crate::fork::Own;
use crate::handle::{Handle, LONG};
use crate::kept::Pages;
use crate::page::Page;
use crate::python;
use crate::show::legible;
use crate::wait;

/// Transactions open in this process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

fn variable(py: Python<'_>) -> PyResult<&'static Py<PyAny>> {
    static INNERMOST: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    INNERMOST.get_or_try_init(py, || {
        let class = py.import("contextvars")?.getattr("ContextVar")?;
        let none = [("default", py.None())];
        Ok(class
            .call(("mmsb_transaction",), Some(&pyo3::types::IntoPyDict::into_py_dict(none, py)?))?
            .unbind())
    })
}

/// The asyncio task that runs, where one does.
fn task(py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
    static ASYNCIO: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let (running, current) = match ASYNCIO.get(py) {
        Some(functions) => functions,
        None => {
            let modules = py.import("sys")?.getattr("modules")?;
            let Ok(asyncio) = modules.get_item("asyncio.tasks") else { return Ok(None) };
            let events = modules.get_item("asyncio.events")?;
            let found =
                (events.getattr("_get_running_loop")?.unbind(), asyncio.getattr("current_task")?.unbind());
            ASYNCIO.get_or_init(py, || found)
        }
    };
    let running = running.bind(py).call0()?;
    if running.is_none() {
        return Ok(None);
    }
    let task = current.bind(py).call1((running,))?;
    Ok((!task.is_none()).then(|| task.unbind()))
}

/// Whether any transaction is open in this process.
pub fn any_open() -> bool {
    OPEN.load(Ordering::Relaxed) > 0
}

/// The open transaction of this thread and task on the handle's branch.
pub fn current<'py>(py: Python<'py>, handle: &Handle) -> Outcome<Option<Bound<'py, Transaction>>> {
    if !any_open() {
        return Ok(None);
    }
    find(py, handle)
}

/// Fails where this thread and task have a transaction open on the handle's branch: for what would not be a part of it.
pub fn outside(py: Python<'_>, handle: &Handle) -> Outcome<()> {
    match current(py, handle)? {
        Some(_) => Err(wrong(
            "a transaction is open on this branch: branch, merge, revert and drop are not a part of one, call them outside",
        )),
        None => Ok(()),
    }
}

/// A serializable transaction for a page or column; none where this thread and task have one open on its branch, which what
/// is done then is a part of.
#[pyfunction]
pub fn _transaction_of(py: Python<'_>, of: &Bound<'_, PyAny>) -> Outcome<Option<Transaction>> {
    let handle = match (of.cast::<Page>(), of.cast::<Column>()) {
        (Ok(page), _) => page.get().sheet.live()?,
        (_, Ok(column)) => column.get().sheet.live()?,
        _ => return Err(Fault::invalid(format!("{of}: a page, or a column of one, is wanted"))),
    };
    match current(py, handle)? {
        Some(_) => Ok(None),
        None => Transaction::new(handle, None, None, "serializable", None).map(Some),
    }
}

fn find<'py>(py: Python<'py>, handle: &Handle) -> Outcome<Option<Bound<'py, Transaction>>> {
    let mut next = variable(py)?.bind(py).call_method0(intern!(py, "get"))?;
    let bus = handle.bus()?;
    while let Ok(found) = next.cast::<Transaction>().cloned() {
        let tx = found.get();
        if tx.is_open() && tx.handle.for_show().is_same_branch(bus) {
            tx.check_owner(py)?;
            return Ok(Some(found));
        }
        let outer =
            tx.entry().as_ref().and_then(|entry| entry.outer.as_ref().map(|outer| outer.clone_ref(py)));
        match outer {
            Some(outer) => next = outer.into_bound(py).into_any(),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// What entering a transaction left behind.
struct Entry {
    thread: ThreadId,
    task: Option<Py<PyAny>>,
    /// The transaction around it.
    outer: Option<Py<Transaction>>,
    /// The transaction it is a part of, when it is nested in one of the same branch.
    joined: Option<Py<Transaction>>,
}

/// What becomes of a page if a transaction succeeds.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It comes to be.
    Made,
    /// It goes.
    Dropped,
}

/// A transaction: a context manager whose writes become one epoch, or nothing.
#[pyclass(frozen, module = "mmsb._core")]
pub struct Transaction {
    handle: Arc<Handle>,
    note: Note,
    isolation: Isolation,
    core: Mutex<Option<Own<CoreTransaction>>>,
    entry: Mutex<Option<Entry>>,
    entered: AtomicBool,
    open: AtomicBool,
    /// An inner one failed, so that the whole cannot succeed any more.
    doomed: AtomicBool,
    epoch: OnceLock<u64>,
    changed: AtomicBool,
    /// Pages it made and dropped, and who keeps their objects.
    fates: Mutex<Vec<(Arc<Pages>, PageId, Fate)>>,
}

fn wrong(message: &'static str) -> Fault {
    Fault::Core(Error::WrongTransaction(message))
}

impl Transaction {
    pub fn new(
        handle: &Arc<Handle>,
        source: Option<String>,
        intent: Option<String>,
        isolation: &str,
        durability: Option<&str>,
    ) -> Outcome<Self> {
        let isolation = match isolation {
            "snapshot" => Isolation::Snapshot,
            "serializable" => Isolation::Serializable,
            other => {
                return Err(Fault::invalid(format!(
                    "isolation {other:?}: 'snapshot' and 'serializable' are possible"
                )));
            }
        };
        Ok(Transaction {
            handle: Arc::clone(handle),
            note: Note { source, intent, durability: durability.map(survives).transpose()? },
            isolation,
            core: Mutex::new(None),
            entry: Mutex::new(None),
            entered: AtomicBool::new(false),
            open: AtomicBool::new(false),
            doomed: AtomicBool::new(false),
            epoch: OnceLock::new(),
            changed: AtomicBool::new(false),
            fates: Mutex::default(),
        })
    }

    /// Notes that it made or dropped a page, whose object is kept here.
    pub fn note(&self, pages: &Arc<Pages>, id: PageId, fate: Fate) {
        let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.push((Arc::clone(pages), id, fate));
    }

    /// Lets go of the objects of pages that are not there now that it is over.
    fn settle(&self) {
        let fates = std::mem::take(&mut *self.fates.lock().unwrap_or_else(PoisonError::into_inner));
        let gone = if self.epoch.get().is_some() { Fate::Dropped } else { Fate::Made };
        for (pages, id, _) in fates.iter().filter(|(_, _, fate)| *fate == gone) {
            pages.forget(*id);
        }
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn entry(&self) -> std::sync::MutexGuard<'_, Option<Entry>> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_owner(&self, py: Python<'_>) -> Outcome<()> {
        let (thread, owner) = match self.entry().as_ref() {
            Some(entry) => (entry.thread, entry.task.as_ref().map(|task| task.clone_ref(py))),
            None => return Err(wrong("the transaction is over")),
        };
        if thread != thread::current().id() {
            return Err(wrong("the transaction was entered by another thread: begin one of your own"));
        }
        let same = match (task(py)?, owner) {
            (None, None) => true,
            (Some(now), Some(then)) => now.is(&then),
            _ => false,
        };
        if same {
            Ok(())
        } else {
            Err(wrong("the transaction was entered by another asyncio task: begin one of your own"))
        }
    }

    /// Writes so many bytes, detached from the interpreter where that takes long.
    /// Nobody waits for its lock meanwhile: only its owner, who is here, gets as far as that.
    pub fn call<T: Send>(
        &self,
        py: Python<'_>,
        bytes: usize,
        work: impl FnOnce(&mut CoreTransaction) -> Result<T, Error> + Send,
    ) -> Outcome<T> {
        self.with_locked(|tx| if bytes < LONG { wait::attached(|| work(tx)) } else { py.detach(|| work(tx)) })
    }

    /// As [`Transaction::call`], for what needs all that was written so far to be readable.
    pub fn catch_up<T: Send>(
        &self,
        py: Python<'_>,
        bytes: usize,
        work: impl FnOnce(&mut CoreTransaction) -> Result<T, Error> + Send,
    ) -> Outcome<T> {
        let behind = self.with(|tx| Ok(tx.behind()))?;
        self.call(py, bytes.saturating_add(behind), work)
    }

    /// Reads or writes in it, attached to the interpreter unless it waits.
    pub fn with<T>(&self, work: impl FnOnce(&mut CoreTransaction) -> Result<T, Error>) -> Outcome<T> {
        self.with_locked(|tx| wait::attached(|| work(tx)))
    }

    fn with_locked<T>(&self, work: impl FnOnce(&mut CoreTransaction) -> Result<T, Error>) -> Outcome<T> {
        if self.doomed.load(Ordering::Relaxed) {
            return Err(wrong("a transaction nested in this one failed, so this one cannot go on"));
        }
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        match core.as_mut() {
            Some(core) => Ok(work(core.get_mut())?),
            None => Err(wrong("the transaction is over")),
        }
    }

    /// Whether a transaction nested in this one asks for nothing that this one does not do: it is one commit, and what it
    /// says of itself was said when it began.
    fn takes_in(&self, inner: &Transaction) -> Outcome<()> {
        let differs = |what: &str, asked: &Option<String>, has: &Option<String>| match (asked, has) {
            (Some(asked), has) if has.as_ref() != Some(asked) => Err(Fault::invalid(format!(
                "{what} {asked:?} of a nested transaction: it is part of the outer one, which decides and has {}",
                has.as_ref().map_or_else(|| "none".into(), |has| format!("{has:?}"))
            ))),
            _ => Ok(()),
        };
        differs("source", &inner.note.source, &self.note.source)?;
        differs("intent", &inner.note.intent, &self.note.intent)?;
        let survives = self.note.durability.unwrap_or(self.handle.for_show().durability());
        if let Some(asked) = inner.note.durability.filter(|&asked| asked > survives) {
            return Err(Fault::invalid(format!(
                "durability '{}' of a nested transaction: it is part of the outer one, which decides and has '{}'",
                asked.as_str(),
                survives.as_str()
            )));
        }
        if inner.isolation == Isolation::Serializable && self.isolation == Isolation::Snapshot {
            return Err(Fault::invalid(
                "isolation 'serializable' of a nested transaction: it is part of the outer one, which decides and has \
                 'snapshot'",
            ));
        }
        Ok(())
    }

    fn finish(&self, py: Python<'_>, failed: bool) -> Outcome<()> {
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(core) = core else { return Ok(()) };
        if core.is_foreign() {
            // What it holds is the parent's, whose block goes on: it is forgotten here, not let go.
            drop(core);
            return if failed { Ok(()) } else { self.handle.bus().map(|_| ()) };
        }
        let core = core.into_inner();
        let base = core.base_epoch().0;
        if failed || self.doomed.load(Ordering::Relaxed) {
            drop(core);
            return if failed {
                Ok(())
            } else {
                Err(wrong("a transaction nested in this one failed: nothing was committed"))
            };
        }
        let committed = self.handle.call(py, core.bytes(), &self.note, |_| core.commit())?;
        self.changed.store(committed.is_some(), Ordering::Relaxed);
        let _ = self.epoch.set(committed.map_or(base, |committed| committed.epoch.0));
        Ok(())
    }
}

/// A durability by its name.
pub fn survives(name: &str) -> Outcome<Durability> {
    Durability::from_name(name).ok_or_else(|| {
        Fault::Face(
            Code::InvalidArgument,
            format!("durability {name:?}: 'memory', 'process' and 'disk' are possible"),
        )
    })
}

#[pymethods]
impl Transaction {
    fn __enter__<'py>(slf: &Bound<'py, Self>) -> Outcome<Bound<'py, Self>> {
        let (py, tx) = (slf.py(), slf.get());
        if tx.entered.swap(true, Ordering::Relaxed) {
            return Err(wrong("a transaction can be entered once"));
        }
        let joined = current(py, &tx.handle)?;
        if let Some(joined) = &joined {
            joined.get().takes_in(tx)?;
        }
        let outer = variable(py)?.bind(py).call_method0(intern!(py, "get"))?.cast_into::<Transaction>().ok();
        let core = match &joined {
            Some(_) => None,
            None => Some(Own::new(tx.handle.bus()?.begin(tx.isolation, tx.note.clone())?)),
        };
        let entry = Entry {
            thread: thread::current().id(),
            task: task(py)?,
            outer: outer.map(Bound::unbind),
            joined: joined.as_ref().map(|joined| joined.clone().unbind()),
        };
        *tx.entry() = Some(entry);
        if core.is_some() {
            *tx.core.lock().unwrap_or_else(PoisonError::into_inner) = core;
            tx.open.store(true, Ordering::Relaxed);
            OPEN.fetch_add(1, Ordering::Relaxed);
            variable(py)?.bind(py).call_method1(intern!(py, "set"), (slf,))?;
        }
        Ok(slf.clone())
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> Outcome<bool> {
        // Before anything is changed: elsewhere it stays as it is.
        self.check_owner(py)?;
        let failed = !kind.is_none();
        let joined =
            self.entry().as_ref().and_then(|entry| entry.joined.as_ref().map(|joined| joined.clone_ref(py)));
        if let Some(joined) = joined {
            if failed {
                joined.get().doomed.store(true, Ordering::Relaxed);
            }
            return Ok(false);
        }
        if self.open.swap(false, Ordering::Relaxed) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            let outer =
                self.entry().as_ref().and_then(|entry| entry.outer.as_ref().map(|outer| outer.clone_ref(py)));
            variable(py)?.bind(py).call_method1(intern!(py, "set"), (outer,))?;
        }
        let finished = self.finish(py, failed);
        self.settle();
        finished?;
        Ok(false)
    }

    /// The epoch it made; where it changed nothing, the one it read. `None` before it is over, and where it failed.
    #[getter]
    fn epoch(&self, py: Python<'_>) -> Option<u64> {
        match self.entry().as_ref().and_then(|entry| entry.joined.as_ref()) {
            Some(joined) => joined.bind(py).get().epoch.get().copied(),
            None => self.epoch.get().copied(),
        }
    }

    /// Whether it made an epoch.
    #[getter]
    fn changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Who writes, as the log will say.
    #[getter]
    fn source(&self) -> Option<&str> {
        self.note.source.as_deref()
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "transaction")
    }

    fn __repr__(&self) -> String {
        let bus = self.handle.for_show();
        let state = match (self.is_open(), self.epoch.get(), self.entered.load(Ordering::Relaxed)) {
            (true, ..) => "open".to_owned(),
            (false, Some(epoch), _) if self.changed.load(Ordering::Relaxed) => {
                format!("committed as epoch {epoch}")
            }
            (false, Some(epoch), _) => format!("nothing to commit at epoch {epoch}"),
            (false, None, true) => "not committed".to_owned(),
            (false, None, false) => "not begun".to_owned(),
        };
        let isolation = if self.isolation == Isolation::Snapshot { "snapshot" } else { "serializable" };
        legible(&format!("<Transaction on branch {}, {isolation}, {state}>", bus.branch_name()))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if *self.open.get_mut() {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
        self.settle();
    }
}
