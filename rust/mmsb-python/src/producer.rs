//! Posts: changes that threads hand over without waiting, and collecting them into one commit.

use std::sync::Arc;

use mmsb::bus::options::Note;
use mmsb::bus::posts::{OnRefused, Producer as CoreProducer};
use mmsb::page::delta::Delta;
use mmsb::page::operator::OperatorId;
use pyo3::prelude::*;

use crate::bus::Bus;
use crate::column::{Column, as_parts, operator};
use crate::error::{Fault, Outcome};
use crate::given::operator_name;
use crate::handle::{Handle, LONG};
use crate::page::Page;
use crate::rows;
use crate::sheet::Sheet;
use crate::show::legible;
use crate::transaction::{any_open, outside, survives};

/// What is written: a page and its columns with their values.
type Written<'py> = (Arc<Sheet>, Vec<(usize, Bound<'py, PyAny>)>);

/// Hands over changes of a branch without waiting for anybody; made by `bus.producer`.
///
/// What it posts is in no state and no log until `bus.collect()` commits it, with what others posted. Any thread may use
/// it. Its posts are applied in the order in which they were made; where several threads use it at once, in which they came.
#[pyclass(frozen, module = "mmsb._core")]
pub struct Producer {
    handle: Arc<Handle>,
    producer: CoreProducer,
}

#[pymethods]
impl Producer {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.producer.name()
    }

    /// How many of its posts nobody collected so far.
    #[getter]
    fn waiting(&self) -> u64 {
        self.producer.waiting()
    }

    /// How many posts it made.
    #[getter]
    fn posts(&self) -> u64 {
        self.producer.posts()
    }

    /// Posts that values are written into cells.
    ///
    /// Args:
    ///     page: a page of the producer's branch, or a column of one.
    ///     values: as they are assigned; of a table a mapping by column. They are copied.
    ///     rows: which cells, as any index; all of them by default.
    #[pyo3(signature = (page, values, rows=None))]
    fn write(
        &self,
        page: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        rows: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<()> {
        let (sheet, columns) = self.written(page, values)?;
        self.post(page.py(), &sheet, &columns, rows, OperatorId::ASSIGN)
    }

    /// Posts that values are merged into cells: `old = old op value`.
    ///
    /// Args:
    ///     page: a page of the producer's branch, or a column of one.
    ///     values: as `page.merge` takes them. They are copied.
    ///     rows: which cells, as any index; all of them by default. A row listed twice is merged twice.
    ///     op: `add`, `min`, `max`, `or`, `and`, `xor` or `mul`; by default the page's own.
    #[pyo3(signature = (page, values, rows=None, op=None))]
    fn merge(
        &self,
        page: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        rows: Option<&Bound<'_, PyAny>>,
        op: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<()> {
        let (sheet, columns) = self.written(page, values)?;
        let op = op.map(operator_name).transpose().map_err(|fault| fault.about(&sheet.named_page()))?;
        let op = operator(&sheet, &columns, op.as_deref())?;
        self.post(page.py(), &sheet, &columns, rows, op)
    }

    fn __repr__(&self) -> String {
        let (name, branch) = (self.producer.name(), self.handle.for_show().branch_name());
        legible(&format!("<Producer '{name}' of branch {branch}, {} waiting>", self.producer.waiting()))
    }
}

impl Producer {
    fn written<'py>(&self, page: &Bound<'py, PyAny>, values: &Bound<'py, PyAny>) -> Outcome<Written<'py>> {
        let (sheet, columns) = match (page.cast::<Page>(), page.cast::<Column>()) {
            (Ok(page), _) => {
                let sheet = &page.get().sheet;
                (sheet, rows::fields(sheet, values, &sheet.columns())?)
            }
            (_, Ok(column)) => (&column.get().sheet, vec![(column.get().at, values.clone())]),
            _ => return Err(Fault::invalid(format!("{page}: a page, or a column of one, is wanted"))),
        };
        let (of, here) = (sheet.live()?, &self.handle);
        if !of.is_same_bus(here) || !of.bus()?.is_same_branch(here.bus()?) {
            let message = format!(
                "{} is of branch {} of the bus {}, producer '{}' posts on branch {} of the bus {}",
                sheet.named_page(),
                of.for_show().branch_name(),
                of.for_show().place(),
                self.producer.name(),
                here.for_show().branch_name(),
                here.for_show().place(),
            );
            return Err(Fault::invalid(message));
        }
        Ok((Arc::clone(sheet), columns))
    }

    fn post<'py>(
        &self,
        py: Python<'py>,
        sheet: &Sheet,
        columns: &[(usize, Bound<'py, PyAny>)],
        rows: Option<&Bound<'py, PyAny>>,
        op: OperatorId,
    ) -> Outcome<()> {
        let rows = rows.map(|rows| rows::of_rows(sheet, rows));
        let bus = self.handle.bus()?;
        // A transaction of this thread's has nothing to do with it.
        let count = if any_open() { bus.state()?.version(sheet.id)?.1 } else { sheet.rows(py)? };
        as_parts(py, (sheet, count), columns, rows.as_ref(), |parts| {
            if parts.is_empty() {
                return sheet.write_nothing();
            }
            let bytes: usize = parts.iter().map(|part| part.data.bytes().len()).sum();
            let delta = Delta { page: sheet.id, op, parts };
            let post = || bus.post(&self.producer, delta);
            let posted = if bytes < LONG { post() } else { py.detach(post) };
            posted.map(drop).map_err(|wrong| Fault::from(wrong).about(&sheet.named_page()))
        })
    }
}

/// A producer of a branch by its name.
#[pyfunction]
pub fn _producer(bus: &Bound<'_, Bus>, name: &str, limit: Option<u64>) -> Outcome<Producer> {
    let handle = &bus.get().handle;
    Ok(Producer { handle: Arc::clone(handle), producer: handle.bus()?.producer(name, limit)? })
}

/// Producer, number, page and error of a post that was left out.
type Left = (String, u64, u64, Py<PyAny>);

/// Commits what was posted: the epoch, how many posts are in it, and those that were left out.
#[pyfunction]
pub fn _collect(
    bus: &Bound<'_, Bus>,
    refused: &str,
    source: Option<String>,
    intent: Option<String>,
    durability: Option<&str>,
) -> Outcome<(Option<u64>, usize, Vec<Left>)> {
    let (py, handle) = (bus.py(), &bus.get().handle);
    outside(py, handle)?;
    let refused = match refused {
        "raise" => OnRefused::Raise,
        "drop" => OnRefused::Drop,
        other => {
            return Err(Fault::invalid(format!("refused {other:?}: 'raise' and 'drop' are possible")));
        }
    };
    let note = Note { source, intent, durability: durability.map(survives).transpose()? };
    let collected = handle.long(py, |bus| bus.collect(refused, &note))?;
    let left = collected.refused.into_iter().map(|left| {
        let why = PyErr::from(Fault::Core(left.why)).into_value(py).into_any();
        (left.producer, left.number, left.page.0, why)
    });
    Ok((collected.committed.map(|committed| committed.epoch.0), collected.posts, left.collect()))
}
