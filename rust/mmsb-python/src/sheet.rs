//! One page as its Python objects share it: where it is read and written, and the latest array of each column.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mmsb::base::ids::{Epoch, PageId};
use mmsb::bus::error::{Code, Error};
use mmsb::bus::handle::Bus;
use mmsb::bus::state::{PageInfo, State};
use mmsb::bus::view::View;
use mmsb::page::schema::{Kind, Schema};
use numpy::PyArrayDescr;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::array::Shown;
use crate::dtype;
use crate::error::{Fault, Outcome};
use crate::handle::{Handle, LONG, Origin};
use crate::index::Shape;
use crate::state::Held;
use crate::transaction::{self, Transaction};

/// Where a page is read and written.
pub enum Source {
    /// A branch as it goes.
    Live(Arc<Handle>),
    /// One state, until it is let go.
    Fixed(Arc<Held>, Origin),
}

impl Source {
    /// Where it was taken.
    pub fn origin(&self) -> Origin {
        match self {
            Source::Live(handle) => handle.origin(),
            Source::Fixed(_, origin) => origin.clone(),
        }
    }

    /// The name of its branch.
    pub fn branch(&self) -> &str {
        match self {
            Source::Live(handle) => handle.for_show().branch_name(),
            Source::Fixed(held, _) => &held.branch,
        }
    }
}

/// The latest array of a column.
#[derive(Default)]
struct Latest {
    /// The frame up to which it is known to be the latest; of a fixed state any.
    seq: u64,
    version: Epoch,
    shown: Option<Shown>,
}

/// One page.
pub struct Sheet {
    pub source: Source,
    pub id: PageId,
    pub name: String,
    pub schema: Arc<Schema>,
    descrs: Vec<Py<PyArrayDescr>>,
    /// The rows, and the frame up to which they are known to be so many.
    rows: Mutex<(u64, u64)>,
    latest: Vec<Mutex<Latest>>,
}

/// A state that a view is wanted of, and what becomes of it.
enum Taken<'s> {
    /// It was taken for that, and goes.
    Own(State),
    /// It is somebody's.
    Lent(&'s State),
}

impl Taken<'_> {
    fn get(&self) -> &State {
        match self {
            Taken::Own(state) => state,
            Taken::Lent(state) => state,
        }
    }

    fn view(self, id: PageId, column: usize, reuse: Option<View>) -> Result<View, Error> {
        match self {
            Taken::Own(state) => state.into_view(id, column, reuse),
            Taken::Lent(state) => state.view(id, column, reuse),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sheet {
    pub fn new(py: Python<'_>, source: Source, info: PageInfo) -> PyResult<Arc<Self>> {
        let columns = info.schema.columns();
        let descrs = columns.iter().map(|column| Ok(dtype::descr(py, column.dtype())?.unbind()));
        Ok(Arc::new(Sheet {
            source,
            id: info.id,
            name: info.name,
            descrs: descrs.collect::<PyResult<_>>()?,
            latest: columns.iter().map(|_| Mutex::default()).collect(),
            schema: info.schema,
            rows: Mutex::new((0, info.rows)),
        }))
    }

    /// Whether both are the same page of the same branch, in whatever state.
    pub fn is_same_page(&self, other: &Sheet) -> bool {
        let (one, two) = (&self.source, &other.source);
        self.id == other.id && one.origin().is_same_bus(&two.origin()) && one.branch() == two.branch()
    }

    /// Whether it has one column, which is seen as the page itself.
    pub fn is_single(&self) -> bool {
        self.schema.kind() != Kind::Table
    }

    /// numpy's dtype of a column's cells.
    pub fn descr<'py>(&self, py: Python<'py>, column: usize) -> Bound<'py, PyArrayDescr> {
        self.descrs[column].bind(py).clone()
    }

    /// The shape of a column of so many rows.
    pub fn shape(&self, column: usize, rows: u64) -> Shape<'_> {
        let scalar = self.schema.kind() == (Kind::Array { scalar: true });
        Shape { rows, column: &self.schema.columns()[column], scalar }
    }

    /// The number of a column by name.
    pub fn column(&self, name: &str) -> Outcome<usize> {
        self.schema.position(name).map(usize::from).ok_or_else(|| {
            let has = self.schema.columns().iter().map(|column| column.name()).collect::<Vec<_>>().join(", ");
            Fault::Core(Error::NoColumn { page: self.name.clone(), column: name.into(), has })
        })
    }

    /// The page as messages call it.
    pub fn named_page(&self) -> String {
        format!("page '{}'", self.name)
    }

    /// A column as messages call it.
    pub fn named(&self, column: usize) -> String {
        if self.is_single() {
            return self.named_page();
        }
        format!("page '{}', column '{}'", self.name, self.schema.columns()[column].name())
    }

    /// The branch it is written on; an error for a page of a fixed state.
    pub fn live(&self) -> Outcome<&Arc<Handle>> {
        match &self.source {
            Source::Live(handle) => Ok(handle),
            Source::Fixed(held, _) => {
                let message =
                    format!("{} of the state at epoch {} is only read", self.named_page(), held.epoch);
                Err(Fault::Face(Code::ReadOnly, message))
            }
        }
    }

    /// The transaction that reads and writes belong to.
    fn transaction<'py>(&self, py: Python<'py>) -> Outcome<Option<Bound<'py, Transaction>>> {
        match &self.source {
            Source::Live(handle) => transaction::current(py, handle),
            Source::Fixed(..) => Ok(None),
        }
    }

    /// The epoch that changed it last, and its rows.
    pub fn version(&self, py: Python<'_>) -> Outcome<(Epoch, u64)> {
        if let Some(tx) = self.transaction(py)? {
            return tx.get().with(|tx| tx.version(self.id));
        }
        match &self.source {
            Source::Live(handle) => Ok(handle.bus()?.state()?.version(self.id)?),
            Source::Fixed(held, _) => Ok(held.state()?.get().version(self.id)?),
        }
    }

    /// Whether it is behind what it follows from, in the state that is read.
    pub fn is_behind(&self, py: Python<'_>) -> Outcome<bool> {
        let id = self.id;
        if let Some(tx) = self.transaction(py)? {
            return tx.get().with(|tx| tx.is_behind(id));
        }
        Ok(match &self.source {
            Source::Fixed(held, _) => {
                let state = held.state()?;
                py.detach(|| state.get().is_behind(id))?
            }
            Source::Live(handle) => handle.long(py, |bus| bus.state()?.is_behind(id))?,
        })
    }

    /// Its rows.
    pub fn rows(&self, py: Python<'_>) -> Outcome<u64> {
        let handle = match &self.source {
            Source::Live(handle) => handle,
            Source::Fixed(held, _) => return held.state().map(|_| lock(&self.rows).1),
        };
        if let Some(tx) = transaction::current(py, handle)? {
            return tx.get().with(|tx| tx.rows(self.id));
        }
        let bus = handle.bus()?;
        let seq = bus.newest().0;
        {
            let known = lock(&self.rows);
            if known.0 == seq && !bus.is_closed() {
                return Ok(known.1);
            }
        }
        let (_, rows) = bus.state()?.version(self.id)?;
        *lock(&self.rows) = (seq, rows);
        Ok(rows)
    }

    /// The latest array of a column: the same object until the page changes.
    pub fn array<'py>(&self, py: Python<'py>, column: usize) -> Outcome<Bound<'py, PyAny>> {
        let handle = match &self.source {
            Source::Live(handle) => handle,
            Source::Fixed(held, _) => return self.fixed_array(py, held.state()?.get(), column),
        };
        if let Some(tx) = transaction::current(py, handle)? {
            let rows = tx.get().with(|tx| tx.rows(self.id))?;
            let bytes = rows * self.schema.columns()[column].row_bytes();
            let view = tx.get().catch_up(py, bytes as usize, |tx| tx.view(self.id, column))?;
            return Ok(self.show(py, view, column, rows)?.bind(py));
        }
        let bus = handle.bus()?;
        match self.known(py, bus, column) {
            Some(array) => Ok(array),
            None => {
                // Before the state is looked at: what comes in between is seen next time.
                let seq = bus.newest().0;
                self.refresh(py, Taken::Own(bus.state()?), seq, column)
            }
        }
    }

    /// Looks whether the page changed, and shows it anew if it did.
    fn refresh<'py>(
        &self,
        py: Python<'py>,
        state: Taken<'_>,
        seq: u64,
        column: usize,
    ) -> Outcome<Bound<'py, PyAny>> {
        let (version, rows) = state.get().version(self.id)?;
        let old = {
            let mut latest = lock(&self.latest[column]);
            if let (true, Some(shown)) = (latest.version == version, &latest.shown) {
                let array = shown.bind(py);
                latest.seq = seq;
                return Ok(array);
            }
            latest.shown.take()
        };
        let (shell, reuse) = old.and_then(|old| old.take_back(py)).unzip();
        let view = self.view(py, state, column, rows, reuse)?;
        let shown = match shell {
            Some(shell) => {
                let like = (&self.descrs[column], &*self.shape(column, rows).dims());
                shell.fill(py, view, like, |view| self.show(py, view, column, rows))?
            }
            None => self.show(py, view, column, rows)?,
        };
        let array = shown.bind(py);
        let replaced = {
            let mut latest = lock(&self.latest[column]);
            if let (true, Some(first)) = (latest.version == version, &latest.shown) {
                // Another thread was faster.
                return Ok(first.bind(py));
            }
            std::mem::replace(&mut *latest, Latest { seq, version, shown: Some(shown) })
        };
        drop(replaced);
        Ok(array)
    }

    fn fixed_array<'py>(&self, py: Python<'py>, state: &State, column: usize) -> Outcome<Bound<'py, PyAny>> {
        if let Some(shown) = &lock(&self.latest[column]).shown {
            return Ok(shown.bind(py));
        }
        self.refresh(py, Taken::Lent(state), 0, column)
    }

    fn view(
        &self,
        py: Python<'_>,
        state: Taken<'_>,
        column: usize,
        rows: u64,
        reuse: Option<View>,
    ) -> Outcome<View> {
        let bytes = rows * self.schema.columns()[column].row_bytes();
        if bytes < LONG as u64 && state.get().is_at_hand(self.id) {
            return Ok(state.view(self.id, column, reuse)?);
        }
        Ok(py.detach(|| state.view(self.id, column, reuse))?)
    }

    fn show(&self, py: Python<'_>, view: View, column: usize, rows: u64) -> PyResult<Shown> {
        Shown::new(py, view, self.descrs[column].bind(py), &self.shape(column, rows).dims())
    }

    /// How many others hold its latest arrays.
    pub fn holders(&self) -> usize {
        self.latest.iter().filter_map(|latest| lock(latest).shown.as_ref().map(|shown| shown.holders())).sum()
    }

    /// Lets go of its latest arrays.
    pub fn forget_arrays(&self) {
        for latest in &self.latest {
            let old = std::mem::take(&mut *lock(latest));
            drop(old);
        }
    }

    /// The latest array of a column where one was made and nothing was committed since.
    pub fn known<'py>(&self, py: Python<'py>, bus: &Bus, column: usize) -> Option<Bound<'py, PyAny>> {
        let seq = bus.newest().0;
        if bus.is_closed() {
            return None;
        }
        let latest = lock(&self.latest[column]);
        latest.shown.as_ref().filter(|_| latest.seq == seq).map(|shown| shown.bind(py))
    }

    /// Notes that a commit of its own left the rows as they were, where nobody else came between.
    pub fn saw(&self, seq: u64) {
        let mut known = lock(&self.rows);
        if known.0 + 1 == seq {
            known.0 = seq;
        }
    }

    /// The numbers of all its columns.
    pub fn columns(&self) -> Vec<usize> {
        (0..self.schema.columns().len()).collect()
    }

    /// The structured dtype of rows of some of its columns.
    pub fn record_dtype<'py>(&self, py: Python<'py>, columns: &[usize]) -> PyResult<Bound<'py, PyAny>> {
        let field = |&at: &usize| {
            let column = &self.schema.columns()[at];
            Ok((column.name(), self.descr(py, at), PyTuple::new(py, column.inner())?))
        };
        let fields = columns.iter().map(field).collect::<PyResult<Vec<_>>>()?;
        Ok(PyArrayDescr::new(py, fields)?.into_any())
    }
}
