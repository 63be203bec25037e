//! The cells of a page, read and written by a numpy index.

use mmsb::bus::error::Error;
use mmsb::bus::options::Note;
use mmsb::page::delta::{Delta, Part};
use mmsb::page::operator::OperatorId;
use mmsb::page::schema::Kind;
use mmsb::page::select::Select;
use numpy::PyUntypedArray;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

use crate::array;
use crate::error::{Fault, Outcome};
use crate::handle::LONG;
use crate::index::{Picked, as_index_error, no_new_axes, pick, pick_by_number};
use crate::numpy::numpy;
use crate::sheet::{Sheet, Source};
use crate::transaction;
use crate::value::{self, Target, Value};

/// Whole columns from this many bytes on are compared with what is there before they are written.
const COMPARED: usize = 512;

impl Sheet {
    /// A fresh copy of the cells an index picks.
    pub fn get<'py>(
        &self,
        py: Python<'py>,
        column: usize,
        index: &Bound<'py, PyAny>,
    ) -> Outcome<Bound<'py, PyAny>> {
        if let Source::Live(handle) = &self.source
            && !transaction::any_open()
            && let Some(all) = self.known(py, handle.bus()?, column)
        {
            return self.copied(&all, column, index);
        }
        let rows = self.rows(py)?;
        match pick(index, &self.shape(column, rows)).map_err(|fault| self.at(column, fault))? {
            Some(picked) => self.read(py, column, &picked),
            None => self.copied(&self.array(py, column)?, column, index),
        }
    }

    /// What an index picks of an array, as a copy: by numpy itself.
    fn copied<'py>(
        &self,
        all: &Bound<'py, PyAny>,
        column: usize,
        index: &Bound<'py, PyAny>,
    ) -> Outcome<Bound<'py, PyAny>> {
        let py = all.py();
        no_new_axes(index).map_err(|fault| self.at(column, fault))?;
        let found = all.get_item(index).map_err(|error| self.at(column, as_index_error(py, error)))?;
        if found.is_instance_of::<PyUntypedArray>() {
            return Ok(found.call_method0(pyo3::intern!(py, "copy"))?);
        }
        Ok(found)
    }

    fn read<'py>(&self, py: Python<'py>, column: usize, picked: &Picked) -> Outcome<Bound<'py, PyAny>> {
        let array = array::filled(py, &self.descr(py, column), &picked.dims, |out| {
            self.read_into(py, column, &picked.select, out)
        })?;
        if picked.flipped.is_empty() {
            return Ok(if picked.scalar { array::scalar_or_array(array)? } else { array });
        }
        let turned = array.get_item(value::flip(py, &picked.flipped)?)?;
        Ok(turned.call_method0(pyo3::intern!(py, "copy"))?)
    }

    fn read_into(&self, py: Python<'_>, column: usize, select: &Select, out: &mut [u8]) -> Outcome<()> {
        let handle = match &self.source {
            Source::Fixed(held, _) => {
                let state = held.state()?;
                return Ok(py.detach(|| state.get().read(self.id, column, select, out))?);
            }
            Source::Live(handle) => handle,
        };
        if let Some(tx) = transaction::current(py, handle)? {
            return tx.get().catch_up(py, out.len(), |tx| tx.read(self.id, column, select, out));
        }
        let state = handle.bus()?.state()?;
        if out.len() < LONG && state.is_at_hand(self.id) {
            return Ok(state.read(self.id, column, select, out)?);
        }
        Ok(py.detach(|| state.read(self.id, column, select, out))?)
    }

    /// An error with the column's name in front.
    fn at(&self, column: usize, fault: Fault) -> Fault {
        fault.about(&self.named(column))
    }

    /// What an index picks, whichever way.
    pub fn pick(&self, index: &Bound<'_, PyAny>, column: usize, rows: u64) -> Outcome<Picked> {
        let shape = self.shape(column, rows);
        let picked = match pick(index, &shape) {
            Ok(Some(picked)) => Ok(picked),
            Ok(None) => pick_by_number(index, &shape),
            Err(fault) => Err(fault),
        };
        picked.map_err(|fault| self.at(column, fault))
    }

    /// A value as cells of a column.
    pub fn encode<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        picked: &Picked,
        column: usize,
    ) -> Outcome<Value<'py>> {
        let read;
        let value = if self.schema.kind() == Kind::Raw && is_bytes(value) {
            read = numpy(value.py()).bytes.bind(value.py()).call1((value, "u1"))?;
            &read
        } else {
            value
        };
        let descr = self.descr(value.py(), column);
        let dtype = self.schema.columns()[column].dtype();
        value::encode(value, picked, &Target { dtype, descr: &descr, name: &|| self.named(column) })
    }

    /// Writes a value into the cells an index picks, as one delta.
    pub fn set<'py>(
        &self,
        py: Python<'py>,
        column: usize,
        index: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> Outcome<()> {
        self.live()?;
        let rows = self.rows(py)?;
        let picked = self.pick(index, column, rows)?;
        let whole = picked.is_whole(rows);
        let encoded = self.encode(value, &picked, column)?;
        if picked.cells() == 0 {
            return self.write_nothing();
        }
        if whole && !encoded.is_fill() && encoded.bytes().len() >= COMPARED {
            return self.update(py, column, encoded.bytes());
        }
        let part = Part { column: column as u16, select: picked.select, data: encoded.data() };
        self.write(py, OperatorId::ASSIGN, vec![part])
    }

    /// Replaces a whole column; the log gets what changed.
    fn update(&self, py: Python<'_>, column: usize, bytes: &[u8]) -> Outcome<()> {
        let handle = self.live()?;
        if let Some(tx) = transaction::current(py, handle)? {
            return tx.get().catch_up(py, bytes.len(), |tx| tx.update(self.id, column, bytes));
        }
        let note = Note::default();
        let committed =
            handle.call(py, bytes.len(), &note, |bus| bus.update(self.id, column, bytes, &note))?;
        self.saw(committed.seq.0);
        Ok(())
    }

    /// What is left of writing where no cell was picked: whether it might have been written.
    pub fn write_nothing(&self) -> Outcome<()> {
        let bus = self.live()?.bus()?;
        if bus.is_read_only() { Err(Fault::Core(Error::ReadOnly(bus.place()))) } else { Ok(()) }
    }

    /// Commits one delta, or adds it to the transaction.
    pub fn write(&self, py: Python<'_>, op: OperatorId, parts: Vec<Part<'_>>) -> Outcome<()> {
        let handle = self.live()?;
        // A value that is repeated is short: what takes long is the cells it goes to.
        let written = |part: &Part<'_>| {
            let column = &self.schema.columns()[usize::from(part.column)];
            part.select.cells(column).saturating_mul(column.dtype().size() as u64) as usize
        };
        let bytes = parts.iter().map(written).fold(0, usize::saturating_add);
        let delta = Delta { page: self.id, op, parts };
        let about = |fault: Fault| fault.about(&self.named_page());
        if let Some(tx) = transaction::current(py, handle)? {
            return tx.get().call(py, bytes, |tx| tx.write(delta)).map_err(about);
        }
        let note = Note::default();
        let committed = handle.call(py, bytes, &note, |bus| bus.write(delta, &note)).map_err(about)?;
        self.saw(committed.seq.0);
        Ok(())
    }
}

/// Whether it is what raw bytes are written from as they are.
fn is_bytes(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>()
}
