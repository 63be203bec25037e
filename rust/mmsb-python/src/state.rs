//! States: all pages at one epoch, unchanging while they are held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::{Code, Error};
use mmsb::bus::snapshot::Snapshot as CoreSnapshot;
use mmsb::bus::state::State;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::error::{Fault, Outcome};
use crate::fork::Own;
use crate::given::{number_of, text};
use crate::handle::{Handle, Origin};
use crate::page::Page;
use crate::progress::Told;
use crate::python;
use crate::sheet::{Sheet, Source};
use crate::show::{legible, plural};

/// A state that somebody looks at, of the process that took it.
pub type HeldState = Arc<Own<Arc<State>>>;

/// A state until it is let go, as a snapshot and its pages share it.
pub struct Held {
    kept: Mutex<Option<Kept>>,
    pub epoch: u64,
    pub branch: String,
}

/// How it is kept: for good, or for as long as nobody lets go of it.
enum Kept {
    State(Own<Arc<State>>),
    Leased(Arc<Own<CoreSnapshot>>),
}

impl Kept {
    fn is_foreign(&self) -> bool {
        match self {
            Kept::State(state) => state.is_foreign(),
            Kept::Leased(snapshot) => snapshot.is_foreign(),
        }
    }
}

impl Held {
    /// The state, unless it was let go; detached from the interpreter where it is made of history.
    pub fn state(&self) -> Outcome<Own<Arc<State>>> {
        let snapshot = self.look(|kept| match kept {
            Kept::State(state) => Ok(Own::new(Arc::clone(state.get()))),
            Kept::Leased(snapshot) => Err(Arc::clone(snapshot)),
        })?;
        let snapshot = match snapshot {
            Ok(state) => return Ok(state),
            Err(snapshot) => snapshot,
        };
        let state = match snapshot.get().at_hand()? {
            Some(state) => state,
            None => Python::attach(|py| py.detach(|| snapshot.get().state()))?,
        };
        Ok(Own::new(state))
    }

    /// Its epoch, unless it was let go.
    pub fn epoch(&self) -> Outcome<Epoch> {
        self.look(|_| Epoch(self.epoch))
    }

    /// Looks at what is kept, unless it was let go.
    fn look<T>(&self, look: impl FnOnce(&Kept) -> T) -> Outcome<T> {
        let held = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_ref() {
            Some(kept) if kept.is_foreign() => Err(Fault::Face(
                Code::Forked,
                "the state was taken before a fork: open the bus again in the child process".into(),
            )),
            Some(kept) => Ok(look(kept)),
            None => {
                Err(Fault::Face(Code::Closed, format!("the snapshot of epoch {} was let go", self.epoch)))
            }
        }
    }
}

/// All pages at one epoch, unchanging for as long as they are held. A context manager: at the end of the block it lets go.
#[pyclass(frozen, module = "mmsb._core")]
pub struct Snapshot {
    held: Arc<Held>,
    pages: Mutex<HashMap<PageId, Py<Page>>>,
    origin: Origin,
}

impl Snapshot {
    pub fn new(snapshot: CoreSnapshot, handle: &Arc<Handle>) -> Self {
        let (epoch, branch) = (snapshot.epoch().0, snapshot.branch().to_owned());
        let kept = match snapshot.into_state() {
            Ok(state) => Kept::State(Own::new(state)),
            Err(snapshot) => Kept::Leased(Arc::new(Own::new(snapshot))),
        };
        let held = Held { kept: Mutex::new(Some(kept)), epoch, branch };
        Snapshot { held: Arc::new(held), pages: Mutex::default(), origin: handle.origin() }
    }

    /// The state, unless it was let go.
    pub fn state(&self) -> Outcome<Own<Arc<State>>> {
        self.held.state()
    }

    fn find(&self, state: &State, key: &Bound<'_, PyAny>) -> Outcome<PageId> {
        match key.cast::<PyString>() {
            Ok(name) => {
                let name = text(name)?;
                state.find(name).ok_or_else(|| Fault::Core(Error::NoPageNamed(name.into())))
            }
            Err(_) => number_of(key),
        }
    }
}

#[pymethods]
impl Snapshot {
    /// Its epoch.
    #[getter]
    fn epoch(&self) -> u64 {
        self.held.epoch
    }

    /// Its branch's name.
    #[getter]
    fn branch(&self) -> Outcome<String> {
        self.held.look(|_| self.held.branch.clone())
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Outcome<Bound<'py, Page>> {
        let py = key.py();
        let state = self.state()?;
        let id = self.find(state.get(), key)?;
        if let Some(page) = self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(page.bind(py).clone());
        }
        let info = py.detach(|| state.get().info(id))?;
        let source = Source::Fixed(Arc::clone(&self.held), self.origin.clone());
        let page = Bound::new(py, Page { sheet: Sheet::new(py, source, info)? })?;
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pages.entry(id).or_insert_with(|| page.unbind()).bind(py).clone())
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> Outcome<bool> {
        let state = self.state()?;
        match key.cast::<PyString>() {
            Ok(name) => Ok(name.to_str().is_ok_and(|name| state.get().find(name).is_some())),
            Err(_) => Ok(number_of(key).is_ok_and(|id| state.get().info(id).is_ok())),
        }
    }

    fn __len__(&self) -> Outcome<usize> {
        Ok(self.state()?.get().len() as usize)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let names = names(py, self.state()?.get())?;
        Ok(names.into_any().try_iter()?.into_any())
    }

    /// The names of its pages, in the order they came to be.
    fn pages<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyList>> {
        names(py, self.state()?.get())
    }

    /// The digest of the state, as 64 hexadecimal digits: the same on every machine.
    ///
    /// `progress` is told the bytes of cells hashed so far: those that were not hashed before.
    #[pyo3(signature = (progress = None))]
    fn digest(&self, py: Python<'_>, progress: Option<Bound<'_, PyAny>>) -> Outcome<String> {
        let state = self.state()?;
        let mut told = Told::checked(progress)?;
        let digest = py.detach(|| state.get().digest_with(&mut |bytes| told.tell(bytes)))?;
        told.end()?;
        Ok(digest.to_string())
    }

    /// Lets go of the state: it and its pages are read no more. Arrays taken from them stay as they are.
    fn close(&self) {
        let state = self.held.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let pages = std::mem::take(&mut *self.pages.lock().unwrap_or_else(PoisonError::into_inner));
        for page in pages.values() {
            page.get().sheet.forget_arrays();
        }
        drop((state, pages));
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(&self, _kind: &Bound<'_, PyAny>, _value: &Bound<'_, PyAny>, _traceback: &Bound<'_, PyAny>) {
        self.close();
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        python::html(slf, "snapshot")
    }

    fn __repr__(&self) -> String {
        match self.state() {
            Ok(state) => {
                let Held { branch, epoch, .. } = &*self.held;
                let pages = plural(state.get().len(), "page");
                legible(&format!("<Snapshot of branch {branch} at epoch {epoch}, {pages}>"))
            }
            Err(Fault::Face(Code::Forked, _)) => {
                format!("<Snapshot of epoch {}, of a forked process>", self.held.epoch)
            }
            Err(Fault::Core(Error::Expired(..))) => {
                format!("<Snapshot of epoch {}, expired>", self.held.epoch)
            }
            Err(_) => format!("<Snapshot of epoch {}, let go>", self.held.epoch),
        }
    }
}

/// The names of a state's pages, by id.
pub fn names<'py>(py: Python<'py>, state: &State) -> Outcome<Bound<'py, PyList>> {
    Ok(PyList::new(py, state.names().into_iter().map(|(_, name)| name))?)
}
