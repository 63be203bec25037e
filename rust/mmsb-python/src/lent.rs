//! What a function of Python's is handed for a call: a number of a page without axes, else arrays that are lent.

use mmsb::bus::error::Code;
use mmsb::bus::lend::Lender;
use mmsb::page::schema::{Kind, Schema};
use mmsb::propagation::kernel::Input;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::array::{Copied, Shown, number};
use crate::dtype;
use crate::error::{Fault, Outcome};
use crate::index::Shape;

/// Columns of at most so many bytes are copied: that takes less than to make a view of them and to keep the bus from giving
/// their memory back.
const COPIED: u64 = 4 << 10;

/// Columns and how many rows they have.
#[derive(Clone, Copy)]
pub struct Schemed<'a> {
    pub schema: &'a Schema,
    pub rows: u64,
}

impl Schemed<'_> {
    pub fn is_table(&self) -> bool {
        self.schema.kind() == Kind::Table
    }

    /// Whether it is one cell without axes.
    pub fn is_number(&self) -> bool {
        self.schema.kind() == Kind::Array { scalar: true }
    }

    /// The shape of a column.
    pub fn of(&self, column: usize) -> Shape<'_> {
        Shape { rows: self.rows, column: &self.schema.columns()[column], scalar: self.is_number() }
    }
}

/// The array of a column.
enum Array {
    Copied(Copied),
    Shown(Shown),
}

/// The arrays that are lent for one call.
pub struct Lent<'a> {
    lender: &'a Lender,
    /// Whether what the inputs have stays as it is once the function is through.
    lasts: bool,
    arrays: Vec<(usize, &'a str, Array)>,
}

impl<'a> Lent<'a> {
    pub fn new(lender: &'a Lender, lasts: bool) -> Self {
        Lent { lender, lasts, arrays: Vec::new() }
    }

    /// The input at a place, as the function takes it: a number, an array, or a mapping of arrays by column.
    pub fn argument<'py>(
        &mut self,
        py: Python<'py>,
        place: usize,
        input: &Input<'a>,
    ) -> Outcome<Bound<'py, PyAny>> {
        let shape = Schemed { schema: input.schema, rows: input.rows() };
        if shape.is_number() {
            let dtype = input.schema.columns()[0].dtype();
            return Ok(number(&dtype::descr(py, dtype)?, |to| input.column(0).copy_to(to))?);
        }
        if !shape.is_table() {
            return self.array(py, place, input, 0, "");
        }
        let named = PyDict::new(py);
        for (i, column) in input.schema.columns().iter().enumerate() {
            named.set_item(column.name(), self.array(py, place, input, i, column.name())?)?;
        }
        Ok(named.into_any())
    }

    fn array<'py>(
        &mut self,
        py: Python<'py>,
        place: usize,
        input: &Input<'a>,
        column: usize,
        name: &'a str,
    ) -> Outcome<Bound<'py, PyAny>> {
        let shape = Schemed { schema: input.schema, rows: input.rows() };
        let (cells, dims) = (input.column(column as u16), shape.of(column).dims());
        let descr = dtype::descr(py, input.schema.columns()[column].dtype())?;
        let (array, lent) = if cells.bytes <= COPIED {
            let copied = Copied::new(py, &descr, &dims, |to| cells.copy_to(to))?;
            (copied.bind(py), Array::Copied(copied))
        } else {
            let shown = Shown::new(py, self.lender.view(cells, self.lasts)?, &descr, &dims)?;
            (shown.bind(py), Array::Shown(shown))
        };
        self.arrays.push((place, name, lent));
        Ok(array)
    }

    /// Takes them back, of inputs of these names.
    ///
    /// # Errors
    /// One is kept, or was made writeable.
    pub fn take_back(self, inputs: &[String]) -> Outcome<()> {
        for (place, column, array) in self.arrays {
            let (kept, writeable) = match &array {
                Array::Copied(copied) => (copied.holders() > 0, copied.is_writeable()),
                Array::Shown(shown) => (shown.holders() > 0, false),
            };
            if !kept && !writeable {
                continue;
            }
            let which = if column.is_empty() { String::new() } else { format!(", column '{column}'") };
            let name = inputs.get(place).map_or("?", String::as_str);
            let message = if kept {
                format!(
                    "the rule keeps a view of its input '{name}'{which}: it is lent for the call only, keep a copy"
                )
            } else {
                format!(
                    "the rule makes its input '{name}'{which} writeable: it is lent to be read, write a copy"
                )
            };
            return Err(Fault::Face(Code::Rule, message));
        }
        Ok(())
    }
}
