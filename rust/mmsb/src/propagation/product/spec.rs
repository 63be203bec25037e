//! What a product says: by which semiring, and in which form its matrix is.

use crate::algebra::family::Family;
use crate::base::codec::{Reader, Writer};
use crate::page::dtype::DType;
use crate::page::schema::{ARRAY_COLUMN, Column, Kind};
use crate::propagation::error::RuleError;
use crate::propagation::kernel::{Gives, Kernel, Shape, Spec};
use crate::propagation::places::{self, Places};
use crate::propagation::product::dense::Dense;
use crate::propagation::product::sparse::Sparse;

/// The name of the rule in what it says is wrong.
pub(super) const RULE: &str = "product";

/// What is multiplied.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// An array of shape `(n, m)` times one of `(m,)`: one of `(n,)`.
    Dense,
    /// Where each row's entries begin, and the last one's end, an array of shape `(n + 1,)`; a table of entries, of which
    /// those behind the last end are not read; and an array of shape `(m,)` or `(m, k)`. It gives one of `(n,)` or `(n, k)`.
    Csr {
        /// The column of the entries that has their columns: integers.
        index: u16,
        /// That of their values.
        value: u16,
    },
    /// An array of shape `(n, k)` times one of `(k, m)`: one of `(n, m)`.
    DenseDense,
}

/// The product of a matrix and a vector or matrix.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Product {
    /// What brings its terms together.
    pub family: Family,
    /// What is multiplied.
    pub matrix: Form,
}

fn unfit(what: String) -> RuleError {
    RuleError::Unfit { rule: RULE, what }
}

/// So many inputs.
pub(super) fn inputs<T, const N: usize>(given: &[T]) -> Result<[&T; N], RuleError> {
    let some: Option<&[T; N]> = given.try_into().ok();
    some.map(|some| some.each_ref()).ok_or(RuleError::Inputs { rule: RULE, got: given.len(), wanted: N })
}

/// The one column of an array with so many inner axes.
fn array<'a>(input: &Shape<'a>, which: &str, axes: usize) -> Result<&'a Column, RuleError> {
    match input.schema.columns() {
        [column] if column.inner().len() == axes => Ok(column),
        [column] => Err(unfit(format!(
            "the {which} has {} inner axes, where it must have {axes}",
            column.inner().len()
        ))),
        columns => Err(unfit(format!("the {which} has {} columns, where it must have one", columns.len()))),
    }
}

impl Product {
    /// Writes it.
    pub fn encode(&self, out: &mut Writer) {
        out.u8(self.family.code());
        match self.matrix {
            Form::Dense => out.u8(0),
            Form::Csr { index, value } => {
                out.u8(1);
                out.varint(u64::from(index));
                out.varint(u64::from(value));
            }
            Form::DenseDense => out.u8(2),
        }
    }

    /// Reads what [`Product::encode`] wrote.
    ///
    /// # Errors
    /// [`RuleError::Unreadable`] where the bytes end, or say what there is not.
    pub fn decode(input: &mut Reader<'_>) -> Result<Self, RuleError> {
        let code = input.u8()?;
        let Some(family) = Family::coded(code) else {
            return Err(RuleError::Unreadable(format!("no semiring has the code {code}")));
        };
        let number = |input: &mut Reader<'_>| {
            let number = input.varint()?;
            u16::try_from(number)
                .map_err(|_| RuleError::Unreadable(format!("the number {number} is past 16 bits")))
        };
        let matrix = match input.u8()? {
            0 => Form::Dense,
            1 => Form::Csr { index: number(input)?, value: number(input)? },
            2 => Form::DenseDense,
            code => return Err(RuleError::Unreadable(format!("no form of a matrix has the code {code}"))),
        };
        Ok(Self { family, matrix })
    }

    /// Both are of one type that the semiring is on.
    fn same(&self, left: (&str, &Column), right: (&str, &Column)) -> Result<DType, RuleError> {
        let (dtype, other) = (left.1.dtype(), right.1.dtype());
        self.family.traits(dtype)?;
        if dtype == other {
            return Ok(dtype);
        }
        let wanted = format!("{dtype}, as the {} has,", left.0);
        Err(RuleError::WrongType { rule: RULE, whose: format!("the {}", right.0), dtype: other, wanted })
    }

    /// What the page looks like, and the kernel that makes it.
    fn both(&self, given: &[Shape<'_>]) -> Result<(Gives, Box<dyn Kernel>), RuleError> {
        let (rows, inner, dtype, kernel): (u64, Vec<u64>, DType, Box<dyn Kernel>) = match self.matrix {
            Form::Dense => {
                let [left, right] = inputs(given)?;
                let (matrix, vector) = (array(left, "matrix", 1)?, array(right, "vector", 0)?);
                let dtype = self.same(("matrix", matrix), ("vector", vector))?;
                fits(("matrix", matrix.inner()[0]), ("vector", right.rows))?;
                let kernel = Dense::new((self.family, dtype), right.rows as usize, None);
                (left.rows, Vec::new(), dtype, Box::new(kernel))
            }
            Form::DenseDense => {
                let [left, right] = inputs(given)?;
                let (one, other) = (array(left, "left matrix", 1)?, array(right, "right matrix", 1)?);
                let dtype = self.same(("left matrix", one), ("right matrix", other))?;
                fits(("left matrix", one.inner()[0]), ("right matrix", right.rows))?;
                let width = other.inner()[0];
                let kernel = Dense::new((self.family, dtype), right.rows as usize, Some(width as usize));
                (left.rows, vec![width], dtype, Box::new(kernel))
            }
            Form::Csr { index, value } => {
                let [starts, entries, right] = inputs(given)?;
                array(starts, "array of starts", 0)?;
                let (vector, inner) = match right.schema.columns() {
                    [column] if column.inner().len() == 1 => (column, column.inner().to_vec()),
                    _ => (array(right, "vector", 0)?, Vec::new()),
                };
                let values = places::column(RULE, entries, value)?;
                let dtype = self.same(("column of values", values), ("vector", vector))?;
                let few = |rows: u64| u32::try_from(rows).ok().filter(|rows| *rows < u32::MAX - 1);
                let (Some(cells), Some(width)) = (few(entries.rows), few(right.rows)) else {
                    let (entries, cells) = (entries.rows, right.rows);
                    return Err(unfit(format!("{entries} entries and {cells} cells, past 32 bits")));
                };
                if starts.rows == 0 {
                    return Err(unfit(
                        "the array of starts has no row, where it must end with an end".into(),
                    ));
                }
                let begin = Places::of((RULE, "start"), starts, 0, cells + 1)?;
                let index = Places::of((RULE, "column"), entries, index, width)?;
                let cells = inner.first().map_or(1, |cells| *cells as usize);
                let kernel = Sparse::new((self.family, dtype), cells, (begin, index), value)?;
                (starts.rows - 1, inner, dtype, Box::new(kernel))
            }
        };
        let column = Column::new(ARRAY_COLUMN, dtype, inner).map_err(|wrong| unfit(wrong.to_string()))?;
        Ok((Gives { kind: Kind::Array { scalar: false }, columns: vec![column], rows }, kernel))
    }
}

/// Rows of a matrix are as long as what they are multiplied with.
fn fits((left, cells): (&str, u64), (right, rows): (&str, u64)) -> Result<(), RuleError> {
    if cells == rows {
        return Ok(());
    }
    Err(unfit(format!("rows of the {left} have {cells} cells, and the {right} has {rows}")))
}

impl Spec for Product {
    fn gives(&self, inputs: &[Shape<'_>]) -> Result<Gives, RuleError> {
        self.both(inputs).map(|(gives, _)| gives)
    }

    fn kernel(&self, inputs: &[Shape<'_>]) -> Result<Box<dyn Kernel>, RuleError> {
        self.both(inputs).map(|(_, kernel)| kernel)
    }
}
